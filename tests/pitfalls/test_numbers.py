"""Mistakes of others with numbers that change hands, and with what operators say of them."""

import pytest

from abonent import MessengerKind, Notice, NoticeKind, Reason, Status
from abonent.errors import NoAgreement
from abonent.ports import Query
from abonent.simulation import Reply
from tests.properties.parts import ANSWER_TIME, MICROSECOND, N1, N2, START, M, N, World, agreement


def notice(kind: NoticeKind, *, name: str = "n1", operator: str = M) -> Notice:
    return Notice(id=name, operator=operator, kind=kind, number=N1)


@pytest.mark.parametrize("kind", MessengerKind)
def test_a_new_owner_does_not_get_the_old_account(kind: MessengerKind):
    """P10: who gets a recycled number gets an identification of their own; the old one ends."""
    with World(kind=kind) as world:
        old = world.identify("alice")
        world.clock.advance(60)
        new = world.identify("boris")
        assert new.identification_code != old.identification_code
        assert not world.identifier.gate("alice").open
        assert world.identifier.gate("alice").reason is Reason.DISPLACED
        told = {type(each.event).__name__ for each in world.identifier.history("boris")}
        assert "Displaced" not in told


@pytest.mark.parametrize("kind", MessengerKind)
@pytest.mark.parametrize("gone", [False, True])
def test_a_new_owner_is_not_locked_out(kind: MessengerKind, gone: bool):
    """P11: an account that still holds a number, notice or none, keeps nobody from proving it."""
    with World(kind=kind) as world:
        world.identify("alice")
        if gone:
            world.identifier.receive(notice(NoticeKind.REASSIGNED))
        world.clock.advance(60)
        assert world.identify("boris").gate.open
        assert world.identifier.replay().ok


def test_one_number_in_two_spellings_is_one_number():
    """P17: a holder is found however both of them spelled the number."""
    with World() as world:
        for user, spelled in (("alice", "8 916 123-45-67"), ("boris", "＋７９１６１２３４５６７")):
            world.identifier.claim(user, spelled)
            world.identifier.prove(user, world.sender.code_for(N1))
            world.clock.advance(60)
        assert world.identifier.standing("boris").status is Status.IDENTIFIED
        assert world.identifier.standing("alice").reason is Reason.DISPLACED


def test_ported_is_not_terminated():
    """P18: a ported number keeps its gate until due, inclusive; any other notice closes it."""
    for kind in NoticeKind:
        with World() as world:
            world.identify("alice")
            world.identifier.receive(notice(kind))
            ported = kind is NoticeKind.PORTED
            assert world.identifier.gate("alice").open is ported
            world.clock.set(START + ANSWER_TIME)
            assert world.identifier.gate("alice").open is ported
            world.clock.advance(MICROSECOND)
            assert not world.identifier.gate("alice").open


def test_not_ours_is_not_unknown():
    """P18: who does not serve the number says nothing of its subscriber; the other is asked."""
    with World() as world:
        world.operators[M].script(Reply.NOT_OURS)
        world.identifier.claim("alice", N1.e164)
        world.router.port(N1, N)
        standing = world.identifier.prove("alice", world.sender.code_for(N1))
        assert standing.status is Status.IDENTIFIED
        assert [len(each.questions) for each in world.operators.values()] == [1, 1]
        first, second = world.operators[M].questions[0], world.operators[N].questions[0]
        assert first.id != second.id


@pytest.mark.parametrize("then", [M, N])
def test_not_ours_twice_is_not_held(then: str):
    """P18: the router is asked again once, not for ever, whomever it names the second time."""
    with World() as world:

        def not_ours(query: Query) -> Reply:
            # Whoever is asked, the router names another by the time of the answer.
            world.router.port(N1, then if world.operators[N].questions else N)
            return Reply.NOT_OURS

        for each in world.operators.values():
            each.answer_with(not_ours)
        standing = world.identify("alice")
        assert standing.reason is Reason.NOT_HELD
        assert [len(each.questions) for each in world.operators.values()] == [1, 1]


def test_a_graver_notice_closes_the_gate_and_extends_nothing():
    """P18: ported, then terminated: closed at once, and due when it was due."""
    with World() as world:
        world.identify("alice")
        world.identifier.receive(notice(NoticeKind.PORTED))
        world.clock.advance(300)
        world.identifier.receive(notice(NoticeKind.TERMINATED, name="n2"))
        assert not world.identifier.gate("alice").open
        (step,) = world.identifier.standing("alice").next
        assert step.until == START + ANSWER_TIME
        world.identifier.receive(notice(NoticeKind.PORTED, name="n3"))
        assert not world.identifier.gate("alice").open


@pytest.mark.parametrize("reply", [Reply.MISCONFIGURED, Reply.UNAVAILABLE])
def test_trouble_is_not_an_answer(reply: Reply):
    """P18: credentials refused, or out of reach, is never taken for *not held*."""
    with World() as world:
        world.operators[M].answer_with(reply)
        world.identify("alice")
        for _ in range(30):
            world.clock.advance(60)
            world.identifier.sweep()
        assert world.identifier.standing("alice").reason is Reason.NO_ANSWER
        assert (len(world.alarms) > 0) is (reply is Reply.MISCONFIGURED)


def test_a_number_that_others_hold_looks_like_any_other():
    """P22: claiming, proving and failing are answered alike whether or not a number is held."""
    answers = []
    for held in (False, True):
        with World() as world:
            world.identify("alice", N1 if held else N2)
            world.clock.advance(60)
            first = world.identifier.claim("boris", N1.e164)
            wrong = world.identifier.prove("boris", world.wrong())
            told = [type(each.event).__name__ for each in world.identifier.history("boris")]
            answers.append((first, wrong, told))
    assert answers[0] == answers[1]


def test_a_user_and_nobody_are_answered_alike():
    """P22: the gate of somebody unknown is that of somebody who never passed."""
    with World() as world:
        world.identifier.claim("alice", N1.e164)
        assert world.identifier.gate("alice") == world.identifier.gate("nobody")


def test_a_refusal_tells_nothing_of_the_number():
    """P22: no agreement is said of the operator alone, whoever holds the number."""
    told = []
    for held in (False, True):
        with World(agreements=[agreement(M, ends=START + ANSWER_TIME), agreement(N)]) as world:
            if held:
                world.identify("alice")
            world.clock.set(START + ANSWER_TIME)
            with pytest.raises(NoAgreement) as refused:
                world.identifier.claim("boris", N1.e164)
            told.append((str(refused.value), refused.value.retry_at, refused.value.reason))
    assert told[0] == told[1]


def test_two_operators_may_count_their_notices_alike():
    """P23: a notice of another operator under the same id does not swallow the one that counts."""
    with World() as world:
        world.identify("alice")
        first = notice(NoticeKind.TERMINATED, operator=N)
        assert world.identifier.receive(first).users == ()
        assert world.identifier.gate("alice").open
        assert world.identifier.receive(notice(NoticeKind.TERMINATED)).users == ("alice",)
        assert not world.identifier.gate("alice").open
