"""The invariants of the operator's side, over a store, with crashes between any two steps."""

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.desk import Duty
from tests.properties.parts import bounded


def hold(invariant: str, examples: int = 60) -> None:
    machine = type(f"Duty{invariant}", (Duty,), {"focus": invariant})
    run_state_machine_as_test(machine, settings=bounded(examples, 40))


def test_o1_every_recorded_messenger_is_told():
    """O1: who is recorded beside a subscription that ended is told once it can be, under one id."""
    hold("O1", 120)


def test_o2_nobody_without_an_agreement_learns_anything():
    """O2: without an agreement there is one refusal, and it leaves no trace."""
    hold("O2")


def test_o3_a_withdrawn_code_never_comes_back():
    """O3: a withdrawn code stands nowhere, and is never told about."""
    hold("O3")


def test_o4_an_answer_is_given_in_time_or_lapses():
    """O4: a promised answer is given by its due instant or lapses; a question has one answer."""
    hold("O4", 120)


def test_o5_held_is_said_of_what_stands():
    """O5: HELD is said only of a subscription that was not over when it was asked about."""
    hold("O5")


def test_o6_the_journal_replays_after_crashes():
    """O6: replaying the journal gives every stored row, whatever crashed when."""
    hold("O6")


def test_o7_only_what_is_owed_is_performed():
    """O7: a notice is given only while it is owed, by whatever process, under its one id."""
    hold("O7")


def test_o8_nothing_is_shown_or_stored_in_the_clear():
    """O8: no number, code or messenger in clear at rest; no number in a log, repr or error."""
    hold("O8")


def test_o9_the_wake_is_never_late_and_a_sweep_never_spins():
    """O9: no deadline lies before the wake, and what a sweep looked at lies ahead."""
    hold("O9")


@pytest.mark.slow
def test_all_invariants_of_a_desk_together():
    """O1 to O9: all at once, in longer runs."""
    run_state_machine_as_test(Duty, settings=bounded(150, 80))
