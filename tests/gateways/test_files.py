"""Files go out whole and once, and what comes in is read line by line, whatever it is."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abonent import Outcome, SubscriberNumber
from abonent.errors import InvalidValue, Misconfigured, StoreUnavailable, Unavailable, UnknownQuery
from abonent.gateways.files import FilesGateway
from abonent.ports import LateAnswer, Query, RecordEntry, WithdrawEntry
from abonent.simulation import SimulatedClock
from tests.gateways.exchange import Folders
from tests.properties.parts import N1, World

NUMBER = SubscriberNumber("+79161234567")
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


def question(query_id):
    return Query(id=query_id, messenger="m", number=NUMBER, asked_at=NOW, due=NOW)


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path)


def names(paths):
    return sorted(each.name.partition("-")[0] for each in paths)


def fails(monkeypatch, name, code):
    """From now on a call of the system fails."""

    def failing(*_, **__):
        raise OSError(code, "it fails")

    monkeypatch.setattr(os, name, failing)


# --- what goes out ------------------------------------------------------------------------------


def test_what_is_written_is_what_the_operator_needs_and_no_more(folders):
    """A question is an id and a number; a record what the law wants; a removal has no number."""
    gateway = folders.gateway
    assert Outcome.LATER is gateway.ask(question("query-1")).outcome
    gateway.record(RecordEntry(id="c.record", messenger="m", number=NUMBER, code="c"))
    gateway.withdraw(WithdrawEntry(id="c.withdraw", messenger="m", code="c"))
    gateway.dispatch(at_once=True)
    assert [
        {"id": "query-1", "number": NUMBER.e164},
        {"id": "c.record", "messenger": "m", "number": NUMBER.e164, "code": "c"},
        {"id": "c.withdraw", "messenger": "m", "code": "c"},
    ] == folders.lines()


def test_files_are_for_their_owner_only_and_hidden_until_they_are_whole(folders):
    """Mode 0600 from the first byte; nothing is shown before its time."""
    folders.gateway.ask(question("query-1"))
    (hidden,) = folders.outgoing.iterdir()
    assert hidden.name.startswith(".questions-")
    assert 0o600 == stat.S_IMODE(hidden.stat().st_mode)
    assert 0 == folders.gateway.dispatch()
    assert [] == folders.shown()
    assert 1 == folders.gateway.dispatch(at_once=True)
    (shown,) = folders.shown()
    assert 0o600 == stat.S_IMODE(shown.stat().st_mode)
    assert [shown] == list(folders.outgoing.iterdir())


def test_no_name_of_a_file_tells_of_anybody(folders):
    """Time and chance, nothing else (I9)."""
    folders.gateway.ask(question("query-1"))
    folders.gateway.close()
    (shown,) = folders.shown()
    assert "9161234567" not in shown.name
    assert "query" not in shown.name.removeprefix("questions")


def test_a_file_is_shown_when_it_is_full_or_its_time_has_come(tmp_path, monkeypatch):
    """So many lines, or so many seconds after its first."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    folders = Folders(tmp_path, batch=2, every=timedelta(seconds=30))
    for each in range(3):
        folders.gateway.ask(question(f"query-{each}"))
    assert 1 == len(folders.shown())
    clock[0] += 29.9
    assert 0 == folders.gateway.dispatch()
    clock[0] += 0.1
    assert 1 == folders.gateway.dispatch()
    assert 3 == len(folders.lines())


def test_a_question_that_comes_again_is_written_once_in_a_file(folders):
    """It may stand in two files; the operator counts an id once."""
    for _ in range(3):
        folders.gateway.ask(question("query-1"))
    folders.gateway.dispatch(at_once=True)
    folders.gateway.ask(question("query-1"))
    folders.gateway.close()
    folders.gateway.close()
    assert ["query-1"] * 2 == [each["id"] for each in folders.lines()]


def test_old_questions_are_removed_and_records_are_not(folders):
    """A number whose answer would come too late does not lie about; a record has to be taken."""
    folders.gateway.ask(question("query-1"))
    folders.gateway.record(RecordEntry(id="r", messenger="m", number=NUMBER, code="c"))
    folders.gateway.dispatch(at_once=True)
    for each in folders.shown():
        os.utime(each, (time.time() - 3500, time.time() - 3500))
    folders.gateway.dispatch()
    assert ["questions", "records"] == names(folders.shown())
    for each in folders.shown():
        os.utime(each, (time.time() - 3601, time.time() - 3601))
    folders.gateway.dispatch()
    assert ["records"] == names(folders.shown())


DIES = """
import os, sys
from pathlib import Path
from tests.gateways.test_files import question, NUMBER
from abonent.gateways.files import FilesGateway
root = Path(sys.argv[1])
gateway = FilesGateway("mts", outgoing=root / "outgoing", incoming=root / "incoming",
                       aside=root / "aside")
gateway.ask(question("query-1"))
gateway.ask(question("query-2"))
(part,) = (root / "outgoing").iterdir()
with part.open("ab") as torn:
    torn.write(b'{"id": "query-3", "num')
os._exit(9)
"""


def test_what_a_process_that_died_had_promised_is_shown_by_the_next(folders, tmp_path):
    """Its whole lines; the torn one was not promised, and its question comes again."""
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    assert 9 == subprocess.run(command, check=False, timeout=60).returncode
    assert 1 == folders.gateway.dispatch()
    assert ["query-1", "query-2"] == [each["id"] for each in folders.lines()]
    assert 0 == folders.gateway.dispatch()


def test_what_another_process_is_writing_is_left_to_it(folders):
    """Two gateways on one folder, as two processes have them, do not take each other's files."""
    other = folders.reopened()
    other.ask(question("query-1"))
    assert 0 == folders.gateway.dispatch()
    assert [] == folders.shown()
    other.close()
    assert 1 == len(folders.shown())


def test_a_file_in_which_nothing_was_promised_is_removed(folders):
    """Its process died before the end of its first line."""
    part = folders.outgoing / ".questions-20260601T090000Z-abc.part"
    part.write_bytes(b'{"id": "query')
    assert 0 == folders.gateway.dispatch()
    assert [] == list(folders.outgoing.iterdir())


def test_a_part_that_vanishes_was_shown_by_somebody_else(folders, monkeypatch):
    """Between looking and opening."""
    part = folders.outgoing / ".questions-20260601T090000Z-abc.part"
    part.write_bytes(b"{}\n")
    opened = os.open

    def vanish(path, *given, **more):
        if str(path).endswith(".part"):
            part.unlink(missing_ok=True)
        return opened(path, *given, **more)

    monkeypatch.setattr(os, "open", vanish)
    assert 0 == folders.gateway.dispatch()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, Unavailable),
        (errno.EDQUOT, Unavailable),
        (errno.EIO, Unavailable),
        (errno.EMFILE, Unavailable),
        (errno.EACCES, Misconfigured),
        (errno.EROFS, Misconfigured),
        (errno.ENOENT, Misconfigured),
    ],
)
@pytest.mark.parametrize("where", ["open", "write", "fsync"])
def test_a_line_that_is_not_on_disk_is_not_promised(folders, monkeypatch, where, code, expected):
    """No room passes; a folder that is not ours is an alarm; nothing of the line is left."""
    gateway = folders.gateway
    gateway.ask(question("query-1"))
    if where == "open":
        gateway.dispatch(at_once=True)
    with monkeypatch.context() as broken:
        fails(broken, where, code)
        with pytest.raises(expected) as caught:
            gateway.ask(question("query-2"))
    assert "9161234567" not in str(caught.value)
    assert caught.value.__cause__ is None
    gateway.ask(question("query-3"))
    gateway.dispatch(at_once=True)
    assert ["query-1", "query-3"] == sorted(each["id"] for each in folders.lines())


def test_a_line_that_fits_in_part_is_taken_back(folders, monkeypatch):
    """A disk that is full takes some bytes and no more."""
    gateway = folders.gateway
    gateway.ask(question("query-1"))
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda where, what: write(where, what[:7]))
        with pytest.raises(Unavailable):
            gateway.ask(question("query-2"))
    gateway.ask(question("query-3"))
    gateway.close()
    assert ["query-1", "query-3"] == [each["id"] for each in folders.lines()]


def test_folders_that_fail_later_are_named_by_their_failure(folders, monkeypatch):
    """Showing, removing and taking say what is wrong, not where."""
    folders.gateway.ask(question("query-1"))
    with monkeypatch.context() as broken:
        fails(broken, "rename", errno.EACCES)
        with pytest.raises(Misconfigured, match="EACCES"):
            folders.gateway.dispatch(at_once=True)
    folders.gateway.dispatch(at_once=True)
    for each in folders.shown():
        os.utime(each, (0, 0))
    with monkeypatch.context() as broken:
        fails(broken, "unlink", errno.EACCES)
        with pytest.raises(Misconfigured):
            folders.gateway.dispatch()
    folders.bring("1", ("query-1", "held"))
    taken = folders.gateway.take()
    with monkeypatch.context() as broken:
        fails(broken, "unlink", errno.EIO)
        with pytest.raises(Unavailable):
            folders.gateway.settle(taken, [None])
    with monkeypatch.context() as broken:
        fails(broken, "open", errno.EACCES)
        with pytest.raises(Misconfigured):
            folders.gateway.take()


def test_a_part_that_cannot_be_locked_is_not_written(folders, monkeypatch):
    """Nobody else may take it over while it is written."""
    import fcntl

    def refused(*_):
        raise OSError(errno.ENOLCK, "no locks")

    with monkeypatch.context() as broken:
        broken.setattr(fcntl, "flock", refused)
        with pytest.raises(Misconfigured):
            folders.gateway.ask(question("query-1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"every": timedelta(0)},
        {"torn_after": timedelta(0)},
        {"operator": "MTS"},
    ],
)
def test_figures_that_cannot_be_are_refused(folders, wrong):
    """At building."""
    given = {
        "operator": "mts",
        "outgoing": folders.outgoing,
        "incoming": folders.incoming,
        "aside": folders.aside,
    }
    with pytest.raises(InvalidValue):
        FilesGateway(**(given | wrong))


@pytest.mark.parametrize("which", ["outgoing", "incoming", "aside"])
def test_folders_have_to_be_there_and_closed_to_others(folders, which, tmp_path):
    """Files with numbers are no business of everybody's."""
    given = {each: getattr(folders, each) for each in ("outgoing", "incoming", "aside")}
    file = tmp_path / "file"
    file.touch(mode=0o600)
    for wrong in (tmp_path / "nowhere", file):
        with pytest.raises(InvalidValue):
            FilesGateway("mts", **(given | {which: wrong}))
    given[which].chmod(0o701)
    with pytest.raises(InvalidValue):
        FilesGateway("mts", **given)
    given[which].chmod(0o770)
    FilesGateway("mts", **given)


# --- what comes in ------------------------------------------------------------------------------


def test_each_answer_is_judged_on_its_own_and_the_file_removed(folders):
    """In order; the words of the format are the outcomes' own."""
    folders.bring("2", ("query-5", "held"))
    said = ("held", "not_held", "not_ours", "undetermined")
    folders.bring("1", *((f"query-{place}", each) for place, each in enumerate(said)))
    got = []
    settled = folders.gateway.collect(lambda items: got.extend(items) or [None] * len(items))
    expected = [(f"query-{place}", Outcome(each)) for place, each in enumerate(said)]
    assert [*expected, ("query-5", Outcome.HELD)] == [(e.query_id, e.outcome) for e in got]
    assert {"mts"} == {each.operator for each in got}
    assert (2, 0, 0) == (settled.removed, settled.put_aside, settled.kept)
    assert [] == list(folders.incoming.iterdir())


GOOD = ("query-1", "held")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"held"',
        b"{}",
        b'{"id": "query-2"}',
        b'{"id": "query-2", "outcome": "HELD"}',
        b'{"id": "query-2", "outcome": "later"}',
        b'{"id": "query-2", "outcome": "yes"}',
        b'{"id": "query-2", "outcome": true}',
        b'{"id": "query-2", "outcome": null}',
        b'{"id": "", "outcome": "held"}',
        b'{"id": 2, "outcome": "held"}',
        b'{"id": "query-2", "outcome": "held", "name": "somebody"}',
        b'{"id": "' + b"a" * 513 + b'", "outcome": "held"}',
        b'{"id": "query-2", "outcome": "held"' + b" " * 5000 + b"}",
        b" " * 4096 + b'{"id": "query-2", "outcome": "held"}',
        b"[" * 4000,
        b'{"id": "\xff", "outcome": "held"}',
        '{"id": "query-2", "outcome": "held"}'.encode("utf-16-le"),
        b'{"end": -1}',
        b'{"end": "2"}',
        b'{"end": true}',
    ],
)
def test_a_line_that_says_nothing_spoils_no_other(folders, line):
    """What stands around it is taken, and the file is put aside for a person (P21)."""
    whole = b'{"id": "query-1", "outcome": "held"}\n' + line + b"\n"
    folders.bring_bytes("1", whole + b'{"id": "query-3", "outcome": "held"}\n{"end": 3}\n')
    taken = folders.gateway.take()
    assert ["query-1", "query-3"] == [each.query_id for each in taken.items]
    assert 1 == taken.unreadable
    settled = folders.gateway.settle(taken, [None] * 2)
    assert (0, 1, 0) == (settled.removed, settled.put_aside, settled.kept)
    (aside,) = folders.aside.iterdir()
    assert 0o600 == stat.S_IMODE(aside.stat().st_mode)
    assert [] == list(folders.incoming.iterdir())


def test_other_spellings_of_the_same_text_are_read(folders):
    """A byte order mark, and lines that end as on Windows."""
    folders.bring_bytes("1", b'\xef\xbb\xbf{"id": "query-1", "outcome": "held"}\r\n{"end": 1}\r\n')
    taken = folders.gateway.take()
    assert (["query-1"], 0) == ([each.query_id for each in taken.items], taken.unreadable)


def test_a_file_in_another_encoding_says_nothing(folders):
    """It is kept until it is clear that no end will come, and put aside."""
    folders.bring_bytes("1", '{"id": "query-1", "outcome": "held"}\n'.encode("utf-16"))
    taken = folders.gateway.take()
    assert ((), 1) == (taken.items, taken.torn)


@settings(deadline=None, max_examples=60)
@given(
    cuts=st.lists(st.integers(0, 400), max_size=6),
    count=st.integers(0, 6),
    odd=st.sets(st.integers(0, 5)),
)
def test_a_file_that_grows_is_read_to_its_end_and_each_line_once(
    tmp_path_factory, cuts, count, odd
):
    """However it is cut, and whenever it is looked at: nothing twice, nothing missing."""
    folders = Folders(tmp_path_factory.mktemp("growing"))
    lines = [
        b"odd" if place in odd else b'{"id": "query-%d", "outcome": "held"}' % place
        for place in range(count)
    ]
    content = b"".join(each + b"\n" for each in (*lines, b'{"end": %d}' % count))
    got, unreadable = [], 0
    path = folders.bring_bytes("1", b"")
    for cut in [*sorted(min(each, len(content)) for each in cuts), len(content)]:
        if path.exists():
            with path.open("r+b") as file:
                file.write(content[:cut])
        taken = folders.gateway.take()
        got += [each.query_id for each in taken.items]
        unreadable += taken.unreadable
        folders.gateway.settle(taken, [None] * len(taken.items))
    assert [f"query-{place}" for place in range(count) if place not in odd] == got
    assert len(odd & set(range(count))) == unreadable
    assert [] == list(folders.incoming.iterdir())
    assert bool(unreadable) == bool(list(folders.aside.iterdir()))


def test_a_file_that_stays_torn_is_put_aside(tmp_path, monkeypatch):
    """Its whole lines counted; the time runs from when it last had something new."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    folders = Folders(tmp_path, torn_after=timedelta(seconds=60))
    path = folders.bring("1", GOOD, end=None)

    def look():
        taken = folders.gateway.take()
        settled = folders.gateway.settle(taken, [None] * len(taken.items))
        return len(taken.items), taken.torn, settled.put_aside

    assert (1, 1, 0) == look()
    clock[0] += 59
    with path.open("ab") as file:
        file.write(b'{"id": "query-2", "outcome": "held"}\n')
    assert (1, 1, 0) == look()
    clock[0] += 59.9
    assert (0, 1, 0) == look()
    clock[0] += 0.1
    assert (0, 1, 1) == look()
    assert (0, 0, 0) == look()


@pytest.mark.parametrize("end", [0, 2, 7])
def test_a_file_that_lacks_lines_is_put_aside(folders, end):
    """The end says how many there are; those that are there count."""
    folders.bring("1", GOOD, end=end)
    taken = folders.gateway.take()
    assert ["query-1"] == [each.query_id for each in taken.items]
    assert 1 == folders.gateway.settle(taken, [None]).put_aside


def test_what_the_store_could_not_take_is_read_again(folders):
    """All of it: what was taken changes nothing when it comes again. A stranger's is done with."""
    path = folders.bring("1", GOOD, ("query-2", "held"))
    taken = folders.gateway.take()
    kept = folders.gateway.settle(taken, [None, StoreUnavailable("away")])
    assert (0, 1) == (kept.removed, kept.kept)
    again = folders.gateway.take()
    assert taken.items == again.items
    done = folders.gateway.settle(again, [None, UnknownQuery("not ours")])
    assert 1 == done.removed
    assert not path.exists()


def test_results_belong_to_answers(folders):
    """As many of one as of the other."""
    folders.bring("1", GOOD)
    with pytest.raises(InvalidValue):
        folders.gateway.settle(folders.gateway.take(), [])


def test_many_answers_are_taken_part_by_part(folders, monkeypatch):
    """So that a large file does not fill memory; each part goes on where the last ended."""
    monkeypatch.setattr("abonent.gateways.files.inbox._MOST_ANSWERS", 3)
    folders.bring("1", *((f"query-{each}", "held") for each in range(7)))
    folders.bring("2", ("query-7", "held"))
    got = []
    for _ in range(5):
        folders.gateway.collect(lambda items: got.extend(items) or [None] * len(items))
    assert [f"query-{each}" for each in range(8)] == [each.query_id for each in got]
    assert [] == list(folders.incoming.iterdir())


def test_what_is_no_answer_file_is_left_alone(folders, tmp_path):
    """Another name, a link, a pipe, a folder."""
    (folders.incoming / "readme.txt").write_text("hello")
    (folders.incoming / ".answers-1.jsonl").write_text("")
    secret = tmp_path / "secret"
    secret.write_text('{"id": "query-1", "outcome": "held"}\n{"end": 1}\n')
    (folders.incoming / "answers-link.jsonl").symlink_to(secret)
    os.mkfifo(folders.incoming / "answers-pipe.jsonl")
    (folders.incoming / "answers-folder.jsonl").mkdir()
    before = sorted(folders.incoming.iterdir())
    taken = folders.gateway.take()
    assert () == taken.items
    folders.gateway.settle(taken, [])
    assert before == sorted(folders.incoming.iterdir())


def test_a_file_that_another_process_took_is_gone(folders):
    """Between reading and removing, and between looking and reading; its answers count once more
    and change nothing."""
    for content in (GOOD, ("query-2", "nonsense")):
        path = folders.bring("1", content)
        taken = folders.gateway.take()
        path.unlink()
        settled = folders.gateway.settle(taken, [None] * len(taken.items))
        assert (0, 0, 0) == (settled.removed, settled.put_aside, settled.kept)


def test_a_new_file_under_an_old_name_is_not_taken_for_the_old_one(folders):
    """Neither removed unread, nor read from the middle."""
    path = folders.bring("1", GOOD)
    taken = folders.gateway.take()
    old = path.rename(folders.aside / "old")
    folders.bring("1", ("query-2", "held"))
    assert 0 == folders.gateway.settle(taken, [None]).removed
    again = folders.gateway.take()
    assert ["query-2"] == [each.query_id for each in again.items]
    assert old.exists()


def test_a_name_that_comes_again_hides_nothing_that_was_put_aside(folders):
    """Both are there for a person to look at."""
    for _ in range(2):
        folders.bring("1", ("query-1", "nonsense"))
        taken = folders.gateway.take()
        folders.gateway.settle(taken, [])
    assert 2 == len(list(folders.aside.iterdir()))


def test_a_repr_shows_neither_folders_nor_answers(folders):
    """Only whose they are."""
    folders.bring("1", GOOD)
    assert "FilesGateway(operator='mts')" == repr(folders.gateway)
    assert "answers-1" not in repr(folders.gateway.take())


def test_a_question_goes_out_and_its_answer_identifies(tmp_path):
    """Over a real identifier: asked by file, answered by file, twice, and by a stranger's."""
    folders = Folders(tmp_path)
    clock = SimulatedClock()
    with World(operators={"mts": folders.gateway}, clock=clock, prompt=True) as world:
        world.identify("alice", N1)
        world.flush()
        folders.gateway.dispatch(at_once=True)
        (line,) = folders.lines()
        assert {"id": line["id"], "number": N1.e164} == line
        clock.advance(60)
        folders.bring("1", (line["id"], "held"), (line["id"], "held"), ("not-ours", "not_held"))
        settled = folders.gateway.collect(world.identifier.receive_many)
        assert 1 == settled.removed
        assert world.identifier.gate("alice")
        folders.gateway.dispatch(at_once=True)
        assert ["questions", "records"] == names(folders.shown())


def test_answers_are_late_answers(folders):
    """The port's own record, with the operator's id."""
    folders.bring("1", GOOD)
    assert (
        LateAnswer(query_id="query-1", operator="mts", outcome=Outcome.HELD),
    ) == folders.gateway.take().items
