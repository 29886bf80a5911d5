"""What lies in the books: places, rotation, replay, damage, and what a task leaves behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

import abonent.operator
from abonent import MemoryKeys, MemoryStorage, NoticeKind, Outcome
from abonent.engine.commits import Task
from abonent.errors import (
    AbonentError,
    Contended,
    DoubleRefused,
    IdentifierClosed,
    KeyUnavailable,
    RecordDamaged,
    StoreUnavailable,
    Unavailable,
    UnknownOperator,
)
from abonent.operator import AsyncOperatorDesk, DeskPolicy, OperatorDesk
from abonent.operator.books import OWED, Draft, Sheets
from abonent.operator.core.duty import Record, Withdraw
from abonent.operator.core.owed import owed
from abonent.operator.core.states import Line, NoticeOwed, Recorded, Told
from abonent.ports import Put, Query, RecordEntry, Unit
from tests.operator.parts import (
    BOTH_1,
    BOTH_2,
    CODE,
    CODE_2,
    COVERED,
    DAY,
    KEY_1,
    MINUTE,
    MTS,
    SECOND,
    START,
    Base,
    Carrier,
    Desk,
    X,
    Y,
    agreement,
)


def test_the_operators_books_are_apart_from_any_messengers():
    """The space is one that no messenger's can be: an id holds no space."""
    with Desk() as desk:
        desk.identify()
        assert "operator mts" == desk.books.space
        assert [] == desk.storage.scan("mts", b"", 10)
        assert b"notice owed" == OWED


def test_a_line_lists_the_records_that_stand(shell):
    """A record that is withdrawn or owes a notice is not listed any more."""
    with Desk(shell) as desk:
        desk.identify("m", code=CODE)
        desk.identify("n", code=CODE_2)
        assert [2] == [len(each.records) for each in desk.kept(Line)]
        desk.withdraw("m", CODE)
        (line,) = desk.kept(Line)
        assert [desk.books.code("n", CODE_2)[0]] == list(line.records)
        desk.move(at=START + SECOND)
        assert [()] == [each.records for each in desk.kept(Line)]


# --- rotation -----------------------------------------------------------------------------


@pytest.mark.parametrize(("older", "newer"), [(KEY_1, BOTH_2), (BOTH_1, BOTH_2), (BOTH_2, BOTH_1)])
def test_what_one_key_wrote_is_found_under_another(older, newer):
    """A desk that came up with another current key finds questions, records and lines."""
    with Desk(keys=older) as desk:
        desk.identify()
        assert desk.ask(name="query-7") is Outcome.HELD
        with Desk(storage=desk.storage, keys=newer, clock=desk.clock) as other:
            assert other.ask(name="query-7") is Outcome.HELD
            assert [] == other.base.asked
            other.record()
            assert 1 == len(list(other.desk.records("m")))
            assert 1 == other.move(at=START + SECOND)
            other.sweep()
            assert 1 == len(other.carrier.told)
            assert other.desk.replay().ok
            other.books.storage = MemoryStorage()  # the store is not this desk's to close


def test_two_current_keys_do_not_make_two_rows_of_one_thing():
    """While keys are rotated, the same line is begun by two processes once: the second finds it."""
    with Desk(keys=BOTH_1) as one, Desk(storage=one.storage, keys=BOTH_2) as two:
        meant = [desk.books.line(X) for desk in (one, two)]
        assert meant[0] == meant[1][::-1]
        commit = one.storage.commit

        def overtaken(units):
            one.storage.commit = commit
            two.move(at=START)  # in between, the other process begins the line in its own place
            return commit(units)

        one.storage.commit = overtaken
        one.record()
        (line,) = one.kept(Line)
        assert 1 == len(line.ends)
        assert 1 == len(one.kept(NoticeOwed))
        two.books.storage = MemoryStorage()


def test_a_row_under_a_key_that_is_gone_says_which():
    """Without the key nothing is answered wrongly: the error names it."""
    with Desk(keys=BOTH_2) as desk:
        desk.identify()
        keys = BOTH_1._keys
        without = MemoryKeys(type(keys)(current="k1", roots={"k1": keys.roots["k1"]}))
        with Desk(storage=desk.storage, keys=without) as other:
            with pytest.raises(KeyUnavailable):
                list(other.desk.records("m"))
            other.books.storage = MemoryStorage()


# --- replay and damage --------------------------------------------------------------------


def reseal(desk, file, state):
    """Put another state in the place of a row, as if it had been written."""
    keyring, row = desk.books.keyring, replace(file.row, state=state)
    from abonent.operator.records import encode_row

    body = keyring.seal_row(file.key, file.version + 1, encode_row(row))
    assert desk.storage.commit([Unit(desk.books.space, (Put(file.key, file.version, body),))])


def test_replaying_gives_every_row_and_names_what_differs(shell):
    """A row that the journal does not give is named by its key, and by nothing else."""
    with Desk(shell) as desk:
        desk.identify()
        desk.identify("n", Y, CODE_2)
        report = desk.desk.replay()
        assert report.ok
        assert (len(desk.states()), 0) == (report.records, report.unreadable)
        assert report.entries <= report.events
        file = next(each for each in desk.books.pages() if isinstance(each.state, Recorded))
        reseal(desk, file, Told(at=START))
        assert (file.key.hex(),) == desk.desk.replay().differing
        reseal(desk, replace(file, version=file.version + 1), file.state)
        assert desk.desk.replay().ok


def test_a_journal_that_the_table_refuses_differs():
    """An entry that could not have happened makes its row differ, and ends nothing else."""
    with Desk() as desk:
        desk.identify()
        file = next(each for each in desk.books.pages() if isinstance(each.state, Recorded))
        draft = Draft(Sheets(desk.books))
        after, _ = draft.apply(file, Withdraw(at=START))
        unit = draft.unit()
        for number in (file.version + 1, file.version + 2):
            entry = replace(
                unit.appends[0],
                number=number,
                body=desk.books.keyring.seal_entry(
                    file.row.subject_key,
                    number,
                    desk.books.keyring.open_entry(
                        file.row.subject_key, after.version, unit.appends[0].body
                    ),
                ),
            )
            desk.storage.commit([Unit(desk.books.space, appends=(entry,))])
        assert (file.key.hex(),) == desk.desk.replay().differing


@pytest.mark.parametrize("position", range(0, 60, 7))
def test_a_damaged_row_is_refused(position):
    """Whatever byte of a record is damaged, it is not taken for another record."""
    with Desk() as desk:
        desk.identify()
        file = next(each for each in desk.books.pages() if isinstance(each.state, Recorded))
        (record,) = desk.storage.load(desk.books.space, (file.key,))
        damaged = bytearray(record.body)
        damaged[position % len(damaged)] ^= 1
        change = Put(file.key, record.version, bytes(damaged))
        assert desk.storage.commit([Unit(desk.books.space, (change,))])
        with pytest.raises((RecordDamaged, KeyUnavailable)):
            desk.withdraw()
        with pytest.raises((RecordDamaged, KeyUnavailable)):
            desk.move(at=START + SECOND)
        assert desk.ask(name="query-2") is Outcome.HELD  # it hurts who needs it


# --- tasks --------------------------------------------------------------------------------


def test_what_a_task_did_before_it_failed_is_not_kept():
    """A task that raises leaves its unit as it found it."""
    with Desk() as desk:
        draft = Draft(Sheets(desk.books))
        command = Record(at=START, messenger="m", number=X, code=CODE, hold=None)

        def fails(inner):
            inner.apply(inner.at(desk.books.code("m", CODE)), command)
            raise LookupError

        with pytest.raises(LookupError):
            draft.attempt(fails)
        assert draft.unit() is None
        draft.apply(draft.at(desk.books.code("m", CODE)), command)
        with pytest.raises(LookupError):
            draft.attempt(fails)
        assert 1 == len(draft.unit().puts)


def test_tasks_about_one_number_share_a_unit():
    """What saw an uncommitted change wins or loses with it; all of it is one unit."""
    with Desk() as desk:
        loop, units = desk.desk.inner._loop, []
        commit = desk.storage.commit
        desk.storage.commit = lambda batch: units.append(batch) or commit(batch)
        tasks = []
        for messenger, code in (("m", CODE), ("n", CODE_2)):
            entry = RecordEntry(id="r", messenger=messenger, number=X, code=code)
            tasks.append(next(loop.record(entry, START)))
        tasks.append(next(loop.record(replaced(tasks[0]), START)))
        loop.commits.submit_all([Task(each.keys[::-1], each.work) for each in tasks])
        assert [1] == [len(each) for each in units]
        assert 3 == len(units[0][0].puts)
        assert [2] == [len(each.records) for each in desk.kept(Line)]
        assert desk.desk.replay().ok


def replaced(_):
    """The same entry once more."""
    return RecordEntry(id="r", messenger="m", number=X, code=CODE)


def test_an_effect_that_was_cancelled_while_it_waited_is_not_performed():
    """Between the commit that owes a notice and its place in the lane, the code is withdrawn."""
    with Desk() as desk:
        desk.identify()
        desk.move(at=START + SECOND)
        (file,) = [each for each in desk.books.pages() if isinstance(each.state, NoticeOwed)]
        (effect,) = owed(file.state, START + MINUTE)
        desk.withdraw()
        inner = desk.desk.inner
        carry_out = inner._loop._carry_out
        inner._drive(carry_out(file.key, effect, START + DAY, "m", False))
        inner._drive(carry_out(b"no such row", effect, START + DAY, "m", False))
        assert [] == desk.carrier.tries


def test_an_effect_that_waited_for_longer_than_its_lease_is_left_to_another_try():
    """At the end of its lease a try does not begin: the next one has begun."""
    with Desk() as desk:
        desk.identify()
        desk.move(at=START + SECOND)
        (file,) = [each for each in desk.books.pages() if isinstance(each.state, NoticeOwed)]
        (effect,) = owed(file.state, START + MINUTE)
        inner = desk.desk.inner
        inner._drive(inner._loop._carry_out(file.key, effect, START, "m", False))
        assert [] == desk.carrier.tries
        inner._drive(inner._loop._carry_out(file.key, effect, START + SECOND, "m", False))
        assert 1 == len(desk.carrier.told)


class Moody(MemoryStorage):
    """A store that can be out of reach, or where others always win."""

    away = losing = False

    def load(self, space, keys):
        if self.away:
            raise StoreUnavailable("away")
        return super().load(space, keys)

    def commit(self, units):
        if self.away:
            raise StoreUnavailable("away")
        return [False for _ in units] if self.losing else super().commit(units)


def test_a_store_that_goes_away_while_a_notice_is_given_loses_nothing(shell):
    """The outcome is lost, the debt is not: the notice comes again under its id."""
    store = Moody()
    with Desk(shell, store) as desk:
        desk.identify()
        desk.move(at=START + SECOND)
        reach = desk.carrier._reach

        def cut(messenger, name):
            reach(messenger, name)
            store.away = True

        desk.carrier._reach = cut
        desk.sweep()
        desk.carrier._reach = reach
        store.away = False
        desk.sweep(MINUTE)
        assert 2 == len(desk.carrier.told)
        assert 1 == len({notice.id for _, notice in desk.carrier.told})
        assert 1 == len(desk.kept(Told))


def test_who_always_loses_is_told_so(shell):
    """Where other writers keep winning nothing is half-done."""
    store = Moody()
    with Desk(shell, store) as desk:
        store.losing = True
        with pytest.raises(Contended):
            desk.record()
        with pytest.raises(Contended):
            desk.ask()
        store.losing = False
        assert [] == desk.states()


# --- building and closing -----------------------------------------------------------------


def test_doubles_stay_out_of_production():
    """A desk refuses test doubles unless it is told otherwise (P12)."""
    parts = {"operator": MTS, "keys": KEY_1, "agreements": COVERED}
    for base, carrier in ((Base(), object()), (object(), Carrier())):
        with pytest.raises(DoubleRefused):
            OperatorDesk(storage=MemoryStorage(), base=base, carrier=carrier, **parts)


def test_a_desk_of_real_adapters_needs_no_leave():
    """What is no double is taken as it is, with the clock of the machine."""
    base, carrier = Base(), Carrier()
    for each in (base, carrier):
        each.test_double = False
    base.hold(X)
    parts = {"operator": MTS, "keys": KEY_1, "agreements": COVERED}
    with OperatorDesk(storage=MemoryStorage(), base=base, carrier=carrier, **parts) as desk:
        now = datetime.now(UTC)
        query = Query(id="q", messenger="m", number=X, asked_at=now, due=now)
        assert desk.ask(query).outcome is Outcome.HELD
        (line,) = [each.state for each in desk._books.pages() if isinstance(each.state, Line)]
        assert timedelta(0) <= line.kept_until - DeskPolicy().kept - now < MINUTE


def test_a_desk_takes_its_own_agreements_only(shell):
    """An agreement of another operator ends the building."""
    foreign = type(COVERED[0])(id="x", messenger="m", operator="beeline", starts=COVERED[0].starts)
    with pytest.raises(UnknownOperator):
        Desk(shell, agreements=[foreign])


def test_a_closed_desk_does_nothing(shell):
    """Closing twice is allowed; every call afterwards says that it is closed."""
    desk = Desk(shell)
    desk.identify()
    desk.desk.close()
    if shell is OperatorDesk:
        desk.desk.close()
        for call in (
            desk.ask,
            desk.record,
            desk.withdraw,
            desk.move,
            desk.desk.sweep,
            desk.desk.owed_notices,
            desk.desk.overdue,
            desk.desk.replay,
            lambda: desk.desk.records("m"),
        ):
            with pytest.raises(IdentifierClosed):
                call()


# --- two desks on one store -----------------------------------------------------------------


def test_many_threads_ask_record_and_move_at_once():
    """Concurrent calls of two desks on one store lose nothing and tell each record once."""
    with Desk() as one, Desk(storage=one.storage) as two:
        desks, errors = (one, two), []
        one.base.hold(X)
        two.base.hold(X)

        def work(place):
            desk = desks[place % 2]
            messenger = "mn"[place // 2 % 2]
            try:
                assert desk.ask(messenger, name=f"query-{place}") is Outcome.HELD
                desk.record(messenger, X, f"code-{place}")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(place,)) for place in range(24)]
        mover = threading.Thread(target=lambda: two.move(at=START + SECOND))
        for place, each in enumerate(threads):
            each.start()
            if place == 12:
                mover.start()
        for each in (*threads, mover):
            each.join(30)
        # Who asked after the end was told to wait: the base shows what is over.
        assert all(isinstance(each, AssertionError) for each in errors)
        recorded = 24 - len(errors)
        for _ in range(3):
            for desk in desks:
                desk.sweep(31 * SECOND)
        told = [notice.id for desk in desks for _, notice in desk.carrier.told]
        assert recorded == len(told) == len(set(told)) == len(one.kept(Told))
        assert one.desk.replay().ok
        two.books.storage = MemoryStorage()


def test_the_asynchronous_desk_is_loaded_when_it_is_used():
    """Who uses threads never loads asyncio, and a name that is not there is an error."""
    code = (
        "import sys, abonent.operator as o; loaded = 'asyncio' in sys.modules;"
        "print(loaded, o.AsyncOperatorDesk.__name__, sorted(o.__all__) == o.__all__)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "False AsyncOperatorDesk True" == told.stdout.strip()
    with pytest.raises(AttributeError, match="Desks"):
        _ = abonent.operator.Desks


def test_a_desk_is_a_context_manager():
    """Leaving the context closes desk and store, in either shell."""
    parts = {"operator": MTS, "keys": KEY_1, "agreements": COVERED, "unsafe_test_doubles": True}
    doubles = {"base": Base(), "carrier": Carrier()}
    with OperatorDesk(storage=MemoryStorage(), **doubles, **parts) as desk:
        assert [] == desk.overdue()
    with pytest.raises(IdentifierClosed):
        desk.sweep()

    async def awaited():
        async with AsyncOperatorDesk(storage=MemoryStorage(), **doubles, **parts) as desk:
            assert [] == await desk.overdue()
        with pytest.raises(IdentifierClosed):
            await desk.sweep()
        await desk.close()

    asyncio.run(awaited())


def test_two_desks_share_what_is_due():
    """Whichever desk sweeps, each notice is given by one of them."""
    with Desk() as one, Desk(storage=one.storage, clock=one.clock) as two:
        for place in range(40):
            one.identify("m", X, f"code-{place}")
        one.move(at=START + SECOND)
        one.clock.advance(MINUTE)
        threads = [threading.Thread(target=each.desk.inner.sweep) for each in (one, two)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        told = [notice.id for desk in (one, two) for _, notice in desk.carrier.told]
        assert 40 == len(told) == len(set(told))
        two.books.storage = MemoryStorage()


def test_a_movement_and_a_record_that_cross_owe_the_notice_once():
    """Whichever of two processes commits first, the other sees it: no record slips through."""
    for first in ("record", "movement"):
        with Desk() as one, Desk(storage=one.storage, clock=one.clock) as two:
            one.base.hold(X)
            assert one.ask() is Outcome.HELD
            one.clock.advance(MINUTE)
            commit = one.storage.commit

            def overtaken(units, one=one, two=two, first=first, commit=commit):
                one.storage.commit = commit
                if first == "record":
                    two.record()
                else:
                    two.move(NoticeKind.PORTED)
                return commit(units)

            one.storage.commit = overtaken
            if first == "record":
                one.move(NoticeKind.PORTED)
            else:
                one.record()
            one.sweep()
            assert [NoticeKind.PORTED] == [each.kind for _, each in one.carrier.told]
            two.books.storage = MemoryStorage()


def test_an_error_of_one_task_does_not_hurt_its_neighbours():
    """Of tasks that share a row, the one that is refused fails alone."""
    with Desk(policy=DeskPolicy()) as desk:
        desk.record("m", X, CODE)
        outcomes = []

        def work(number, code):
            try:
                desk.record("m", number, code)
                outcomes.append(code)
            except AbonentError as error:
                outcomes.append(error.code)

        threads = [
            threading.Thread(target=work, args=each)
            for each in ((Y, CODE), (Y, "code-2"), (Y, "code-3"))
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert ["ID_REUSED", "code-2", "code-3"] == sorted(outcomes)


def test_a_dead_messenger_is_tried_on_by_whoever_comes():
    """A process that died between the commit and the delivery leaves the debt to the next one."""
    with Desk() as one:
        one.identify()
        one.carrier.dead["m"] = Unavailable("away")
        one.move(at=START + SECOND)
        one.sweep()
        with Desk(storage=one.storage, clock=one.clock, agreements=[agreement("m")]) as two:
            two.sweep(MINUTE)
            assert {name for _, name in one.carrier.tries} == {n.id for _, n in two.carrier.told}
            two.books.storage = MemoryStorage()
