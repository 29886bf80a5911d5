"""The invariants of the core, each in any order of commands, answers, notices and ticks."""

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from abonent import Messenger, MessengerKind, Policy
from abonent.core.agreements import Agreements
from abonent.core.commands import Terrain, Tick
from abonent.core.identification import decide
from abonent.core.owed import wakes_at
from abonent.core.states import Aggregate, State
from tests.properties.parts import MICROSECOND, bounded
from tests.properties.protocol import Protocol, deadlines_in
from tests.records.shapes import any_state


def hold(invariant: str, examples: int = 250) -> None:
    machine = type(f"Protocol{invariant}", (Protocol,), {"focus": invariant})
    run_state_machine_as_test(machine, settings=bounded(examples, 60))


def test_i1_the_gate_opens_by_a_valid_pass_only():
    """I1: the gate is open exactly while a pass under a named rule set stands."""
    hold("I1")


def test_i2_a_late_answer_never_identifies():
    """I2: an answer counts up to asked + 20 minutes, and not a microsecond longer."""
    hold("I2")


def test_i3_a_number_has_one_holder_and_the_later_prover_wins():
    """I3: at most one user holds a number; who proved possession later is never locked out."""
    hold("I3")


def test_i4_a_fresh_notice_counts_once_and_a_stale_one_not_at_all():
    """I4: a fresh notice leads to re-identification; a stale or repeated one does nothing."""
    hold("I4")


def test_i5_only_the_serving_operator_identifies_under_an_agreement():
    """I5: a foreign messenger's user passes by the serving operator, under an agreement."""
    hold("I5")


def test_i6_failures_are_counted_by_user_and_number():
    """I6: failures survive everything for a day, are never above the budget; a code works once."""
    hold("I6")


def test_i7_replaying_stored_events_gives_the_record():
    """I7: the events, written and read back, give the record; a forgotten user's from then on."""
    hold("I7")


def test_i10_the_wake_is_never_late_and_a_sweep_never_spins():
    """I10: no deadline lies before the wake, and after a tick the wake lies ahead."""
    hold("I10")


@given(
    state=any_state,
    pick=st.integers(0, 9),
    beyond=st.sampled_from([-MICROSECOND, timedelta(), timedelta(), MICROSECOND]),
)
@bounded(1000)
def test_i10_at_the_very_deadline(state: State, pick: int, beyond: timedelta):
    """I10: a tick at any deadline of any state settles it; before it, the wake does not move."""
    aggregate = Aggregate(state=state)
    deadlines = sorted(deadlines_in(aggregate))
    assume(deadlines)
    at = deadlines[pick % len(deadlines)] + beyond
    terrain = Terrain(
        messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
        policy=Policy(),
        agreements=Agreements("m"),
    )
    step = decide(aggregate, Tick(at=at, settled=at), terrain)
    wake = wakes_at(step.aggregate)
    assert wake is None or wake > at
    if at < deadlines[0]:
        assert step.events == ()
        assert wake == wakes_at(aggregate) == deadlines[0]


def test_i11_identification_codes_are_not_made_by_the_core():
    """I11: every pass bears the fresh code that came with its command, and no other."""
    hold("I11", 60)


@pytest.mark.slow
def test_all_invariants_together():
    """I1 to I7, I10: all at once, in longer runs."""
    run_state_machine_as_test(Protocol, settings=bounded(200, 120))
