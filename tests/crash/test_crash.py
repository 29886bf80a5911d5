"""No acknowledged step is lost and nothing is there by half, whoever dies when.

The full runs are `python -m tests.crash --kills 1000`, `python -m tests.crash --wal` and
`python -m tests.crash --link 20`.
"""

import multiprocessing
import random
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from abonent import Identifier, SqliteStorage
from abonent.core.events import Event, Passed, ProofFailed
from abonent.ports import Put, Unit
from abonent.simulation import SimulatedClock, SimulatedOperator, SimulatedSender
from tests.crash.__main__ import cut_all, kill_all, tell_kills, tell_link
from tests.crash.contents import SPACE, KeptInFile, open_sqlite, stored_in
from tests.crash.judging import Judge, Violation, first_unexplained, inconsistencies
from tests.crash.killing import Tally, kill_on_one_store
from tests.crash.life import OPERATOR, START, Crowd, identifier_on
from tests.crash.linked import kill_links
from tests.crash.linked_lives import Wrong
from tests.crash.logs import Torn, cut, newest_pages, read_log, record
from tests.crash.messages import Applied, Message, Returned, Trying
from tests.crash.servers import kill_servers
from tests.crash.witness import Witness
from tests.crash.wrong import AcknowledgesTooSoon, TearsUnits
from tests.postgres import Server, with_options


@pytest.mark.slow
def test_killed_processes_lose_nothing_acknowledged(tmp_path: Path):
    """I7, I8: whatever was acknowledged before a SIGKILL is there, and nothing is by half."""
    tally = kill_all(40, 7, 2, tmp_path)
    assert [] == tally.violations
    assert 40 == tally.kills
    assert tally.calls.keys() >= {"claim", "prove", "receive", "standing"}
    assert tally.commits > 100


@pytest.mark.slow
def test_cut_logs_open_at_a_commit(tmp_path: Path):
    """A log cut or damaged at any place opens at the last commit before it, never between."""
    assert 0 == cut_all(6, 7, tmp_path)


@pytest.mark.slow
def test_a_killed_server_loses_nothing_acknowledged():
    """I8: whatever was acknowledged before the server was killed is there when it is back."""
    with Server() as server:
        tally = kill_servers(server, 4, 7)
    assert [] == tally.violations
    assert 4 == tally.kills
    assert tally.commits > 4  # the machine may be busy with others


@pytest.mark.slow
def test_kills_catch_a_server_that_acknowledges_too_soon():
    """A server that is set not to write before it answers is caught."""
    with Server() as server:
        hasty = with_options(server.conninfo, synchronous_commit="off")
        tally = kill_servers(server, 30, 7, hasty)
    assert tally.violations


def linked(folder: Path, kills: int, seed: int, wrong: Wrong | None = None) -> Tally:
    """Kill from a process that has no other threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(kill_links, folder / "link", kills, seed, wrong).result(240)


@pytest.mark.slow
def test_either_side_of_a_link_may_be_killed(tmp_path: Path):
    """I4, I5, I8: nothing acknowledged is lost, no notice missed, nobody passes without HELD."""
    tally = linked(tmp_path, 3, 7)
    assert [] == tally.violations
    assert 3 == tally.kills
    assert tally.acknowledged > 50
    assert tally.calls["ends told"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("wrong", Wrong)
def test_a_side_that_breaks_a_promise_is_caught(tmp_path: Path, wrong: Wrong):
    """A messenger that loses notices, and an operator that loses records."""
    tally = linked(tmp_path, 5, 7, wrong)
    assert tally.violations
    assert 1 == tell_link(tally, 7, 0)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [AcknowledgesTooSoon, TearsUnits])
def test_kills_catch_wrong_stores(tmp_path: Path, wrong: type[SqliteStorage]):
    """A store that acknowledges before it commits, or commits by halves, is caught by a kill."""
    tally = kill_on_one_store(tmp_path / "store", 200, "7", wrong)
    assert tally.violations
    assert 1 == tell_kills(tally, 7, 0)


@pytest.mark.parametrize("wrong", [AcknowledgesTooSoon, TearsUnits])
def test_cuts_catch_wrong_stores(tmp_path: Path, wrong: type[SqliteStorage]):
    """The same stores are caught by cutting the first log that they leave."""
    recording = next(iter(record(tmp_path, 4, 7, wrong)))
    assert cut(recording, tmp_path, 7, open_sqlite).violations


def test_a_store_that_does_not_flush_is_refused(tmp_path: Path):
    """Kills cannot see a missing flush, so the setting itself is looked at."""

    def unflushed(path: Path) -> SqliteStorage:
        store = SqliteStorage(path, territory="RU")
        store._writer.execute("PRAGMA synchronous = NORMAL")
        return store

    with pytest.raises(Violation, match="not flushed"):
        next(iter(record(tmp_path, 1, 7, unflushed)))


def test_only_the_running_checksum_ends_a_log(tmp_path: Path):
    """Behind the live frames lie stale ones with the same salt, and they are not counted."""
    recording = next(iter(record(tmp_path, 4, 7, open_sqlite)))
    log = read_log(recording.log)
    assert len(recording.states) - 1 == len(log.commits)
    assert 0 < recording.alike <= recording.stale


def test_who_died_while_copying_back_is_followed(tmp_path: Path):
    """A database into which its log was copied in part opens, and at the last commit."""
    recording = next(iter(record(tmp_path, 30, 7, open_sqlite)))
    newest = newest_pages(recording.log)
    first = sorted(newest)[:1]
    torn = Torn(tuple(first), half=False).done_to(recording, newest)
    path = tmp_path / "copy.db"
    path.write_bytes(torn)
    path.with_name("copy.db-wal").write_bytes(recording.log)
    assert int.from_bytes(torn[28:32]) > len(torn) // 4096  # it says that it is longer than it is
    with closing(SqliteStorage(path, territory="RU")):
        found, wrong = stored_in(path)
    assert ([], recording.states[-1]) == (wrong, found)


# --- the judge itself -------------------------------------------------------------------


class Told:
    """A store that users were identified on, and what was told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SimulatedClock()
        self.messages: list[Message] = []
        operator, sender = SimulatedOperator(OPERATOR), SimulatedSender()
        witness = Witness(SqliteStorage(path, territory="RU"), self.messages.append)
        with closing(identifier_on(witness, self.clock, operator, sender)) as identifier:
            crowd = Crowd(
                *(0, identifier, self.clock, operator, sender, random.Random(7)),
                self.messages.append,
            )
            for _ in range(40):
                crowd.act()

    def judge(self) -> Judge:
        judge = Judge()
        judge.hear(self.messages)
        judge.judge(KeptInFile(self.path), self.clock)
        return judge

    def damage(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute(sql).rowcount > 0
            connection.commit()

    def opened(self) -> Identifier:
        return identifier_on(
            SqliteStorage(self.path, territory="RU"),
            self.clock,
            SimulatedOperator(OPERATOR),
            SimulatedSender(),
        )


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "kept.db")


def test_what_was_acknowledged_and_is_there_passes(told: Told):
    """The judge has nothing to say against a store that nothing happened to."""
    judge = told.judge()
    assert judge.commits > 10
    assert judge.acknowledged > 40
    assert 0 == judge.recovered


LOSSES = {
    "an entry of the journal": "DELETE FROM journal WHERE cursor IN"
    " (SELECT max(cursor) FROM journal)",
    "the aliases of holders": "DELETE FROM alias WHERE substr(alias, -1) = x'68'",
    "a deadline": "DELETE FROM deadline WHERE at = (SELECT max(at) FROM deadline)",
}


@pytest.mark.parametrize("sql", LOSSES.values(), ids=LOSSES.keys())
def test_what_is_lost_is_missed(told: Told, sql: str):
    """One row less than was acknowledged is a violation."""
    told.damage(sql)
    with pytest.raises(Violation):
        told.judge()


CONTRADICTIONS = {
    "an entry of the journal": LOSSES["an entry of the journal"],
    "a holder's alias": LOSSES["the aliases of holders"],
    "a row": "DELETE FROM name WHERE id = (SELECT id FROM record WHERE wake IS NULL LIMIT 1)",
    "all deadlines": "DELETE FROM deadline",
    "a later deadline": "UPDATE deadline SET at = 1",
}


@pytest.mark.parametrize("sql", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_what_contradicts_itself_is_seen(told: Told, sql: str):
    """Journal, rows, aliases and deadlines are held against each other, whatever was told."""
    told.damage(sql)
    with closing(told.opened()) as identifier:
        found, _ = stored_in(told.path)
        assert list(inconsistencies(identifier, found))


def test_an_acknowledged_commit_is_missed_as_a_whole(told: Told):
    """What is consistent without it is still a violation: a commit was acknowledged and is lost."""
    unit = Unit(SPACE, (Put(b"lost", 0, b"body"),))
    told.messages += [Trying((unit,)), Applied((True,))]
    with pytest.raises(Violation, match="records: 1 missing"):
        told.judge()


def test_a_commit_under_way_may_be_there_whole(told: Told):
    """What nobody was told of may be there, and counts as recovered."""
    last = max(n for n, each in enumerate(told.messages) if isinstance(each, Trying))
    del told.messages[last + 1 :]
    assert 1 == told.judge().recovered


def test_a_commit_under_way_may_not_be_there_by_half(told: Told):
    """A unit whose record is there and whose journal entry is not is a violation."""
    last = max(n for n, each in enumerate(told.messages) if isinstance(each, Trying))
    del told.messages[last + 1 :]
    told.damage(LOSSES["an entry of the journal"])
    with pytest.raises(Violation):
        told.judge()


# --- calls and histories ----------------------------------------------------------------


@pytest.fixture
def history(told: Told) -> list[Event]:
    with closing(told.opened()) as identifier:
        several = [[each.event for each in identifier.history(f"user-0-{n}")] for n in range(4)]
    return next(each for each in several if any(isinstance(event, Passed) for event in each))


def stood(status: str, **more: Any) -> Returned:
    at = START + timedelta(seconds=1)
    return Returned(user="u", call="standing", at=at, status=status, **more)


def test_standings_are_explained_in_their_order(history: list[Event]):
    """A standing that was told must have been reached, and not before an earlier one."""
    code = next(each.code for each in history if isinstance(each, Passed))
    nobody, proving = stood("unidentified"), stood("proving_possession")
    identified = stood("identified", code=code)
    assert first_unexplained(history, [nobody, proving, identified]) is None
    assert nobody is first_unexplained(history, [proving, nobody])
    assert identified is first_unexplained(history[:2], [proving, identified])
    other = stood("identified", code="another")
    assert other is first_unexplained(history, [proving, other])


def test_each_event_that_was_told_is_there(history: list[Event]):
    """Two wrong guesses that were answered need two failures in the journal."""
    failures = sum(isinstance(each, ProofFailed) for each in history)
    failed = Returned(user="u", call="prove", at=START, told=("ProofFailed", "", ""))
    assert first_unexplained(history, [failed] * failures) is None
    assert first_unexplained(history, [failed] * (failures + 1)) is not None


def test_who_was_forgotten_has_no_older_history(history: list[Event]):
    """After an acknowledged forgetting, nothing of before may be told any more."""
    forgotten = Returned(user="u", call="forget", at=history[-1].at + timedelta(seconds=1))
    assert forgotten is first_unexplained(history, [forgotten])
    assert first_unexplained([], [forgotten]) is None
