"""What recorded histories have found: calls that share a commit, and one that concerns another."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from abonent import LateAnswer, MemoryStorage, NoticeKind, Outcome, Received, Status
from abonent.ports import Notice
from abonent.simulation import Reply
from tests.concurrency.crowds import Held
from tests.concurrency.test_group_commit import queue_behind
from tests.properties.parts import N2, M, World


@pytest.fixture
def world() -> Iterator[World]:
    store: Any = Held(MemoryStorage())
    with World(store) as made:
        yield made


def together(world: World, *calls: Any) -> list[Any]:
    """The outcomes of calls that wait for one commit, in this order."""
    store: Any = world.storage
    return [each.outcome() for each in queue_behind(world, store, calls)]


def notice(name: str, kind: NoticeKind = NoticeKind.TERMINATED) -> Notice:
    return Notice(id=name, operator=M, kind=kind, number=N2)


def late(world: World, n: int) -> LateAnswer:
    query = world.operators[M].questions[n]
    return LateAnswer(query_id=query.id, operator=M, outcome=Outcome.HELD)


def test_a_notice_that_meets_a_forgotten_user(world: World):
    """Whoever is forgotten in the commit of a notice is not concerned any more; no error."""
    world.identify("alice", N2)
    world.flush()
    forgotten, received = together(
        world,
        partial(world.identifier.forget, "alice"),
        partial(world.identifier.receive, notice("n-1")),
    )
    assert forgotten is True
    assert isinstance(received, Received)
    assert () == received.users


def test_a_notice_that_meets_a_fresh_question(world: World):
    """Whoever is asked about in the commit of a notice is concerned by it."""
    world.operators[M].answer_with(Reply.LATER)
    world.identifier.claim("alice", N2.e164)
    world.flush()
    proven, received = together(
        world,
        partial(world.identifier.prove, "alice", world.sender.code_for(N2)),
        partial(world.identifier.receive, notice("n-1")),
    )
    assert ("alice",) == received.users
    assert Status.NOT_PASSED is world.identifier.standing("alice").status
    assert proven.status in (Status.AWAITING_ANSWER, Status.NOT_PASSED)


def test_a_holder_who_comes_and_goes_in_one_commit(world: World):
    """I3: two answers and a notice in one commit: the later prover holds, and hears the notice."""
    world.operators[M].answer_with(Reply.LATER)
    for user in ("alice", "bob"):
        world.identify(user, N2)
        world.clock.advance(1)
    world.flush()
    first, second, heard = together(
        world,
        *(partial(world.identifier.receive, late(world, n)) for n in range(2)),
        partial(world.identifier.receive, notice("n-1", NoticeKind.PORTED)),
    )
    assert (("alice",), ("bob",), ("bob",)) == (first.users, second.users, heard.users)
    statuses = [world.identifier.standing(user).status for user in ("alice", "bob")]
    assert [Status.NOT_PASSED, Status.REIDENTIFICATION_DUE] == statuses
    world.flush()
    assert world.identifier.replay().ok


def test_a_question_that_comes_and_goes_in_one_commit(world: World):
    """A question that a notice ends in the commit that asked it is open to no later notice."""
    world.operators[M].answer_with(Reply.LATER)
    world.identifier.claim("alice", N2.e164)
    world.flush()
    before, _, ending, after = together(
        world,
        partial(world.identifier.receive, notice("n-0")),
        partial(world.identifier.prove, "alice", world.sender.code_for(N2)),
        partial(world.identifier.receive, notice("n-1")),
        partial(world.identifier.receive, notice("n-2")),
    )
    assert [(), ("alice",), ()] == [each.users for each in (before, ending, after)]


class Overtaken(Held):
    """A store in which something happens between finding who is concerned and reading them."""

    meanwhile: Any = None

    def find(self, space: str, aliases: Any) -> Any:
        found = self._inner.find(space, aliases)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found


def test_a_notice_overtaken_by_a_forgetting_of_another_process():
    """Whom another process forgets while a notice looks for them is not concerned; no error."""
    shared = MemoryStorage()
    store: Any = Overtaken(shared)
    with World(store) as world:
        other = World(shared, clock=world.clock, sender=world.sender, operators=world.operators)
        world.identify("alice", N2)
        world.flush()
        store.meanwhile = partial(other.identifier.forget, "alice")
        assert () == world.identifier.receive(notice("n-1")).users
        other.flush()
