"""The calendar: what is due by when, counted, and with its source."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import attrs
import pytest

from abonent import (
    RESOLUTION_1279,
    RESOLUTION_1801,
    Agreement,
    AsyncIdentifier,
    Identifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    NoticeKind,
    OneTimeCodes,
    Policy,
)
from abonent.compliance import DueItem, DueKind, Register, calendar_of
from abonent.compliance.agenda import Known, agenda
from abonent.compliance.ahead import Ahead
from abonent.compliance.proceeding.events import (
    AccessRestricted,
    NoticeDrawnUp,
    RemedyOrdered,
    ViolationRemedied,
)
from abonent.core.agreements import Agreements
from abonent.core.rules import DRAFT_2017, RULE_SETS
from abonent.errors import (
    IdentifierClosed,
    InvalidValue,
    NaiveInstant,
    RecordDamaged,
    UnknownMessenger,
)
from abonent.ports import Record
from abonent.simulation import Reply, SimulatedClock, SimulatedSender
from abonent.testing import Rehearsal
from tests.core.samples import (
    DAY,
    MICROSECOND,
    MINUTE,
    NOW,
    STATES,
    at,
    awaiting,
    due_anew,
    identified,
    proving,
    self_identified,
)

EVER = datetime(2100, 1, 1, tzinfo=UTC)
R1801 = "Resolution No. 1801 of 2021-10-20"
DRAFT = "draft of September 2017"
SILENT = "policy, for the draft of September 2017 is silent"
MOSCOW = timezone(timedelta(hours=3))


def known(*states, until=EVER, agreements=(), register=None, rules=None, **changes) -> Known:
    ahead = Ahead(until=until, rules=rules)
    for each in states:
        ahead.add(each)
    given = {
        "now": NOW,
        "until": until,
        "ahead": ahead,
        "agreements": Agreements("messenger", agreements),
        "needs_agreement": False,
        "rule_sets": (),
        "register": register,
    }
    return Known(**(given | changes))


def agreed(name="with-mts", operator="mts", starts=NOW - 99 * DAY, ends=None) -> Agreement:
    return Agreement(id=name, messenger="messenger", operator=operator, starts=starts, ends=ends)


def brief(items):
    return [(each.kind, each.at, each.operator, each.count) for each in items]


# --- users ----------------------------------------------------------------------------


def test_users_are_counted_by_operator():
    """One line for each operator and duty: how many, the earliest and the latest."""
    states = [awaiting(due=at(each)) for each in (7, 3, 20)]
    other = awaiting(operator="beeline", due=at(5))
    items = agenda(known(*states, other))
    assert [
        (DueKind.ANSWER_AWAITED, at(3), "mts", 3),
        (DueKind.ANSWER_AWAITED, at(5), "beeline", 1),
    ] == brief(items)
    assert [at(20), at(5)] == [each.latest for each in items]
    assert {R1801} == {each.source for each in items}


def test_every_state_is_looked_through():
    """An older identification behind an attempt counts as it stands; the others ask for nothing."""
    answers = [each for each in STATES if type(each).__name__ == "AwaitingAnswer"]
    anew = [
        each
        for each in STATES
        if "ReidentificationDue" in (type(each).__name__, type(getattr(each, "before", 0)).__name__)
    ]
    items = agenda(known(*STATES))
    assert [
        (DueKind.REIDENTIFICATION_DUE, at(10), "mts", len(anew)),
        (DueKind.ANSWER_AWAITED, at(20), "mts", len(answers)),
    ] == brief(items)
    assert 7 == len(anew)


def test_an_attempt_in_front_of_what_is_due_is_both():
    """A user who is to be identified anew and waits for an answer is counted under both duties."""
    kinds = [each.kind for each in agenda(known(awaiting(due_anew())))]
    assert [DueKind.REIDENTIFICATION_DUE, DueKind.ANSWER_AWAITED] == kinds


def test_who_was_identified_by_the_messenger_has_no_operator():
    """A domestic messenger's own users are a group of their own."""
    items = agenda(known(due_anew(was=self_identified()), due_anew()))
    assert [
        (DueKind.REIDENTIFICATION_DUE, at(10), None, 1),
        (DueKind.REIDENTIFICATION_DUE, at(10), "mts", 1),
    ] == brief(items)


def test_the_last_instant_is_shown():
    """`until` is inclusive; what is due a microsecond later is not, and not counted either."""
    states = [awaiting(due=at(3)), awaiting(due=at(3) + MICROSECOND), due_anew(due=at(4))]
    assert [(DueKind.ANSWER_AWAITED, at(3), "mts", 1)] == brief(agenda(known(*states, until=at(3))))


def test_what_is_overdue_is_shown():
    """A sweep that is late shows in the calendar."""
    assert [at(-60)] == [each.at for each in agenda(known(awaiting(due=at(-60))))]


def test_each_figure_has_its_own_source():
    """That of the rule set under which it was asked, or of the day on which notice came (S39)."""
    old = datetime(2020, 1, 1, tzinfo=UTC)
    states = [
        awaiting(rules="1279"),
        due_anew(was=identified(rules="1279")),
        due_anew(was=identified(rules="1279"), noticed_at=old),
        due_anew(was=identified(rules="1279"), noticed_at=RESOLUTION_1801.ends),
        awaiting(rules="draft-2017"),
    ]
    found = {(each.kind, each.source): each.count for each in agenda(known(*states))}
    assert {
        (DueKind.ANSWER_AWAITED, RESOLUTION_1279.title): 1,
        (DueKind.ANSWER_AWAITED, SILENT): 1,
        (DueKind.REIDENTIFICATION_DUE, R1801): 1,
        (DueKind.REIDENTIFICATION_DUE, RESOLUTION_1279.title): 2,
    } == found


def test_a_what_if_run_is_cited_as_such():
    """Rules that were named for a run are those of its notices as well."""
    (item,) = agenda(known(due_anew(), rules=DRAFT_2017))
    assert SILENT == item.source


# --- agreements (S33) -----------------------------------------------------------------


def test_an_agreement_that_ends():
    """S33: with how many users it leaves unwatched, whatever they are about."""
    ends = NOW + 30 * DAY
    states = [identified(), due_anew(due=EVER + DAY), proving(identified()), self_identified()]
    items = agenda(known(*states, agreements=[agreed(ends=ends)]))
    assert [(DueKind.AGREEMENT_ENDS, ends, "mts", 3)] == brief(items)
    assert ("with-mts", "") == (items[0].about, items[0].source)


def test_an_agreement_that_goes_on_is_no_news():
    """Where another follows at once, or none ends, nothing is due; a gap of an instant is."""
    ends = NOW + 30 * DAY
    first, users = agreed(ends=ends), (identified(), identified())
    assert () == agenda(known(*users, agreements=[agreed()]))
    assert () == agenda(known(*users, agreements=[first, agreed("next", starts=ends)]))
    gap = agreed("next", starts=ends + MICROSECOND)
    assert [ends] == [each.at for each in agenda(known(*users, agreements=[first, gap]))]
    other = agreed("next", operator="beeline", starts=ends)
    assert [ends] == [each.at for each in agenda(known(*users, agreements=[first, other]))]


def test_an_agreement_that_ends_beyond_the_horizon_is_not_shown():
    """The horizon is inclusive, for ends as well."""
    ends = NOW + 30 * DAY
    given = {"agreements": [agreed(ends=ends)]}
    assert 1 == len(agenda(known(until=ends, **given)))
    assert () == agenda(known(until=ends - MICROSECOND, **given))


def test_users_whom_nobody_watches():
    """S33: the agreement ended, the identification stays: counted since then, until the next."""
    ended = agreed(ends=NOW)
    (item,) = agenda(known(identified(), agreements=[ended]))
    assert (DueKind.USERS_UNWATCHED, NOW, "mts", 1, "with-mts") == (
        *brief([item])[0],
        item.about,
    )
    older = agreed("older", ends=NOW - 9 * DAY)
    newer = agreed("newer", starts=NOW - 9 * DAY, ends=NOW - DAY)
    (item,) = agenda(known(identified(), agreements=[older, newer]))
    assert ("newer", NOW - DAY) == (item.about, item.at)
    assert () == agenda(known(identified(), agreements=[ended, agreed("next", starts=NOW)]))
    assert () == agenda(known(self_identified(), agreements=[ended]))


def test_users_of_an_operator_with_whom_nothing_was_agreed():
    """A foreign messenger's are unwatched now; a domestic one needs no agreement."""
    (item,) = agenda(known(identified(), needs_agreement=True))
    assert (DueKind.USERS_UNWATCHED, NOW, "mts", 1) == brief([item])[0]
    assert item.about is None
    assert () == agenda(known(identified()))
    assert () == agenda(known(self_identified(), needs_agreement=True))
    later = agreed(starts=NOW + DAY)
    assert 1 == len(agenda(known(identified(), agreements=[later], needs_agreement=True)))


def test_dates_of_agreements_come_out_in_utc():
    """However they were given."""
    ends = datetime(2026, 7, 1, tzinfo=MOSCOW)
    (item,) = agenda(known(agreements=[agreed(ends=ends)]))
    assert "2026-06-30T21:00:00+00:00" == item.at.isoformat()


# --- rules ----------------------------------------------------------------------------


def test_the_end_of_the_rules():
    """1801 ends on 1 March 2028, at 00:00 in Moscow, and nothing is known to follow."""
    (item,) = agenda(known(rule_sets=RULE_SETS))
    assert (DueKind.RULES_END, "2028-02-29T21:00:00+00:00") == (item.kind, item.at.isoformat())
    assert ("1801", R1801, 0) == (item.about, item.source, item.count)
    assert "no claim is accepted" in item.what


def test_rules_that_others_follow():
    """Under 1279, the calendar names the set that comes next."""
    (item,) = agenda(known(rule_sets=RULE_SETS, now=datetime(2021, 1, 1, tzinfo=UTC)))
    assert ("1279", RESOLUTION_1279.ends) == (item.about, item.at)
    assert "rule set 1801 applies" in item.what


def test_rules_that_have_ended_stay_in_sight():
    """In 2029 nothing is in force, and the calendar says since when."""
    (item,) = agenda(known(rule_sets=RULE_SETS, now=datetime(2029, 1, 1, tzinfo=UTC)))
    assert RESOLUTION_1801.ends == item.at


def test_before_the_first_rules_and_without_an_end():
    """Where none has begun, and where one has no end, nothing ends."""
    assert () == agenda(known(rule_sets=RULE_SETS, now=datetime(2019, 5, 4, 20, tzinfo=UTC)))
    endless = attrs.evolve(RESOLUTION_1801, ends=None)
    assert () == agenda(known(rule_sets=(endless,)))


# --- proceedings ----------------------------------------------------------------------


def proceedings(*events):
    found = Register(messenger="messenger")
    for each in events:
        found = found.after(each)
    return found


ORDERED = (
    NoticeDrawnUp(on=date(2026, 5, 20), case="a"),
    RemedyOrdered(on=date(2026, 5, 25), case="a"),
)


def test_an_order_to_remedy():
    """Its line stands where its last day is over, and names that day."""
    (item,) = agenda(known(register=proceedings(*ORDERED)))
    assert (DueKind.REMEDY_ORDERED, "2026-06-09T21:00:00+00:00") == (
        item.kind,
        item.at.isoformat(),
    )
    assert ("a", 1, DRAFT) == (item.about, item.count, item.source)
    assert "by the end of 2026-06-09" in item.what


def test_an_order_that_was_not_met():
    """From the next day on, access may be restricted; once it is, or all is well, nothing is."""
    unmet = proceedings(*ORDERED).on(date(2026, 6, 10))
    (item,) = agenda(known(register=unmet))
    assert (DueKind.RESTRICTION_POSSIBLE, "2026-06-09T21:00:00+00:00") == (
        item.kind,
        item.at.isoformat(),
    )
    assert ("a", 1, DRAFT) == (item.about, item.count, item.source)
    restricted = unmet.after(AccessRestricted(on=date(2026, 6, 10), case="a"))
    assert () == agenda(known(register=restricted))
    met = proceedings(*ORDERED, ViolationRemedied(on=date(2026, 5, 26), case="a"))
    assert () == agenda(known(register=met))
    assert () == agenda(known(register=proceedings(ORDERED[0])))


# --- lines ----------------------------------------------------------------------------


def test_lines_stand_in_their_order():
    """By instant, then by kind, operator and id: the same facts give the same calendar."""
    ends = at(10)
    agreements = [agreed(f"with-{each}", operator=each, ends=ends) for each in ("z", "b", "mts")]
    states = [due_anew(), awaiting(due=at(10)), awaiting(due=at(10), operator="b")]
    items = agenda(known(*states, agreements=agreements))
    assert [
        (DueKind.ANSWER_AWAITED, "b"),
        (DueKind.ANSWER_AWAITED, "mts"),
        (DueKind.REIDENTIFICATION_DUE, "mts"),
        (DueKind.AGREEMENT_ENDS, "b"),
        (DueKind.AGREEMENT_ENDS, "mts"),
        (DueKind.AGREEMENT_ENDS, "z"),
    ] == [(each.kind, each.operator) for each in items]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"at": datetime(2026, 6, 1)}, NaiveInstant),
        ({"latest": datetime(2026, 6, 1)}, NaiveInstant),
        ({"latest": NOW - MICROSECOND}, InvalidValue),
        ({"kind": "rules_end"}, InvalidValue),
    ],
)
def test_a_line_that_cannot_be(wrong, error):
    """Instants are aware, the latest is not before the earliest, and kinds are of the list."""
    right = {"at": NOW, "latest": NOW, "kind": DueKind.RULES_END, "what": "it ends"}
    assert DueItem(**right).at == NOW
    with pytest.raises(error):
        DueItem(**(right | wrong))


def test_the_values_of_kinds_are_stable():
    """They are stored and compared by others."""
    assert (
        "answer_awaited reidentification_due remedy_ordered restriction_possible agreement_ends "
        "users_unwatched rules_end"
    ) == " ".join(each.value for each in DueKind)


# --- of an identifier -----------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_the_calendar_of_an_identifier(page, monkeypatch):
    """Users as they stand, page by page; agreements, rules and the register beside them."""
    monkeypatch.setattr("abonent.compliance.calendar._PAGE", page)
    with Rehearsal(answers=Reply.LATER) as stand:
        for user in ("a", "b", "c", "d", "e"):
            stand.claimed(user)
        for user in ("a", "b", "c"):
            stand.proven(user)
        for user in ("a", "b"):
            stand.answer(user)
        stand.pass_time(timedelta(minutes=1))
        stand.end_subscription("a", NoticeKind.PORTED)
        stand.proven("d")
        stand.identifier.forget("e")
        register = proceedings(*ORDERED)
        items = calendar_of(stand.identifier, until=EVER, register=register)
    operator = stand.operator.id
    assert [
        (DueKind.ANSWER_AWAITED, NOW + 20 * MINUTE, operator, 2),
        (DueKind.REIDENTIFICATION_DUE, NOW + 21 * MINUTE, operator, 1),
        (DueKind.REMEDY_ORDERED, datetime(2026, 6, 9, 21, tzinfo=UTC), None, 1),
        (DueKind.RULES_END, RESOLUTION_1801.ends, None, 0),
    ] == brief(items)
    assert NOW + 21 * MINUTE == items[0].latest


def test_nobody_is_named():
    """I9: no user id, number or identification code stands in a line."""
    with Rehearsal() as stand:
        code = stand.identified("alice").identification_code
        stand.end_subscription("alice")
        told = repr(calendar_of(stand.identifier, until=EVER))
        assert "REIDENTIFICATION_DUE" in told
        for secret in ("alice", stand.number("alice").e164.lstrip("+"), code):
            assert secret not in told


def test_the_register_stands_on_the_day_of_the_clock():
    """An order whose last day has passed by now was not met."""
    with Rehearsal() as stand:
        register = proceedings(*ORDERED)
        stand.clock.advance(datetime(2026, 6, 9, 20, 59, 59, tzinfo=UTC) - NOW)
        (running, _) = calendar_of(stand.identifier, until=EVER, register=register)
        stand.clock.advance(timedelta(seconds=1))
        (unmet, _) = calendar_of(stand.identifier, until=EVER, register=register)
    assert [DueKind.REMEDY_ORDERED, DueKind.RESTRICTION_POSSIBLE] == [running.kind, unmet.kind]
    assert running.at == unmet.at


def test_a_what_if_run_has_no_end_of_rules():
    """Rules that were named do not end by date; a domestic messenger needs no agreement."""
    clock = SimulatedClock()
    with Identifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(SimulatedSender()),
        rules=DRAFT_2017,
        policy=Policy(answer_within=MINUTE, reidentify_within=MINUTE),
        clock=clock,
        unsafe_test_doubles=True,
    ) as identifier:
        assert () == calendar_of(identifier, until=EVER)


def test_facts_about_another_messenger_are_refused():
    """A file that was mixed up is no calendar."""
    with Rehearsal() as stand, pytest.raises(UnknownMessenger):
        calendar_of(stand.identifier, until=EVER, register=Register(messenger="other"))


def test_an_instant_has_a_time_zone():
    """P16, here as well."""
    with Rehearsal() as stand, pytest.raises(NaiveInstant):
        calendar_of(stand.identifier, until=datetime(2026, 7, 1))


def test_the_horizon_may_be_told_in_any_zone():
    """It is the instant that counts."""
    with Rehearsal() as stand:
        stand.clock.advance(datetime(2028, 2, 1, tzinfo=UTC) - NOW)
        until = datetime(2028, 3, 1, tzinfo=MOSCOW)
        assert 1 == len(calendar_of(stand.identifier, until=until))
        assert () == calendar_of(stand.identifier, until=until - MICROSECOND)


def test_a_damaged_record_is_not_passed_over(monkeypatch):
    """A calendar that leaves out what it cannot read would be a wrong one."""
    scan = MemoryStorage.scan

    def damaged(*given):
        return [(key, Record(each.version, each.body[:-1] + b"?")) for key, each in scan(*given)]

    with Rehearsal() as stand:
        stand.identified("alice")
        monkeypatch.setattr(MemoryStorage, "scan", damaged)
        with pytest.raises(RecordDamaged):
            calendar_of(stand.identifier, until=EVER)


def test_the_agreements_are_those_of_the_identifier():
    """A foreign messenger that has none any more is told so."""
    with Rehearsal() as stand:
        stand.identified("alice")
        archive = stand.identifier._engine.archive
        archive.terrain = attrs.evolve(archive.terrain, agreements=Agreements("messenger"))
        unwatched, _ = calendar_of(stand.identifier, until=EVER)
    assert (DueKind.USERS_UNWATCHED, NOW, stand.operator.id, 1) == brief([unwatched])[0]


def test_a_closed_identifier_has_no_calendar(monkeypatch):
    """It says so, whatever its store would still tell."""
    with Rehearsal() as stand:
        pass
    monkeypatch.setattr(MemoryStorage, "scan", lambda *_: [])
    with pytest.raises(IdentifierClosed):
        calendar_of(stand.identifier, until=EVER)


def test_of_an_identifier_for_asyncio():
    """The same, called in a thread."""

    async def asked():
        async with AsyncIdentifier(
            messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
            storage=MemoryStorage(),
            keys=MemoryKeys.random(),
            possession=OneTimeCodes(SimulatedSender()),
            clock=SimulatedClock(),
            unsafe_test_doubles=True,
        ) as identifier:
            return await asyncio.to_thread(calendar_of, identifier, until=EVER)

    assert [DueKind.RULES_END] == [each.kind for each in asyncio.run(asked())]
