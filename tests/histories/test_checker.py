"""The checker refuses what one-after-the-other could not have said, and says where it begins."""

import random
from collections.abc import Iterable
from functools import partial
from typing import Any

from attrs import evolve

from abonent import MemoryStorage, NoticeKind, Outcome, Received, Status
from abonent.ports import LateAnswer
from abonent.simulation import Reply
from tests.histories.checker import Anything, Call, Explained, Step, Unexplained, check
from tests.histories.recording import Stage
from tests.histories.sequential import OPERATOR

# --- the search alone ---------------------------------------------------------------------


def write(value: int, seen: object = None) -> Step[int]:
    def outcomes(_: int) -> Iterable[tuple[int, object]]:
        yield value, None

    return Step(name=f"write {value}", outcomes=outcomes, seen=seen)


def read(value: object) -> Step[int]:
    def outcomes(state: int) -> Iterable[tuple[int, object]]:
        yield state, state

    return Step(name="read", outcomes=outcomes, seen=value)


def call(invoked: int, returned: int | None, *steps: Step[int]) -> Call[int]:
    return Call(caller="c", name="call", result="", invoked=invoked, returned=returned, steps=steps)


def test_an_empty_history_is_explained():
    """Nothing was said, and nothing needs an order."""
    assert Explained(order=()) == check([], 0)


def test_calls_that_overlap_may_come_in_either_order():
    """A read during a write may see the old value or the new one, but no other."""
    for seen in (0, 1):
        assert isinstance(check([call(1, 4, write(1)), call(2, 3, read(seen))], 0), Explained)
    assert isinstance(check([call(1, 4, write(1)), call(2, 3, read(2))], 0), Unexplained)


def test_what_returned_before_comes_before():
    """A read that began after the write had returned sees what was written."""
    assert isinstance(check([call(1, 2, write(1)), call(3, 4, read(1))], 0), Explained)
    assert isinstance(check([call(1, 2, write(1)), call(3, 4, read(0))], 0), Unexplained)


def test_two_reads_agree_on_an_order():
    """What one reader has seen to be gone, a later reader does not see again."""
    calls = [call(1, 6, write(1)), call(2, 3, read(1)), call(4, 5, read(0))]
    assert isinstance(check(calls, 0), Unexplained)


def test_a_call_that_never_returned_may_have_taken_effect():
    """A crash leaves open whether it did, but once seen it stays."""
    lost = call(1, None, write(1))
    assert isinstance(check([lost, call(2, 3, read(0)), call(4, 5, read(1))], 0), Explained)
    assert isinstance(check([lost, call(2, 3, read(1)), call(4, 5, read(0))], 0), Unexplained)


def test_steps_of_a_call_keep_their_order():
    """Others may come between two steps of a call, and never see the second before the first."""
    twice = call(1, 8, write(1), write(2))
    between = [twice, call(2, 3, read(0)), call(4, 5, read(1)), call(6, 7, read(2))]
    assert isinstance(check(between, 0), Explained)
    backwards = [twice, call(2, 3, read(2)), call(4, 5, read(1))]
    assert isinstance(check(backwards, 0), Unexplained)


def test_the_shortest_beginning_is_told():
    """What is told ends with the return that nothing explains; calls under way have no result."""
    calls = [
        call(1, 2, write(1)),
        call(3, 20, write(5)),
        call(4, 5, read(1)),
        call(6, 7, read(3)),
        call(8, 9, read(1)),
    ]
    refused = check(calls, 0)
    assert isinstance(refused, Unexplained)
    assert [1, 3, 4, 6] == [each.invoked for each in refused.prefix]
    assert [2, None, 5, 7] == [each.returned for each in refused.prefix]
    assert refused.prefix[1].steps[0].seen is Anything


def test_what_was_tried_is_not_tried_again():
    """Ten calls at once have 3,628,800 orders; the search looks at each set of them once."""
    looked = 0

    def outcomes(state: int) -> Iterable[tuple[int, object]]:
        nonlocal looked
        looked += 1
        assert looked <= 2 * 10 * 2**10  # the search, and the shorter ones for the beginning
        yield state, None

    step = Step(name="nothing", outcomes=outcomes, seen=None)
    calls = [call(n, 20, step) for n in range(10)]
    assert isinstance(check([*calls, call(21, 22, read(1))], 0), Unexplained)


# --- identification, by hand ----------------------------------------------------------------


def stage() -> Stage:
    return Stage([MemoryStorage()], random.Random(1))


def verdict(made: Stage) -> Explained | Unexplained[Any]:
    calls, initial = made.history()
    return check(calls, initial)


def overlap(made: Stage, one: int, other: int) -> None:
    """Let two calls have been under way together."""
    first, second = made.observed[one], made.observed[other]
    made.observed[one] = evolve(first, returned=second.returned)
    made.observed[other] = evolve(second, invoked=first.invoked, returned=first.returned)


def wrong_guesses() -> Stage:
    made = stage()
    made.alone("claim", made.users[0], made.number.e164)
    for _ in range(2):
        made.alone("prove", made.users[0], "000000")
    return made


def test_i6_two_wrong_guesses_counted_once_are_refused():
    """P1: two guesses at once that both left three tries are a lost update."""
    made = wrong_guesses()
    overlap(made, 1, 2)
    assert isinstance(verdict(made), Explained)
    made.observed[2] = evolve(made.observed[2], result=made.observed[1].result)
    refused = verdict(made)
    assert isinstance(refused, Unexplained)
    assert 2 == str(refused).count("3 tries left")


def test_a_standing_from_before_an_answer_is_refused():
    """Who was told that they are identified is not told afterwards that they are not."""
    made = stage()
    made.carrier.answer_with(Reply.HELD)
    alice = made.users[0]
    made.alone("claim", alice, made.number.e164)
    before = made.alone("standing", alice)
    assert Status.IDENTIFIED is made.alone("prove", alice, made.code()).status
    made.alone("standing", alice)
    assert isinstance(verdict(made), Explained)
    made.observed[3] = evolve(made.observed[3], result=before)
    assert isinstance(verdict(made), Unexplained)
    overlap(made, 2, 3)
    assert isinstance(verdict(made), Explained)


def awaiting() -> Stage:
    made = stage()
    made.carrier.answer_with(Reply.LATER)
    made.alone("claim", made.users[0], made.number.e164)
    made.alone("prove", made.users[0], made.code())
    return made


def late(made: Stage, outcome: Outcome) -> LateAnswer:
    query = made.carrier.questions[-1]
    return LateAnswer(query_id=query.id, operator=OPERATOR, outcome=outcome)


def test_i6_a_code_that_works_twice_is_refused():
    """P6: once a code was used up, the same code leads to no second question."""
    made = awaiting()
    asked = made.observed[1]
    made.alone("receive", late(made, Outcome.NOT_HELD))
    made.alone("prove", made.users[0], made.code())
    assert isinstance(verdict(made), Explained)
    assert asked.asked is not None
    again = evolve(made.observed[3], result=asked.result, asked=("another", Outcome.LATER))
    made.observed[3] = again
    assert isinstance(verdict(made), Unexplained)


def test_i4_an_answer_accepted_after_a_notice_is_refused():
    """What ended with a notice is not brought back by the answer to an older question."""
    made = awaiting()
    alice = made.users[0]
    assert (alice,) == made.alone("receive", made.notice(NoticeKind.TERMINATED)).users
    made.alone("receive", late(made, Outcome.HELD))
    assert isinstance(verdict(made), Explained)
    accepted = Received(users=(alice,), ignored=None)
    made.observed[3] = evolve(made.observed[3], result=accepted, passed="code")
    assert isinstance(verdict(made), Unexplained)
    overlap(made, 2, 3)
    assert isinstance(verdict(made), Explained)


def test_i3_two_holders_of_one_number_are_refused():
    """Once another was told to be identified by the number, the older holder's gate is closed."""
    made = stage()
    made.carrier.answer_with(Reply.HELD)
    for user in made.users:
        made.alone("claim", user, made.number.e164)
        made.alone("prove", user, made.code())
    opened = made.alone("gate", made.users[1])
    made.alone("gate", made.users[0])
    assert isinstance(verdict(made), Explained)
    made.observed[-1] = evolve(made.observed[-1], result=opened)
    assert isinstance(verdict(made), Unexplained)


def test_a_second_pass_has_a_code_of_its_own():
    """The identification code that somebody is shown is the one that was given last."""
    made = stage()
    made.carrier.answer_with(Reply.HELD)
    alice = made.users[0]
    prove = partial(made.alone, "prove", alice)
    made.alone("claim", alice, made.number.e164)
    first = prove(made.code())
    made.alone("receive", made.notice(NoticeKind.PORTED))
    made.clock.advance(61)
    made.alone("claim", alice, made.number.e164)
    prove(made.code())
    assert isinstance(verdict(made), Explained)
    made.observed[-1] = evolve(made.observed[-1], result=first)
    assert isinstance(verdict(made), Unexplained)
