"""After `forget`, a person cannot be found: not in the bytes of the store, not with every key.

What is searched are the bytes on disk, and all that the keys still open of them. Every search is
made before the forgetting too, where it finds what it looks for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from abonent import Consent, LateAnswer, Notice, NoticeKind, Outcome, SqliteStorage, Status
from abonent.audit.evidence import History, Published, history_of
from abonent.audit.notes import Checkpoint
from abonent.audit.verifying import verify, verify_entries
from abonent.core.events import NumberClaimed
from abonent.engine.archive import is_sends_key, subject_alias
from abonent.errors import UnknownUser
from abonent.keys import MemoryKeys
from abonent.ports import Answer, Begun, Keys
from abonent.possession import OneTimeCodes
from abonent.records import decode_entry
from abonent.sealing import Keyring
from abonent.simulation import Reply, SimulatedOperator, SimulatedSender
from abonent.stores.postgres import PostgresStorage
from tests.audit.logs import SPACE, Ledger
from tests.postgres import made
from tests.properties.parts import HOUR, MINUTE, N1, N2, M, N, World, agreement

BOBS = "+79057654321"
ALICE = "alice-8f1c2e"
OLD, NEW = b"o" * 32, b"n" * 32
BEFORE = MemoryKeys(Keys(current="k1", roots={"k1": OLD}))
AFTER = MemoryKeys(Keys(current="k2", roots={"k1": OLD, "k2": NEW}))
OF_SENDER, OF_GATEWAY = b"opaque-of-the-sender", b"opaque-of-the-gateway"
NOTICE, BANK = "notice-5d1e", "bank-77"


class Codes(OneTimeCodes):
    """Hands something back that is to be stored, of its own for each person."""

    def begin(self, claim):
        super().begin(claim)
        return Begun(opaque=OF_SENDER if claim.number in (N1, N2) else b"")


class Later(SimulatedOperator):
    """Hands something back with an answer that will come later."""

    def ask(self, query):
        answer = super().ask(query)
        if answer.outcome is Outcome.LATER:
            return Answer(outcome=Outcome.LATER, opaque=OF_GATEWAY)
        return answer


class InFile:
    """A store in a file: its bytes are those of the file, its log and its index."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store" / "users.db"
        self.path.parent.mkdir()
        self.open = partial(SqliteStorage, self.path, territory="RU")

    def raw(self) -> bytes:
        return b"".join(each.read_bytes() for each in sorted(self.path.parent.iterdir()))


class OnServer:
    """A store on a server: its bytes are those of all columns of all rows of its tables."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo, self.schema = conninfo, made(conninfo, 1)
        self.open = partial(PostgresStorage, conninfo, schema=self.schema, territory="RU")

    def raw(self) -> bytes:
        found: list[bytes] = []
        with psycopg.connect(self.conninfo) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
                (self.schema,),
            ).fetchall()
            assert {"record", "alias", "deadline", "journal"} <= {name for (name,) in tables}
            for (table,) in tables:
                for row in connection.execute(f"SELECT * FROM {self.schema}.{table}".encode()):
                    found += [repr(each).encode() for each in row if type(each) is not bytes]
                    found += [each for each in row if type(each) is bytes]
        return b"\n".join(found)


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request, tmp_path):
    if request.param == "sqlite":
        return InFile(tmp_path)
    return OnServer(request.getfixturevalue("conninfo"))


def identified_under_an_older_key(kept) -> World:
    """Alice is identified by one number, which is disclosed once; then the keys are rotated."""
    sender = SimulatedSender()
    options = {
        "sender": sender,
        "possession": Codes(sender, prompt=True),
        "operators": {M: Later(M), N: Later(N)},
        "agreements": [agreement(M), agreement(N)],
    }
    first = World(kept.open(), keys=BEFORE, **options)
    with first:
        first.identifier.claim(ALICE, N1.e164)
        first.identifier.prove(ALICE, first.wrong())
        assert Status.IDENTIFIED is first.identifier.prove(ALICE, sender.code_for(N1)).status
        consent = Consent(
            user_id=ALICE, recipient=BANK, purpose="delivery", given_at=first.clock.now()
        )
        first.identifier.disclose(ALICE, to=BANK, purpose="delivery", consent=consent)
    return World(kept.open(), keys=AFTER, clock=first.clock, router=first.router, **options)


def in_the_middle_of_it(world: World) -> None:
    """She is to be identified anew, tries the old number, then a new one, and waits for an answer.

    So there is of everything that can be held at once.
    """
    port = Notice(
        id=NOTICE, operator=M, kind=NoticeKind.PORTED, number=N1, happened_at=world.clock.now()
    )
    world.identifier.receive(port)
    world.identifier.claim(ALICE, N1.e164)
    world.identifier.prove(ALICE, world.wrong())
    world.identifier.claim(ALICE, N2.e164)
    world.identifier.prove(ALICE, world.wrong(N2))
    world.operators[M].script(Reply.LATER)
    standing = world.identifier.prove(ALICE, world.sender.code_for(N2))
    assert Status.AWAITING_ANSWER is standing.status
    world.flush()


# --- searching ------------------------------------------------------------------------------


def on_disk(world: World, bodies: Sequence[bytes]) -> dict[str, bytes]:
    """What shows her in stored bytes, to whom has no key."""
    held = world.identifier._engine.archive.user(ALICE)
    (record,) = world.storage.load(SPACE, [held.key])
    assert record.body == bodies[-1]
    nonce = record.body[3:15]  # behind the length and the two letters of the key's id
    found = {
        "sealed row": record.body,
        "nonce": nonce,
        "row key": held.key,
        "subject alias": subject_alias(held.subject),
    }
    for name, number in (("N1", N1), ("N2", N2)):
        for key, tag in zip(("k2", "k1"), world.keyring.number_tags(number), strict=True):
            found[f"tag of {name} under {key}"] = tag
    return found


def within(world: World) -> dict[str, bytes]:
    """What shows her to whom has every key."""
    held = world.identifier._engine.archive.user(ALICE)
    state = held.aggregate.state
    before = state.before
    claims = [
        each.event.claim
        for each in world.identifier.history(ALICE)
        if isinstance(each.event, NumberClaimed)
    ]
    assert 3 == len(claims)
    found = {
        "user id": ALICE,
        "subject key": held.row.subject_key,
        "identification code": before.was.code,
        "query": state.query_id,
        "of the sender": OF_SENDER,
        "of the gateway": OF_GATEWAY,
        "notice": NOTICE,
        "recipient": BANK,
        **{f"claim {place}": each for place, each in enumerate(claims)},
        **{f"failures on {place}": tag for place, (tag, _) in enumerate(held.aggregate.failures)},
        "N1": b"\xcf" + int(N1.e164[1:]).to_bytes(8, "big"),
        "N2": b"\xcf" + int(N2.e164[1:]).to_bytes(8, "big"),
    }
    assert 2 == len(held.aggregate.failures)
    return {
        name: each if isinstance(each, bytes) else each.encode() for name, each in found.items()
    }


def opened(world: World) -> bytes:
    """All that the keys open: every row, and every entry whose subject's key is in one of them."""
    records, entries = world.everything()
    keyring: Keyring = world.keyring
    found = [keyring.open_row(key, record.version, record.body) for key, record in records]
    subjects = {
        each.subject: each.row.subject_key
        for each in (
            world.identifier._engine.archive.open(key, record)
            for key, record in records
            if not is_sends_key(key)
        )
    }
    found += [
        keyring.open_entry(subjects[each.subject], each.number, each.body)
        for each in entries
        if each.subject in subjects
    ]
    return b"\n".join(found)


def missing(needles: dict[str, bytes], hay: bytes) -> list[str]:
    return [name for name, each in needles.items() if each not in hay]


def shown(needles: dict[str, bytes], hay: bytes) -> list[str]:
    return [name for name, each in needles.items() if each in hay]


def spelled(number: str, hay: bytes) -> bool:
    """Whether a number is there in plain, however it is set apart, or as an integer."""
    runs = re.findall(rb"[0-9]{10,}", re.sub(rb"[ ()\-.\xa0]", b"", hay))
    value = int(number[1:])
    whole = [value.to_bytes(8, order) for order in ("big", "little")]
    packed = [int(number[2:]).to_bytes(5, order) for order in ("big", "little")]
    return any(number[2:].encode() in each for each in runs) or any(
        each in hay for each in (*whole, *packed)
    )


@pytest.mark.parametrize(
    "hidden",
    [
        N1.e164.encode(),
        b"8 (916) 123-45-67",
        b"916.123.45.67",
        b"tel:+7-916-123-45-67",
        int(N1.e164[1:]).to_bytes(8, "big"),
        int(N1.e164[1:]).to_bytes(8, "little"),
        int(N1.e164[2:]).to_bytes(5, "big"),
    ],
)
def test_the_search_for_numbers_is_not_blind(hidden):
    """It finds a number however it is spelled, and no other."""
    assert spelled(N1.e164, b"\0\xff" + hidden + b"\0")
    assert not spelled(N2.e164, b"\0\xff" + hidden + b"\0")


# --- forgetting -----------------------------------------------------------------------------


def test_a_forgotten_person_cannot_be_found(kept, tmp_path, monkeypatch):
    """A day after the forgetting, and the compaction, nothing leads to her; the proofs hold.

    She is forgotten in the middle of everything, another user is kept, and the journal is the same
    entry for entry.
    """
    bodies: list[bytes] = []
    with identified_under_an_older_key(kept) as world:
        world.identify("bob", N1.__class__(BOBS))
        key = world.identifier.row_key(ALICE)
        commit = world.storage.commit

        def watched(units):
            bodies.extend(
                put.body for unit in units for put in unit.puts if put.key == key and put.body
            )
            return commit(units)

        monkeypatch.setattr(world.storage, "commit", watched)
        in_the_middle_of_it(world)

        plain, sealed = on_disk(world, bodies), within(world)
        # A number is indexed under the current key only, and she proves N2 under k2.
        assert ["tag of N2 under k1"] == missing(plain, kept.raw())
        assert [] == missing(sealed, opened(world))
        assert not any(spelled(each, kept.raw()) for each in (N1.e164, N2.e164))
        proofs = Proofs(tmp_path / "evidence", world)
        rows_of_bob = world.storage.load(SPACE, [world.identifier.row_key("bob")])

        assert world.identifier.forget(ALICE)
        world.flush()
        answer = LateAnswer(query_id=sealed["query"].decode(), operator=M, outcome=Outcome.HELD)
        world.identifier.receive(answer)
        for _ in range(26):
            world.clock.advance(HOUR)
            world.identifier.sweep()
        world.flush()
        assert [sealed["identification code"].decode()] == [
            each.code for each in world.operators[M].withdrawals
        ]

        if isinstance(kept, InFile):
            assert shown({"sealed row": bodies[-2]}, kept.raw())  # so that it is worth its while
            world.storage.compact()

        raw, known = kept.raw(), opened(world)
        assert [] == shown(plain, raw)
        assert [] == [place for place, body in enumerate(bodies) if body[3:15] in raw]
        assert [] == shown(sealed, known)
        assert [] == shown(sealed, raw)
        assert not any(spelled(each, raw) for each in (N1.e164, N2.e164))
        assert rows_of_bob == world.storage.load(SPACE, [world.identifier.row_key("bob")])
        assert rows_of_bob[0].body in raw
        assert b"bob" in known
        assert not world.identifier.forget(ALICE)
        proofs.check(world)


class Proofs:
    """What was proven of her while she was known, and the log it was proven from."""

    def __init__(self, folder: Path, world: World) -> None:
        folder.mkdir()
        self.folder = folder
        self.ledger = Ledger(folder, world.storage)
        self.ledger.publish()
        self.since = Checkpoint.open(self.ledger.note(), self.ledger.key)
        self.made = self.history(world)
        self.entries = world.storage.journal(SPACE, 0, 10_000)

    def check(self, world: World) -> None:
        """They verify as before, the log is extended from there, and the journal replays."""
        proof = self.folder / "alice.tlog-proof"
        proof.write_bytes(self.made.text)
        self.ledger.publish()
        now = verify(self.ledger.folder, self.ledger.key, self.since).checkpoint
        assert now.size > self.since.size
        assert verify(proof, self.ledger.key).checkpoint == self.since
        proven = verify_entries(self.made.text, self.ledger.key, self.made.opening)
        assert proven.whole
        told = [
            e for leaf in proven.entries for e in decode_entry(self.made.opening.open(leaf)).events
        ]
        assert N1 in {each.number for each in told if isinstance(each, NumberClaimed)}
        after = world.storage.journal(SPACE, 0, 10_000)
        assert self.entries == after[: len(self.entries)]
        report = world.identifier.replay()
        assert report.ok
        assert report.unreadable > len(self.made.proofs)
        with pytest.raises(UnknownUser):
            self.history(world)

    def history(self, world: World) -> History:
        return history_of(Published(self.ledger.folder, self.ledger.key), world.identifier, ALICE)


def test_until_its_time_is_over_only_counts_are_left(kept):
    """Before that day is over her row says how often she failed, on which hash, and no more.

    Beside it stands which identification the operator was asked to withdraw, by its code.
    """
    with identified_under_an_older_key(kept) as world:
        in_the_middle_of_it(world)
        sealed = within(world)
        world.identifier.forget(ALICE)
        world.flush()
        world.clock.advance(MINUTE)
        world.identifier.sweep()
        world.flush()
        left = shown(sealed, opened(world))
        assert {"identification code", "failures on 0", "failures on 1"} == set(left)
        world.clock.advance(timedelta(hours=25))
        world.identifier.sweep()
        world.flush()
        assert [] == shown(sealed, opened(world))
