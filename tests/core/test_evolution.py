"""What an event makes of what is kept, where the outcome is more than a type of state."""

from __future__ import annotations

from msgspec.structs import replace as altered

from abonent.core.events import (
    AnswerDeferred,
    AttemptFailed,
    CodeIssued,
    CodeRecorded,
    CodeSent,
    DebtGivenUp,
    Displaced,
    Lapsed,
    PossessionProven,
    ProofTried,
    RecordWithdrawn,
    ReidentificationRequired,
    TombstoneCleared,
    UserForgotten,
)
from abonent.core.evolution import NOTICES_KEPT, evolve, failures_on, withdrawals_owed
from abonent.core.states import (
    Aggregate,
    Attempt,
    EffectKind,
    Forgotten,
    Identified,
    NoticeKind,
    NotPassed,
    Reason,
)
from tests.core.samples import (
    CLAIM,
    CODE,
    DAY,
    NOW,
    OTHER_TAG,
    QUERY,
    RECORD,
    TAG,
    WITHDRAWAL,
    Y,
    at,
    attempt_failed,
    awaiting,
    claimed,
    due_anew,
    ended,
    identified,
    live_code,
    not_passed,
    notice_received,
    passed,
    proving,
    self_identified,
    stale,
    started,
)


def test_a_claim_keeps_what_stands():
    """A claim puts an older identification behind it, also from behind an earlier attempt."""
    for state, before in (
        (identified(), identified()),
        (due_anew(), due_anew()),
        (awaiting(due_anew()), due_anew()),
        (not_passed(), None),
    ):
        after = evolve(Aggregate(state=state), claimed()).state
        assert before == after.before
        assert (Y, OTHER_TAG, "claim-2", "mts", "1801", "ru", NOW + DAY, 0, NOW, None) == (
            after.number,
            after.tag,
            after.claim,
            after.operator,
            after.rules,
            after.locale,
            after.expires_at,
            after.issued,
            after.issued_at,
            after.code,
        )


def test_an_issued_code_is_fresh_and_counted():
    """A new code starts with no tries, is owed at once, and counts as a send."""
    issued = CodeIssued(at=NOW, claim=CLAIM, issue=2, key_id="k2", expires_at=at(10))
    aggregate = Aggregate(state=proving(identified(), code=live_code(tries=5)), sends=(at(-9),))

    after = evolve(aggregate, issued)

    assert (at(-9), NOW) == after.sends
    fresh = Attempt(tries=0, next_try=NOW)
    expected = live_code(
        issue=2, key_id="k2", issued_at=NOW, expires_at=at(10), tries=0, sending=fresh
    )
    assert expected == after.state.code
    assert (2, NOW, identified()) == (after.state.issued, after.state.issued_at, after.state.before)


def test_only_the_live_issue_is_marked_sent():
    """A late word on an earlier issue does not end the sending of the present one."""
    sent = CodeSent(at=NOW, claim=CLAIM, issue=1, opaque=b"opaque")
    for state in (proving(code=None), proving(code=live_code(issue=2))):
        assert state == evolve(Aggregate(state=state), sent).state
    after = evolve(Aggregate(state=proving()), sent).state.code
    assert (None, b"opaque") == (after.sending, after.opaque)


def test_a_try_is_charged_twice_over():
    """A try is charged to the code and to the number; charges a day old are dropped."""
    aggregate = Aggregate(
        state=proving(code=live_code(tries=2)),
        failures=(
            (TAG, (NOW - DAY, at(-5))),
            (OTHER_TAG, (at(-4),)),
            (b"of-yesterday", (NOW - DAY,)),
        ),
    )

    after = evolve(aggregate, ProofTried(at=NOW, claim=CLAIM, tag=TAG))

    assert 3 == after.state.code.tries
    assert ((OTHER_TAG, (at(-4),)), (TAG, (at(-5), NOW))) == after.failures


def test_a_try_without_a_live_code_is_charged_as_well():
    """Guessing at an expired code costs as much."""
    after = evolve(Aggregate(state=proving(code=None)), ProofTried(at=NOW, claim=CLAIM, tag=TAG))

    assert after.state.code is None
    assert ((TAG, (NOW,)),) == after.failures


def test_a_proof_takes_back_its_own_charge_only():
    """The code is used up, and of the charges the proof's own is returned."""
    proven = PossessionProven(at=NOW, claim=CLAIM, tag=TAG, tried_at=NOW)
    aggregate = Aggregate(state=proving(), failures=((TAG, (at(-5), NOW)), (OTHER_TAG, (NOW,))))

    after = evolve(aggregate, proven)

    assert after.state.code is None
    assert ((OTHER_TAG, (NOW,)), (TAG, (at(-5),))) == after.failures
    alone = evolve(altered(aggregate, failures=((TAG, (NOW,)),)), proven)
    assert () == alone.failures


def test_failures_under_several_tags():
    """Failures counted under an older key are found with those under the current one."""
    aggregate = Aggregate(failures=((TAG, (at(-5), at(-1))), (OTHER_TAG, (at(-3),))))

    assert (at(-5), at(-3), at(-1)) == failures_on(aggregate, TAG, OTHER_TAG)
    assert (at(-3),) == failures_on(aggregate, OTHER_TAG)
    assert () == failures_on(aggregate, b"unheard-of")


def test_an_answer_deferred_is_asked_for_no_more():
    """Who says "later" is not asked again, and gets its opaque data back."""
    deferred = AnswerDeferred(at=NOW, query_id=QUERY, opaque=b"ticket")

    after = evolve(Aggregate(state=awaiting()), deferred).state

    assert (None, b"ticket", at(20)) == (after.asking, after.opaque, after.due)


def test_passing_owes_a_record_and_withdraws_the_older_one():
    """Passed at an operator: its record is owed, that of what stood behind is withdrawn."""
    aggregate = Aggregate(state=awaiting(identified()), debts=(RECORD,))

    after = evolve(aggregate, passed())

    assert NOW == after.state.since
    assert [
        (EffectKind.WITHDRAW, "mts", CODE, NOW),
        (EffectKind.RECORD, "mts", "code-2", NOW),
    ] == [(each.kind, each.operator, each.code, each.since) for each in after.debts]
    assert {Attempt(tries=0, next_try=NOW)} == {each.attempt for each in after.debts}


def test_passing_by_own_determination_owes_nothing():
    """Where no operator was asked, none has anything to record or withdraw."""
    aggregate = Aggregate(state=proving(self_identified()))

    after = evolve(aggregate, passed(operator=None, agreement=None, asked_at=None))

    assert isinstance(after.state, Identified)
    assert () == after.debts


def test_an_attempt_that_ends_falls_back():
    """A failed attempt falls back to what stood behind it, due anew or not."""
    for before in (identified(), due_anew()):
        for make in (proving, awaiting):
            after = evolve(Aggregate(state=make(before, number=Y)), ended(Reason.NOT_HELD))
            assert (before, ()) == (after.state, after.debts)


def test_not_held_about_the_same_number_ends_both():
    """Only "not held" and "undetermined" about the same number end what stood behind."""
    for reason in Reason:
        after = evolve(Aggregate(state=awaiting(due_anew())), ended(reason))
        if reason in (Reason.NOT_HELD, Reason.UNDETERMINED):
            assert NotPassed(reason=reason, at=NOW, due=None, retry_at=None) == after.state
            assert [EffectKind.WITHDRAW] == [each.kind for each in after.debts]
        else:
            assert (due_anew(), ()) == (after.state, after.debts)


def test_an_attempt_moves_only_what_it_is_about():
    """The count and the next try change for the effect that was tried, and for no other."""
    debts = (RECORD, WITHDRAWAL)
    for kind, state in (
        (EffectKind.SEND_CODE, proving()),
        (EffectKind.ASK_OPERATOR, awaiting()),
    ):
        aggregate = Aggregate(state=state, debts=debts)
        for event, tries in ((started(kind), 1), (attempt_failed(kind), 0)):
            after = evolve(aggregate, event)
            moved = after.state.code.sending if hasattr(after.state, "code") else after.state.asking
            was = state.code.sending if hasattr(state, "code") else state.asking
            assert Attempt(tries=was.tries + tries, next_try=event.next_try) == moved
            assert debts == after.debts
    aggregate = Aggregate(state=identified(), debts=debts)
    after = evolve(aggregate, started(EffectKind.WITHDRAW))
    assert RECORD == after.debts[0]
    assert Attempt(tries=3, next_try=at(7)) == after.debts[1].attempt


def test_an_attempt_at_what_is_not_owed_changes_nothing():
    """Word of a try that is not owed any more moves nothing."""
    states = (
        proving(code=None),
        proving(code=live_code(sending=None)),
        awaiting(asking=None),
        identified(),
    )
    for state in states:
        for kind in EffectKind:
            aggregate = Aggregate(state=state)
            assert aggregate == evolve(aggregate, started(kind))
            assert aggregate == evolve(aggregate, attempt_failed(kind))


def test_a_debt_is_settled_by_its_own_word():
    """What is recorded, withdrawn or given up ends that debt, by kind and code."""
    both = (RECORD, altered(WITHDRAWAL, code=CODE, operator="mts"))
    aggregate = Aggregate(state=identified(), debts=both)
    recorded = CodeRecorded(at=NOW, operator="mts", code=CODE)
    withdrawn = RecordWithdrawn(at=NOW, operator="mts", code=CODE)
    given_up = DebtGivenUp(at=NOW, kind=EffectKind.WITHDRAW, operator="mts", code=CODE)

    assert both[1:] == evolve(aggregate, recorded).debts
    assert both[:1] == evolve(aggregate, withdrawn).debts
    assert both[:1] == evolve(aggregate, given_up).debts
    other = altered(recorded, code="code-9")
    assert both == evolve(aggregate, other).debts


def test_the_last_notices_are_remembered():
    """A notice is remembered once, and as many as are kept, the oldest giving way."""
    aggregate = Aggregate(state=identified())
    for number in range(NOTICES_KEPT + 1):
        aggregate = evolve(aggregate, notice_received(f"n-{number}"))
    assert NOTICES_KEPT == len(aggregate.notices)
    again = evolve(aggregate, stale(f"n-{NOTICES_KEPT}"))
    assert aggregate.notices == again.notices
    assert NOTICES_KEPT == len(evolve(aggregate, stale("n-x")).notices)


def test_a_notice_behind_an_attempt():
    """Re-identification is required of what stands, wherever it stands."""
    required = ReidentificationRequired(
        at=NOW, cause=NoticeKind.TERMINATED, happened_at=at(-1), due=at(20)
    )
    expected = due_anew(NoticeKind.TERMINATED, happened_at=at(-1), noticed_at=NOW, due=at(20))

    assert expected == evolve(Aggregate(state=identified()), required).state
    assert expected == evolve(Aggregate(state=due_anew()), required).state
    assert proving(expected) == evolve(Aggregate(state=proving(identified())), required).state
    assert awaiting(expected) == evolve(Aggregate(state=awaiting(due_anew())), required).state


def test_what_is_lost_is_withdrawn():
    """Displaced or lapsed: the record is withdrawn, and an attempt goes on alone."""
    for event, reason, due in (
        (Displaced(at=NOW), Reason.DISPLACED, None),
        (Lapsed(at=NOW, due=at(-1)), Reason.NOT_IDENTIFIED_ANEW, at(-1)),
    ):
        over = evolve(Aggregate(state=due_anew(), debts=(RECORD,)), event)
        assert NotPassed(reason=reason, at=NOW, due=due, retry_at=None) == over.state
        (owed,) = over.debts
        assert (EffectKind.WITHDRAW, "mts", CODE) == (owed.kind, owed.operator, owed.code)
        goes_on = evolve(Aggregate(state=proving(due_anew())), event)
        assert proving(None) == goes_on.state
        assert [EffectKind.WITHDRAW] == [each.kind for each in goes_on.debts]


def test_forgetting_keeps_withdrawals_only():
    """Of a forgotten user the withdrawals are left, that of the last identification included."""
    for state in (identified(), proving(identified()), due_anew()):
        aggregate = Aggregate(state=state, debts=(RECORD, WITHDRAWAL))
        owed = withdrawals_owed(aggregate, NOW)
        assert ["code-0", CODE] == [each.code for each in owed]
        assert {EffectKind.WITHDRAW} == {each.kind for each in owed}
    assert () == withdrawals_owed(Aggregate(state=self_identified()), NOW)


def test_a_tombstone_holds_what_the_event_says():
    """A forgotten user starts anew from the event alone; clearing drops the budgets, not debts."""
    forgotten = UserForgotten(
        at=NOW, debts=(WITHDRAWAL,), failures=((TAG, (at(-5),)),), sends=(at(-5),)
    )
    aggregate = Aggregate(state=identified(), debts=(RECORD,), notices=("n-1",))

    after = evolve(aggregate, forgotten)

    expected = Aggregate(
        state=Forgotten(at=NOW),
        debts=(WITHDRAWAL,),
        failures=((TAG, (at(-5),)),),
        sends=(at(-5),),
    )
    assert expected == after
    cleared = evolve(after, TombstoneCleared(at=NOW))
    assert Aggregate(state=Forgotten(at=NOW), debts=(WITHDRAWAL,)) == cleared


def test_a_failed_attempt_is_not_counted_again():
    """A try is counted when it starts, not when it fails."""
    failed = AttemptFailed(
        at=NOW, kind=EffectKind.RECORD, id=RECORD.id, cause="UNAVAILABLE", next_try=at(9)
    )

    (debt,) = evolve(Aggregate(state=identified(), debts=(RECORD,)), failed).debts

    assert Attempt(tries=0, next_try=at(9)) == debt.attempt
