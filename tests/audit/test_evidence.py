"""Proofs of what happened to users: who they are stays sealed, and they may be forgotten."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import timedelta
from itertools import combinations
from pathlib import Path

import pytest

from abonent import SqliteStorage
from abonent.audit.evidence import Published, entry_at, history_of
from abonent.audit.leaves import Leaf, Opening
from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint, to64
from abonent.audit.signing import Signer, create_key
from abonent.audit.tiles import Tiles
from abonent.audit.tree import consistency_path, is_consistent
from abonent.audit.verifying import Proven, verify, verify_entries
from abonent.core.events import NumberClaimed, Passed
from abonent.errors import EvidenceDamaged, EvidenceTampered, InvalidValue, UnknownUser
from abonent.records import decode_entry
from abonent.sealing import Keyring, MemoryKeys, new_subject_key, subject_of
from abonent.simulation.world import run_world
from tests.audit.logs import NAME, SPACE, Ledger
from tests.properties.parts import N1, N2, World


@pytest.fixture
def world(tmp_path):
    with World(SqliteStorage(tmp_path / "users.db", territory="RU")) as world:
        yield world


@pytest.fixture
def ledger(tmp_path, world):
    return Ledger(tmp_path, world.storage)


def history(world: World, ledger: Ledger, user: str = "alice"):
    world.flush()
    ledger.publish()
    return history_of(Published(ledger.folder, ledger.key), world.identifier, user)


def test_a_history_is_proven_and_opened(world, ledger):
    """Who has proof, opening and public key reads what happened, when, and to which number."""
    world.identify("alice")
    world.identify("boris", N2)
    made = history(world, ledger)
    assert 0 == made.unlogged
    proven = verify_entries(made.text, ledger.key, made.opening)
    assert proven.whole
    events = [
        event for leaf in proven.entries for event in decode_entry(made.opening.open(leaf)).events
    ]
    assert [each.event for each in world.identifier.history("alice")] == events
    assert {N1} == {each.number for each in events if isinstance(each, NumberClaimed | Passed)}


def test_the_opening_belongs_to_one_subject(world, ledger):
    """The key of another subject opens nothing, and neither does another messenger's name."""
    world.identify("alice")
    world.identify("boris", N2)
    alice, boris = history(world, ledger), history(world, ledger, "boris")
    with pytest.raises(EvidenceTampered, match="other_subject, cursor"):
        verify_entries(alice.text, ledger.key, boris.opening)
    renamed = Opening(messenger="other", key=alice.opening.key)
    with pytest.raises(EvidenceTampered, match="not_sealed, cursor"):
        verify_entries(alice.text, ledger.key, renamed)


def test_what_is_not_logged_yet(world, ledger):
    """A history says how much of it is still to be logged; one that is not logged is none."""
    world.identify("alice")
    made = history(world, ledger)
    count = len(made.proofs)
    world.identifier.claim("alice", N2.e164)
    world.identify("boris", N2)
    world.flush()
    published = Published(ledger.folder, ledger.key)
    later = history_of(published, world.identifier, "alice")
    assert count == len(later.proofs)
    assert later.unlogged > 0
    with pytest.raises(InvalidValue, match="publish a checkpoint first"):
        history_of(published, world.identifier, "boris")
    with pytest.raises(UnknownUser):
        history_of(published, world.identifier, "nobody")


# --- forgetting -------------------------------------------------------------------------


def spellings(text: bytes) -> str:
    """All digits of a file, as they are and as they are hidden in its base64."""
    hidden = b"".join(
        b64decode(each + b"=" * (-len(each) % 4))
        for each in re.findall(rb"[A-Za-z0-9+/]{16,}=*", text)
        if len(each.rstrip(b"=")) % 4 != 1
    )
    return re.sub(rb"[^0-9]", b"", text + hidden).decode()


def test_proofs_outlive_the_user(world, ledger, tmp_path):
    """Forgotten, nobody can make or open more; what was proven is proven, and names no number."""
    world.identify("alice")
    made = history(world, ledger)
    proof, single = tmp_path / "alice.tlog-proof", tmp_path / "one.tlog-proof"
    proof.write_bytes(made.text)
    since = Checkpoint.open(ledger.note(), ledger.key)
    assert world.identifier.forget("alice")
    world.flush()
    ledger.publish()

    for path in (proof, ledger.folder, ledger.folder / "checkpoint"):
        assert verify(path, ledger.key).checkpoint
    assert since.size < verify(ledger.folder, ledger.key, since).checkpoint.size
    published = Published(ledger.folder, ledger.key)
    with pytest.raises(UnknownUser):
        history_of(published, world.identifier, "alice")
    one = published.prove(entry_at(world.storage, SPACE, 1))
    single.write_bytes(one.text)
    assert 1 == verify(single, ledger.key).entries[0].cursor
    assert [] == named(tmp_path, ledger)


def named(folder: Path, ledger: Ledger) -> list[str]:
    """The files of the log, proofs and keys in which a number or user can be found."""
    shown = [each for each in folder.rglob("*") if each.is_file() and "users.db" not in each.name]
    assert {"checkpoint", "alice.tlog-proof", "log.key.last"} <= {each.name for each in shown}
    found = []
    for path in shown:
        data = path.read_bytes()
        digits = spellings(data)
        for number in (N1, N2):
            value = int(number.e164[1:])
            binary = [value.to_bytes(8, order) for order in ("big", "little")]
            if number.e164[2:] in digits or any(each in data for each in binary):
                found.append(path.name)
        if b"alice" in data:
            found.append(path.name)
    return found


def test_the_search_finds_what_it_looks_for(tmp_path):
    """The search is not blind, to base64 either."""
    for hidden in (N1.e164, f"8 ({N1.e164[2:5]}) {N1.e164[5:8]}-{N1.e164[8:]}"):
        assert N1.e164[2:] in spellings(hidden.encode())
        assert N1.e164[2:] in spellings(f"extra {to64(hidden.encode())}\n".encode())


# --- openings ---------------------------------------------------------------------------


def test_an_opening_opens_what_the_keyring_sealed():
    """It repeats how entries are sealed, so that who verifies needs no more of the library."""
    keyring, key = Keyring(MemoryKeys.random(), "m"), new_subject_key()
    opening = Opening(messenger="m", key=key)
    assert subject_of(key) == opening.subject
    sealed = keyring.seal_entry(key, 3, b"said")
    leaf = Leaf(cursor=9, subject=opening.subject, number=3, body=sealed)
    assert b"said" == opening.open(leaf)
    assert opening == Opening.parse(opening.text.encode())
    assert to64(key) not in repr(opening)
    for number, body in ((4, sealed), (-1, sealed), (3, sealed[:-1]), (3, b""), (3, sealed[:7])):
        moved = Leaf(cursor=9, subject=opening.subject, number=number, body=body)
        with pytest.raises(EvidenceTampered, match="not_sealed, cursor 9"):
            opening.open(moved)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "\n",
        lambda text: text.replace("opening", "gninepo"),
        lambda text: text.replace("=", ""),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text * 100,
    ],
)
def test_what_is_no_opening(spoil):
    """A file of another kind is refused."""
    text = Opening(messenger="m", key=bytes(32)).text
    with pytest.raises(EvidenceDamaged):
        Opening.parse(spoil(text).encode())


# --- a month ----------------------------------------------------------------------------


@pytest.mark.slow
def test_any_two_checkpoints_of_a_month_are_consistent(tmp_path):
    """A month in which everything goes wrong, with a checkpoint a day: each extends all before."""
    path = tmp_path / "w.db"
    folders = {space: tmp_path / space for space in ("foreign", "domestic")}
    keys = {space: create_key(tmp_path / f"{space}.key", f"{NAME}/{space}") for space in folders}
    notes: dict[str, list[Checkpoint]] = {space: [] for space in folders}

    def publish(day: float) -> None:
        if day % 1:
            return
        store = SqliteStorage(path, territory="RU")
        for space, folder in folders.items():
            with Signer(tmp_path / f"{space}.key") as signer:
                notes[space].append(Log(folder, signer).extend(store, space))
        store.close()

    outcome = run_world(
        seed=11,
        days=30,
        subscribers=40,
        make_store=lambda: lambda: SqliteStorage(path, territory="RU"),
        tell=publish,
    )
    assert outcome.violation is None
    compared = 0
    for space, signed in notes.items():
        assert 30 == len(signed)
        assert signed[-1].size > 100
        assert signed == sorted(signed, key=lambda each: each.size)
        assert Proven(checkpoint=signed[-1]) == verify(folders[space], keys[space])
        for old, new in combinations(signed, 2):
            made = consistency_path(Tiles(folders[space], new.size).node, old.size, new.size)
            assert is_consistent(old.size, old.root, new.size, new.root, made)
            compared += 1
    assert 2 * 435 == compared


def test_the_feed_of_a_scripted_month(world, ledger):
    """The same over a month of few users who come, change and are forgotten, told day by day."""
    signed = []
    for day in range(30):
        world.clock.advance(timedelta(days=1))
        world.identify(f"user-{day % 5}", (N1, N2)[day % 2])
        if day % 7 == 6:
            world.identifier.forget(f"user-{day % 5}")
        world.identifier.sweep()
        world.flush()
        signed.append(ledger.publish())
    for old, new in combinations(signed, 2):
        made = consistency_path(Tiles(ledger.folder, new.size).node, old.size, new.size)
        assert is_consistent(old.size, old.root, new.size, new.root, made)
