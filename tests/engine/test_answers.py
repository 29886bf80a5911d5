"""Answers that nobody waits for: named, journaled, and without effect."""

from datetime import timedelta

import pytest

from abonent import Ignored, LateAnswer, Outcome, Reason, Status
from abonent.simulation import Reply
from tests.properties.parts import ANSWER_TIME, MICROSECOND, N1, N2, START, M, N, World


def asked(world: World, user: str = "alice") -> str:
    """Have the first operator asked about N1; it will answer later."""
    world.operators[M].script(Reply.LATER)
    assert world.identify(user).status is Status.AWAITING_ANSWER
    return world.operators[M].questions[-1].id


def held(query_id: str, operator: str = M) -> LateAnswer:
    return LateAnswer(query_id=query_id, operator=operator, outcome=Outcome.HELD)


def test_an_answer_to_an_earlier_question_is_ignored():
    """S29: an answer to the question of an earlier claim does not answer that of a later one."""
    with World() as world:
        first = asked(world)
        world.identifier.claim("alice", N2.e164)
        world.clock.advance(60)
        second = asked(world)
        assert first != second
        assert world.identifier.receive(held(first)).ignored is Ignored.LATE
        assert world.identifier.standing("alice").status is Status.AWAITING_ANSWER
        assert world.identifier.receive(held(second)).users == ("alice",)
        assert world.identifier.gate("alice").open


def test_an_answer_of_another_operator_is_ignored():
    """S29: only who was asked may answer, even if it knows the query id."""
    with World() as world:
        query = asked(world)
        assert world.identifier.receive(held(query, N)).ignored is Ignored.OTHER_OPERATOR
        assert not world.identifier.gate("alice").open
        assert world.identifier.receive(held(query)).ignored is None
        assert world.identifier.gate("alice").open


def test_an_answer_twice_is_one_answer():
    """S15: the second HELD finds no question open and changes nothing."""
    with World() as world:
        query = asked(world)
        world.identifier.receive(held(query))
        code = world.identifier.standing("alice").identification_code
        assert world.identifier.receive(held(query)).ignored is Ignored.LATE
        assert world.identifier.standing("alice").identification_code == code
        assert world.events("alice").count("Passed") == 1


@pytest.mark.parametrize("late", [timedelta(), MICROSECOND])
def test_i2_to_the_microsecond(late: timedelta):
    """I2: received at asked + 20 minutes it counts, a microsecond later it does not."""
    with World() as world:
        query = asked(world)
        due = START + ANSWER_TIME
        world.clock.set(due + late)
        received = world.identifier.receive(held(query))
        assert received.ignored is (Ignored.LATE if late else None)
        assert world.identifier.gate("alice").open is not bool(late)
        if late:
            assert world.identifier.standing("alice").reason is Reason.NO_ANSWER


def test_an_answer_about_somebody_forgotten_changes_nothing():
    """S25: who was forgotten stays forgotten, and the journal gets no number."""
    with World() as world:
        query = asked(world)
        world.identifier.forget("alice")
        received = world.identifier.receive(held(query))
        assert received.users == ()
        assert received.ignored is not None
        assert not world.identifier.gate("alice").open
        assert world.identifier.replay().ok
        assert N1.e164 not in repr(world.identifier.history("alice"))


def test_what_an_answer_cancels_is_not_performed_after_it():
    """I8: of what one commit owes, the first effect may cancel the others; they are not performed.

    A record that waits for its next try is owed with the question that leads to another number.
    """
    with World() as world:
        world.operators[M].fail_records(Reply.UNAVAILABLE, Reply.UNAVAILABLE)
        first = world.identify("alice").identification_code
        for call in ("claim", "prove"):
            world.flush()
            world.clock.advance(60)
            said = N2.e164 if call == "claim" else world.sender.code_for(N2)
            second = getattr(world.identifier, call)("alice", said).identification_code
        world.flush()
        assert [first, first, second] == [each.code for each in world.operators[M].records]
        assert {second} == set(world.operators[M].recorded)
