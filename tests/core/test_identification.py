"""decide(): refusals, verdicts, outcomes and deadlines, one command at a time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from abonent import Agreement, Ignored, Messenger, MessengerKind, NoticeKind, Outcome, Policy
from abonent.core.agreements import Agreements
from abonent.core.budgets import Unsendable
from abonent.core.commands import (
    Claim,
    Displace,
    GiveAnswer,
    HearNotice,
    JudgeProof,
    ReportAcknowledged,
    ReportFailed,
    ReportSent,
    Terrain,
    Tick,
    TryProof,
)
from abonent.core.events import (
    AnswerDeferred,
    AnswerReceived,
    CodeIssued,
    LateAnswerIgnored,
    NumberClaimed,
    PossessionProven,
    ProofFailed,
    ProofTried,
)
from abonent.core.identification import decide, forget
from abonent.core.owed import wakes_at
from abonent.core.rules import RESOLUTION_1801
from abonent.core.states import (
    Aggregate,
    Attempt,
    Basis,
    EffectKind,
    Forgotten,
    Identified,
    Reason,
    Unidentified,
)
from abonent.errors import (
    CodeSpent,
    NoRulesInForce,
    NothingToProve,
    NumberUnrouted,
    SendingStopped,
    TooManyFailures,
    TooManySends,
)
from tests.core.samples import (
    CLAIM,
    CODE,
    DAY,
    HOUR,
    MICROSECOND,
    NOW,
    OTHER_TAG,
    QUERY,
    RECORD,
    SECOND,
    TAG,
    WITHDRAWAL,
    X,
    Y,
    at,
    awaiting,
    due_anew,
    identified,
    live_code,
    not_passed,
    proving,
    self_identified,
)

POLICY = Policy()


def terrain(
    kind: MessengerKind = MessengerKind.FOREIGN, policy: Policy = POLICY, rules=None
) -> Terrain:
    with_mts = Agreement(id="with-mts", messenger="m", operator="mts", starts=NOW - 99 * DAY)
    return Terrain(
        messenger=Messenger(id="m", kind=kind),
        policy=policy,
        agreements=Agreements("m", [with_mts]),
        rules=rules,
    )


FOREIGN, DOMESTIC = terrain(), terrain(MessengerKind.DOMESTIC)


def claim(**changes) -> Claim:
    fields = {
        "at": NOW,
        "number": X,
        "unlisted": False,
        "tags": (TAG,),
        "claim": "claim-2",
        "key_id": "k1",
        "operator": "mts",
        "number_sends": (),
        "locale": "",
    }
    return Claim(**(fields | changes))


def names(step) -> list[str]:
    return [type(each).__name__ for each in step.events]


# --- claims -------------------------------------------------------------------------


def test_a_number_that_nobody_serves():
    """Where an operator is to be asked and none is known, the claim is refused."""
    with pytest.raises(NumberUnrouted):
        decide(Aggregate(), claim(operator=None), FOREIGN)
    assert names(decide(Aggregate(), claim(operator=None), DOMESTIC))[0] == "NumberClaimed"


def test_the_first_code():
    """The codes of a claim are counted from 1, under the claim's id and the current key."""
    _, issued, started = decide(Aggregate(), claim(), FOREIGN).events
    assert ("claim-2", 1, "k1") == (issued.claim, issued.issue, issued.key_id)
    assert "claim-2.1" == started.id


def test_the_sends_of_a_user():
    """A user is sent so many codes a day, whatever numbers they claim (P20)."""
    spent = Aggregate(sends=tuple(at(minute) for minute in range(-10, 0)))
    with pytest.raises(TooManySends) as refused:
        decide(spent, claim(), FOREIGN)
    assert at(-10) + DAY == refused.value.retry_at
    assert "CodeIssued" in names(decide(spent, claim(at=at(-10) + DAY), FOREIGN))


def test_the_sends_to_a_number():
    """A number is sent so many codes a day, whoever claims it (P20)."""
    sends = tuple(at(minute) for minute in range(-10, 0))
    with pytest.raises(TooManySends) as refused:
        decide(Aggregate(), claim(number_sends=sends), FOREIGN)
    assert at(-10) + DAY == refused.value.retry_at
    assert "CodeIssued" in names(decide(Aggregate(), claim(number_sends=sends[1:]), FOREIGN))


def test_the_sends_of_all():
    """While a budget that many share is spent, no code is sent; the other refusals come first."""
    until = at(30)
    with pytest.raises(TooManySends) as refused:
        decide(Aggregate(), claim(unsendable=Unsendable(until=until)), FOREIGN)
    assert until == refused.value.retry_at
    with pytest.raises(SendingStopped) as stopped:
        decide(Aggregate(), claim(unsendable=Unsendable(until=None)), FOREIGN)
    assert stopped.value.retry_at is None
    sends = tuple(at(minute) for minute in range(-10, 0))
    with pytest.raises(TooManySends):
        decide(Aggregate(), claim(number_sends=sends, unsendable=Unsendable(until=None)), FOREIGN)


def test_who_needs_no_code_is_not_refused_for_want_of_one():
    """A claim repeated too early, or of one's own number, tells where one stands all the same."""
    claimed = decide(Aggregate(), claim(), FOREIGN).aggregate
    again = claim(at=at(0) + timedelta(seconds=1), unsendable=Unsendable(until=None))
    assert () == decide(claimed, again, FOREIGN).events


def test_resending_is_bound_by_the_budgets_too():
    """A new code for the same claim is refused where a new claim would be (P4)."""
    failures = ((TAG, tuple([at(-1)] * 15)),)
    with pytest.raises(TooManyFailures):
        decide(Aggregate(state=proving(), failures=failures), claim(at=at(2)), FOREIGN)
    issued = decide(Aggregate(state=proving()), claim(at=at(1)), FOREIGN)
    assert ["CodeIssued", "AttemptStarted"] == names(issued)
    assert (CLAIM, 2) == (issued.events[0].claim, issued.events[0].issue)


def test_failures_under_an_older_key_bind_the_claim():
    """The failures counted under any live index of the number are counted together."""
    failures = ((OTHER_TAG, tuple([at(-2)] * 8)), (TAG, tuple([at(-1)] * 7)))
    aggregate = Aggregate(failures=failures)
    with pytest.raises(TooManyFailures):
        decide(aggregate, claim(tags=(TAG, OTHER_TAG)), FOREIGN)
    after = decide(aggregate, claim(), FOREIGN).aggregate
    assert failures == after.failures


def test_what_is_done_is_not_claimed_again():
    """The same number again, identified or asked about, starts nothing."""
    for state in (identified(), self_identified(), awaiting()):
        assert () == decide(Aggregate(state=state), claim(at=at(1)), FOREIGN).events


def test_who_was_declared_may_be_identified_anew():
    """An identification taken over in bulk does not keep its user from a real one."""
    declared = identified(basis=Basis.DECLARED)
    assert "NumberClaimed" in names(decide(Aggregate(state=declared), claim(), FOREIGN))


def test_rules_named_explicitly():
    """A rule set given by name applies outside its dates; without one, none is in force."""
    late = NOW + 3 * 365 * DAY
    with pytest.raises(NoRulesInForce):
        decide(Aggregate(), claim(at=late), FOREIGN)
    named = decide(Aggregate(), claim(at=late), terrain(rules=RESOLUTION_1801))
    assert "1801" == named.events[0].rules


# --- proofs -------------------------------------------------------------------------


@pytest.mark.parametrize("state", [Unidentified(), due_anew(), not_passed(), Forgotten(at=NOW)])
def test_nothing_to_prove(state):
    """A proof without a claim is the caller's error."""
    with pytest.raises(NothingToProve):
        decide(Aggregate(state=state), TryProof(at=NOW), FOREIGN)


def test_a_try_that_is_not_admitted():
    """A spent code or budget refuses the try, says from when, and counts nothing."""
    with pytest.raises(CodeSpent) as spent:
        decide(Aggregate(state=proving(code=live_code(tries=5))), TryProof(at=at(3)), FOREIGN)
    assert at(3) == spent.value.retry_at
    failures = ((TAG, tuple(at(-minute) for minute in range(15, 0, -1))),)
    with pytest.raises(TooManyFailures) as failed:
        decide(Aggregate(state=proving(), failures=failures), TryProof(at=NOW), FOREIGN)
    assert at(-15) + DAY == failed.value.retry_at


def judge(**changes) -> JudgeProof:
    fields = {
        "at": NOW,
        "tried_at": NOW,
        "claim": CLAIM,
        "issue": 1,
        "key_id": "k1",
        "proven": True,
        "query_id": "query-2",
        "code": "code-2",
        "rival_proven_at": None,
    }
    return JudgeProof(**(fields | changes))


@pytest.mark.parametrize("other", [{"issue": 2}, {"key_id": "k2"}])
def test_a_verdict_on_another_issue(other):
    """A right verdict on another issue, or under another key, counts as failed."""
    step = decide(Aggregate(state=proving()), judge(**other), FOREIGN)
    assert ["ProofFailed"] == names(step)


def test_a_verdict_after_the_code_ran_out():
    """There is no code to be right about."""
    assert ["ProofFailed"] == names(decide(Aggregate(state=proving(code=None)), judge(), FOREIGN))


@pytest.mark.parametrize("state", [proving(claim="claim-9"), identified(), awaiting()])
def test_a_verdict_on_another_claim(state):
    """A verdict that comes for an earlier claim is passed over."""
    assert () == decide(Aggregate(state=state), judge(), FOREIGN).events


def test_a_rival_who_proved_later():
    """By own determination, too, who proved possession later holds the number (I3)."""
    state = Aggregate(state=proving(code=live_code(sending=None)))
    over = decide(state, judge(rival_proven_at=NOW + MICROSECOND), DOMESTIC)
    assert Reason.DISPLACED is over.aggregate.state.reason
    won = decide(state, judge(rival_proven_at=NOW), DOMESTIC)
    assert isinstance(won.aggregate.state, Identified)


def test_claimed_when_nobody_was_to_be_asked():
    """A claim made without an operator does not pass a foreign messenger unasked (I5)."""
    state = Aggregate(state=proving(operator=None))
    over = decide(state, judge(), FOREIGN)
    assert Reason.NO_AGREEMENT is over.aggregate.state.reason
    assert isinstance(decide(state, judge(), DOMESTIC).aggregate.state, Identified)


# --- answers ------------------------------------------------------------------------


def answer(**changes) -> GiveAnswer:
    fields = {
        "at": NOW,
        "query_id": QUERY,
        "operator": "mts",
        "outcome": Outcome.HELD,
        "opaque": b"",
        "serving": None,
        "next_query_id": "query-2",
        "code": "code-2",
        "rival_proven_at": None,
    }
    return GiveAnswer(**(fields | changes))


@pytest.mark.parametrize(
    ("serving", "rerouted"), [(None, False), ("mts", False), ("beeline", True)]
)
def test_not_ours_ends_as_not_held(serving, rerouted):
    """With nobody else to ask, or for the second time, "not ours" is "not held"."""
    step = decide(
        Aggregate(state=awaiting(rerouted=rerouted)),
        answer(outcome=Outcome.NOT_OURS, serving=serving),
        FOREIGN,
    )
    assert Reason.NOT_HELD is step.aggregate.state.reason


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"query_id": "query-9"}, Ignored.LATE),
        ({"operator": "beeline"}, Ignored.OTHER_OPERATOR),
        ({"query_id": "query-9", "operator": "beeline"}, Ignored.LATE),
    ],
)
def test_an_answer_that_does_not_count(changes, why):
    """An answer counts under its own question, from the operator asked."""
    step = decide(Aggregate(state=awaiting(asking=None)), answer(**changes), FOREIGN)
    assert [why] == [each.why for each in step.events]
    assert awaiting(asking=None) == step.aggregate.state


def test_displaced_of_this_number_only():
    """Only who holds this very number gives way, from behind an attempt as well."""
    for state in (identified(), due_anew(), proving(identified(), number=Y, code=None)):
        aggregate = Aggregate(state=state)
        assert ["Displaced"] == names(decide(aggregate, Displace(at=NOW, number=X), FOREIGN))[:1]
        assert () == decide(aggregate, Displace(at=NOW, number=Y), FOREIGN).events
    bystander = Aggregate(state=proving(code=None))
    assert () == decide(bystander, Displace(at=NOW, number=X), FOREIGN).events


# --- notices ------------------------------------------------------------------------


def notice(**changes) -> HearNotice:
    fields = {
        "at": NOW,
        "notice_id": "n-1",
        "operator": "mts",
        "kind": NoticeKind.TERMINATED,
        "number": X,
        "happened_at": None,
        "serving": None,
    }
    return HearNotice(**(fields | changes))


def verdict(state, terrain=FOREIGN, **changes):
    step = decide(Aggregate(state=state), notice(**changes), terrain)
    return [getattr(each, "why", None) for each in step.events]


@pytest.mark.parametrize(
    ("state", "changes", "why"),
    [
        (identified(), {"operator": "beeline"}, Ignored.OTHER_OPERATOR),
        (identified(), {"happened_at": at(-61) - MICROSECOND}, Ignored.STALE),
        (identified(number=Y), {}, Ignored.STALE),
        (self_identified(), {"serving": "beeline"}, Ignored.OTHER_OPERATOR),
        (self_identified(), {"serving": None}, Ignored.OTHER_OPERATOR),
        (self_identified(), {"serving": "mts", "happened_at": at(-63)}, Ignored.STALE),
        (due_anew(), {"kind": NoticeKind.PORTED}, Ignored.ALREADY_DUE),
        (due_anew(NoticeKind.TERMINATED), {}, Ignored.ALREADY_DUE),
        (due_anew(NoticeKind.TERMINATED), {"happened_at": at(-99)}, Ignored.STALE),
        (awaiting(asking=None), {"operator": "beeline"}, Ignored.OTHER_OPERATOR),
        (awaiting(asking=None), {"happened_at": NOW - MICROSECOND}, Ignored.STALE),
        (awaiting(asking=None), {"number": Y}, Ignored.STALE),
        (
            awaiting(due_anew(NoticeKind.TERMINATED), operator="beeline", asking=None),
            {},
            Ignored.ALREADY_DUE,
        ),
        (
            awaiting(identified(), operator="beeline", asking=None),
            {"operator": "third"},
            Ignored.OTHER_OPERATOR,
        ),
    ],
)
def test_a_notice_that_does_not_count(state, changes, why):
    """A notice of another operator, number, time or no graver kind is ignored by name."""
    assert [why] == verdict(state, **changes)


@pytest.mark.parametrize(
    ("state", "changes", "events"),
    [
        (identified(), {"happened_at": at(-61)}, ["NoticeReceived", "ReidentificationRequired"]),
        (
            self_identified(),
            {"serving": "mts", "happened_at": at(-62)},
            ["NoticeReceived", "ReidentificationRequired"],
        ),
        (due_anew(), {}, ["NoticeReceived", "ReidentificationRequired"]),
        (
            awaiting(asking=None),
            {"happened_at": NOW},
            ["NoticeReceived", "IdentificationNotPassed"],
        ),
        (
            awaiting(identified(), asking=None),
            {},
            ["NoticeReceived", "ReidentificationRequired", "IdentificationNotPassed"],
        ),
        (
            awaiting(identified(number=Y), asking=None),
            {},
            ["NoticeReceived", "IdentificationNotPassed"],
        ),
    ],
)
def test_a_notice_that_counts(state, changes, events):
    """A fresh notice bears on what stands and on the open question, each on its own (I4)."""
    assert events == names(decide(Aggregate(state=state), notice(**changes), FOREIGN))


def test_one_operators_id_is_not_anothers():
    """Notice ids are each operator's own: the same id of another was not heard before."""
    heard = decide(Aggregate(state=identified()), notice(operator="beeline"), FOREIGN).aggregate
    assert ["NoticeReceived", "ReidentificationRequired"] == names(decide(heard, notice(), FOREIGN))
    again = decide(heard, notice(operator="beeline"), FOREIGN)
    assert [Ignored.REPEATED] == [each.why for each in again.events]


def test_a_due_instant_is_never_put_off():
    """A graver notice keeps the earlier of both due instants (S37)."""
    early, late = due_anew(), due_anew(due=at(30))
    for state, due in ((early, at(10)), (late, at(20))):
        assert due == decide(Aggregate(state=state), notice(), FOREIGN).aggregate.state.due


# --- outcomes -----------------------------------------------------------------------


def test_word_of_sending():
    """The code that is being sent is marked sent; word of any other is passed over."""

    def sent(state, **changes):
        fields = {"at": NOW, "claim": CLAIM, "issue": 1, "opaque": b"x"} | changes
        return names(decide(Aggregate(state=state), ReportSent(**fields), FOREIGN))

    assert ["CodeSent"] == sent(proving())
    assert [] == sent(proving(), claim="claim-9")
    assert [] == sent(proving(), issue=2)
    assert [] == sent(proving(code=None))
    assert [] == sent(proving(code=live_code(sending=None)))
    assert [] == sent(identified())


def failed(state, kind, effect_id, debts=(), policy=POLICY):
    command = ReportFailed(at=NOW, kind=kind, id=effect_id, cause="UNAVAILABLE")
    step = decide(Aggregate(state=state, debts=debts), command, terrain(policy=policy))
    return [each.next_try - NOW for each in step.events]


def test_word_of_failing():
    """What failed is tried again; word of what is not owed any more is passed over."""
    five = [5 * SECOND]
    assert five == failed(proving(), EffectKind.SEND_CODE, f"{CLAIM}.1")
    assert [] == failed(proving(), EffectKind.SEND_CODE, f"{CLAIM}.2")
    assert [] == failed(proving(code=None), EffectKind.SEND_CODE, f"{CLAIM}.1")
    assert [] == failed(proving(code=live_code(sending=None)), EffectKind.SEND_CODE, f"{CLAIM}.1")
    assert [] == failed(identified(), EffectKind.SEND_CODE, f"{CLAIM}.1")
    assert five == failed(awaiting(), EffectKind.ASK_OPERATOR, QUERY)
    assert [] == failed(awaiting(), EffectKind.ASK_OPERATOR, "query-9")
    assert [] == failed(awaiting(asking=None), EffectKind.ASK_OPERATOR, QUERY)
    assert [] == failed(identified(), EffectKind.ASK_OPERATOR, QUERY)
    assert five == failed(identified(), EffectKind.RECORD, RECORD.id, (RECORD,))
    assert [] == failed(identified(), EffectKind.RECORD, "code-9.record", (RECORD,))


@pytest.mark.parametrize(
    ("tries", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (10_000, 300)]
)
def test_waits_double_up_to_the_longest(tries, seconds):
    """Each wait is twice the last, up to the policy's longest."""
    state = awaiting(asking=Attempt(tries=tries, next_try=at(2)))
    expected = [timedelta(seconds=seconds)]
    assert expected == failed(state, EffectKind.ASK_OPERATOR, QUERY)


def test_word_of_acknowledgement():
    """An acknowledged debt is settled; word of what is not owed is passed over."""

    def acknowledged(kind, code):
        command = ReportAcknowledged(at=NOW, kind=kind, operator="mts", code=code)
        aggregate = Aggregate(state=identified(), debts=(RECORD, WITHDRAWAL))
        return names(decide(aggregate, command, FOREIGN))

    assert ["CodeRecorded"] == acknowledged(EffectKind.RECORD, CODE)
    assert ["RecordWithdrawn"] == acknowledged(EffectKind.WITHDRAW, "code-0")
    assert [] == acknowledged(EffectKind.WITHDRAW, CODE)
    assert [] == acknowledged(EffectKind.RECORD, "code-9")


# --- deadlines ----------------------------------------------------------------------


def tick(state, now, debts=(), settled=None, **parts):
    command = Tick(at=now, settled=now if settled is None else settled)
    return decide(Aggregate(state=state, debts=debts, **parts), command, FOREIGN)


QUIET = live_code(sending=None)
DEADLINES = [
    (proving(code=QUIET), at(5), "CodeExpired"),
    (proving(code=None), at(30), "IdentificationNotPassed"),
    (proving(due_anew(), code=None), at(10), "Lapsed"),
    (awaiting(asking=None), at(20), "IdentificationNotPassed"),
    (awaiting(due_anew(), asking=None), at(10), "Lapsed"),
    (due_anew(), at(10), "Lapsed"),
]


@pytest.mark.parametrize(("state", "due", "event"), DEADLINES)
def test_a_deadline_is_settled_at_its_instant(state, due, event):
    """A tick settles a deadline from its instant on, and not a microsecond before."""
    assert [] == names(tick(state, due - MICROSECOND))
    assert [event] == names(tick(state, due))[:1]
    assert [] == names(tick(state, due + SECOND, settled=due - MICROSECOND))


@pytest.mark.parametrize(("state", "due", "event"), DEADLINES)
def test_a_command_at_the_very_instant_is_in_time(state, due, event):
    """What arrives at the due instant sees it open; a microsecond later it is settled (I2)."""
    late = Displace(at=due + MICROSECOND, number=Y)
    assert () == decide(Aggregate(state=state), Displace(at=due, number=Y), FOREIGN).events
    assert [event] == names(decide(Aggregate(state=state), late, FOREIGN))[:1]


def test_deadlines_fall_in_their_order():
    """A sweep that comes very late settles everything, in the order in which it fell due."""
    state = proving(due_anew(due=at(20)), code=QUIET)
    step = tick(state, NOW + DAY)
    assert ["CodeExpired", "Lapsed", "IdentificationNotPassed"] == names(step)[:3]
    assert Reason.CLAIM_EXPIRED is step.aggregate.state.reason


def test_after_a_tick_nothing_is_left_to_wake_for():
    """After a tick the next wake is later than now, or there is none: a sweep cannot spin."""
    budgets = {"failures": ((TAG, (at(-5),)),), "sends": (at(-5),)}
    states = [*(state for state, _, _ in DEADLINES), identified(), Forgotten(at=NOW)]
    for state in states:
        for debts in ((), (WITHDRAWAL,)):
            for now in (NOW, at(5), at(10), at(30), NOW + DAY, NOW + 31 * DAY):
                wake = wakes_at(tick(state, now, debts, **budgets).aggregate)
                assert wake is None or wake > now


def test_a_debt_is_given_up_in_the_end():
    """After the policy's time a debt is given up by name; before, it is tried (P15)."""
    since = WITHDRAWAL.since
    kept = tick(not_passed(), since + 30 * DAY - MICROSECOND, (WITHDRAWAL,))
    assert ["AttemptStarted"] == names(kept)
    given_up = tick(not_passed(), since + 30 * DAY, (WITHDRAWAL,))
    assert ["DebtGivenUp"] == names(given_up)
    assert ((), ()) == (given_up.aggregate.debts, given_up.effects)


def test_budgets_of_the_forgotten_run_out():
    """What outlives a forgotten user is cleared a day after the last of it, debts first."""
    budgets = {"failures": ((TAG, (at(-5),)),), "sends": (at(-4),)}
    last = at(-4) + DAY
    assert [] == names(tick(Forgotten(at=NOW), last - MICROSECOND, **budgets))
    cleared = tick(Forgotten(at=NOW), last, **budgets)
    assert ["TombstoneCleared"] == names(cleared)
    assert Aggregate(state=Forgotten(at=NOW)) == cleared.aggregate
    waiting = tick(Forgotten(at=NOW), last, (WITHDRAWAL,), **budgets)
    assert ["AttemptStarted"] == names(waiting)


def test_what_is_owed_takes_its_lease():
    """What a decision owes is leased in the same commit, so that no sweep races the caller."""
    step = tick(awaiting(), at(2))
    assert ["AttemptStarted"] == names(step)
    assert [QUERY] == [each.id for each in step.effects]
    assert Attempt(tries=2, next_try=at(2) + POLICY.lease) == step.aggregate.state.asking


# --- forgetting ---------------------------------------------------------------------


def test_forgetting_twice_changes_nothing():
    """Only withdrawals and live budgets are kept, and a second time nothing happens."""
    aggregate = Aggregate(
        state=identified(),
        debts=(RECORD,),
        failures=((TAG, (at(-5),)), (OTHER_TAG, (NOW - DAY,))),
        sends=(NOW - DAY, at(-5)),
    )

    step = forget(aggregate, NOW, FOREIGN)

    assert ["UserForgotten", "AttemptStarted"] == names(step)
    after = step.aggregate
    assert [(EffectKind.WITHDRAW, CODE)] == [(each.kind, each.code) for each in after.debts]
    assert (((TAG, (at(-5),)),), (at(-5),)) == (after.failures, after.sends)
    again = forget(after, NOW + HOUR, FOREIGN)
    assert (after, (), ()) == (again.aggregate, again.events, again.effects)


# --- all of them --------------------------------------------------------------------

MONTH_LATER = Tick(at=NOW + 31 * DAY, settled=NOW + 31 * DAY)


@pytest.mark.parametrize(
    ("aggregate", "command", "where"),
    [
        (Aggregate(), claim(), FOREIGN),
        (Aggregate(state=proving()), claim(at=at(1)), FOREIGN),
        (Aggregate(state=proving()), TryProof(at=at(1)), FOREIGN),
        (Aggregate(state=proving()), judge(at=at(1)), FOREIGN),
        (Aggregate(state=proving()), judge(at=at(1)), DOMESTIC),
        (Aggregate(state=proving()), judge(at=at(1), proven=False), FOREIGN),
        (Aggregate(state=awaiting()), answer(at=at(1)), FOREIGN),
        (Aggregate(state=awaiting()), answer(at=at(1), query_id="query-9"), FOREIGN),
        (Aggregate(state=awaiting()), answer(at=at(1), operator="beeline"), FOREIGN),
        *[
            (Aggregate(state=awaiting()), answer(at=at(1), outcome=each, serving=serving), FOREIGN)
            for each in Outcome
            for serving in (None, "beeline")
        ],
        *[
            (Aggregate(state=state), notice(at=at(1), kind=kind), FOREIGN)
            for state in (identified(), due_anew(), awaiting(), proving(identified()))
            for kind in NoticeKind
        ],
        (Aggregate(state=identified()), notice(at=at(1), operator="beeline"), FOREIGN),
        (Aggregate(state=identified()), Displace(at=at(1), number=X), FOREIGN),
        (Aggregate(state=proving()), Tick(at=at(30), settled=at(30)), FOREIGN),
        (Aggregate(state=awaiting()), Tick(at=at(30), settled=at(30)), FOREIGN),
        (Aggregate(state=due_anew()), Tick(at=at(30), settled=at(30)), FOREIGN),
        (Aggregate(state=not_passed(), debts=(RECORD,)), MONTH_LATER, FOREIGN),
    ],
)
def test_everything_that_happens_bears_the_instant_of_its_command(aggregate, command, where):
    """Whatever a command leads to happened when the command came."""
    step = decide(aggregate, command, where)
    assert step.events
    assert {command.at} == {each.at for each in step.events}


def test_what_is_written_of_a_claim():
    """The journal holds all of a claim: number, operator, rules, locale, and until when."""
    made = claim(unlisted=True, locale="ru", tags=(TAG, OTHER_TAG))
    claimed, issued, _ = decide(Aggregate(), made, FOREIGN).events
    assert (
        NumberClaimed(
            at=NOW,
            number=X,
            unlisted=True,
            tag=TAG,
            claim="claim-2",
            operator="mts",
            rules="1801",
            locale="ru",
            expires_at=NOW + Policy().claim_valid,
            older_tags=(OTHER_TAG,),
        )
        == claimed
    )
    code_valid = NOW + Policy().code_valid
    assert (
        CodeIssued(at=NOW, claim="claim-2", issue=1, key_id="k1", expires_at=code_valid) == issued
    )


def test_what_is_written_of_a_proof():
    """The journal names the claim of a try and of its verdict, and when the try was made."""
    charged = Aggregate(state=proving())
    tried = decide(charged, TryProof(at=NOW), FOREIGN)
    assert (ProofTried(at=NOW, claim=CLAIM, tag=TAG),) == tried.events
    failed = decide(charged, judge(proven=False), FOREIGN)
    assert (ProofFailed(at=NOW, claim=CLAIM),) == failed.events
    proven = decide(charged, judge(tried_at=at(-1)), FOREIGN)
    expected = PossessionProven(at=NOW, claim=CLAIM, tag=TAG, tried_at=at(-1))
    assert expected == proven.events[0]


def test_what_is_written_of_an_answer():
    """The journal holds whose answer it was, to which question, and why it was passed over."""
    heard = decide(Aggregate(state=awaiting()), answer(outcome=Outcome.UNDETERMINED), FOREIGN)
    received = AnswerReceived(at=NOW, query_id=QUERY, operator="mts", outcome=Outcome.UNDETERMINED)
    assert received == heard.events[0]
    later = decide(
        Aggregate(state=awaiting()), answer(outcome=Outcome.LATER, opaque=b"ref"), FOREIGN
    )
    assert AnswerDeferred(at=NOW, query_id=QUERY, opaque=b"ref") == later.events[0]
    late = decide(Aggregate(), answer(), FOREIGN)
    ignored = LateAnswerIgnored(
        at=NOW, query_id=QUERY, operator="mts", outcome=Outcome.HELD, why=Ignored.LATE
    )
    assert (ignored,) == late.events


def test_two_deadlines_at_one_instant():
    """A code and its claim that run out together both do, the claim first."""
    state = proving(code=live_code(expires_at=at(30)), expires_at=at(30))
    step = decide(Aggregate(state=state), Tick(at=at(30), settled=at(30)), FOREIGN)
    assert Reason.CLAIM_EXPIRED is step.aggregate.state.reason
