"""Any store against the one in memory: whatever is done in whatever order, they agree.

Knows the port, and what it leaves open: how far cursors are apart, and which of two records with
the same deadline is claimed first. Refuses to know the store.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abonent.ports import AliasChange, Append, Entry, Put, Storage, Unit
from abonent.stores.memory import MemoryStorage

# Few values, so that units meet; versions mostly low, so that many fit.
_SPACES: Final = ("a", "b", "never-written")
_NAMES: Final = (b"", b"\x00", b"k", b"k\x00", b"\xff")

_spaces = st.sampled_from(_SPACES[:2])
_names = st.sampled_from(_NAMES)
_instants = st.integers(-3, 20)
_bodies = st.none() | st.binary(max_size=3)
_puts = st.builds(
    Put, key=_names, expected=st.integers(0, 3), body=_bodies, wake=st.none() | _instants
)
_changes = st.builds(
    AliasChange, alias=_names, owner=_names, present=st.booleans(), sole=st.booleans()
)
_appends = st.builds(Append, subject=_names, number=st.integers(0, 3), body=st.binary(max_size=3))
_units = st.builds(
    Unit,
    space=_spaces,
    puts=st.lists(_puts, max_size=3).map(tuple),
    aliases=st.lists(_changes, max_size=3).map(tuple),
    appends=st.lists(_appends, max_size=3).map(tuple),
)


class _Reference(MemoryStorage):
    """The store in memory, which also tells its deadlines and takes the claims of another."""

    def ripe(self, space: str, now: int) -> dict[bytes, int]:
        deadlines = self._open(space).deadlines
        return {key: at for key, at in deadlines.items() if at <= now}

    def lease(self, space: str, claimed: list[bytes], until: int) -> None:
        self._open(space).deadlines.update(dict.fromkeys(claimed, until))


class StorageMachine(RuleBasedStateMachine):
    """Does the same to a store and to the one in memory, and compares what both answer.

    Inherit from it, say how your store is opened, and let pytest collect it::

        class MyMachine(StorageMachine):
            def open_store(self):
                return MyStorage(self.folder / "my.db")


        TestMyStorage = MyMachine.TestCase

    `folder` is an empty directory of this run; its name serves as a name for a fresh schema. A
    durable store is closed and opened again now and then.
    """

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self.folder = Path(self._directory.name)
        self._reference = _Reference()
        self._seen: dict[str, list[Entry]] = {space: [] for space in _SPACES}

    def open_store(self) -> Storage:
        """Open your store: empty at first, and later the same one with what is in it."""
        # Not abstract: Hypothesis builds the class itself, and this says more than it would.
        raise NotImplementedError(
            f"{type(self).__name__} lacks the method open_store(self) -> Storage. Provide it: "
            "return your store, empty for each new self.folder; for example\n"
            '    return SqliteStorage(self.folder / "abonent.db")'
        )

    def teardown(self) -> None:
        """Close the store and remove its folder."""
        try:
            if hasattr(self, "store"):
                self.store.close()
        finally:
            self._directory.cleanup()

    # --- what happens ----------------------------------------------------------------------

    @initialize()
    def open(self) -> None:
        """Begin with an empty store."""
        self.store = self.open_store()

    @rule(units=st.lists(_units, max_size=6))
    def commit(self, units: list[Unit]) -> None:
        """The same units are applied, and the same conflict."""
        assert self._reference.commit(units) == self.store.commit(units)

    @rule(space=_spaces, key=_names, body=_bodies, wake=_instants)
    def change_what_is_there(self, space: str, key: bytes, body: bytes | None, wake: int) -> None:
        """A put that expects what is stored is applied."""
        (found,) = self._reference.load(space, [key])
        put = Put(key, found.version if found else 0, body, wake)
        units = [Unit(space, puts=(put,))]
        assert self._reference.commit(units) == [True] == self.store.commit(units)

    @rule(space=_spaces, now=_instants, limit=st.integers(0, 3), lease=st.integers(0, 5))
    def claim(self, space: str, now: int, limit: int, lease: int) -> None:
        """The earliest that are due are claimed, each once; of equal ones it may be any."""
        claimed = self.store.due(space, now, limit, lease)
        ripe = self._reference.ripe(space, now)
        assert len(set(claimed)) == len(claimed)
        assert set(claimed) <= ripe.keys()
        assert sorted(ripe.values())[:limit] == [ripe[key] for key in claimed]
        self._reference.lease(space, claimed, now + lease)

    @rule(space=_spaces, begin=st.integers(0, 9), limit=st.integers(0, 9))
    def read_the_journal(self, space: str, begin: int, limit: int) -> None:
        """A page is the entries beyond a cursor, no more than asked for."""
        seen = self._seen[space]
        begin = min(begin, len(seen))
        after = seen[begin - 1].cursor if begin else 0
        assert seen[begin : begin + limit] == self.store.journal(space, after, limit)

    @rule(space=_spaces, after=_names, limit=st.integers(0, 9))
    def scan(self, space: str, after: bytes, limit: int) -> None:
        """A page of a scan is the records beyond a key, no more than asked for."""
        expected = self._reference.scan(space, after, limit)
        assert expected == self.store.scan(space, after, limit)

    @precondition(lambda self: self.store.features.durable)
    @rule()
    def open_again(self) -> None:
        """A durable store is the same after it was closed and opened."""
        self.store.close()
        self.store = self.open_store()

    # --- what always holds -----------------------------------------------------------------

    @invariant()
    def records_and_owners_agree(self) -> None:
        """Every record and every alias is the same, asked for or scanned."""
        for space in _SPACES:
            assert self._reference.load(space, _NAMES) == self.store.load(space, _NAMES)
            assert self._reference.find(space, _NAMES) == self.store.find(space, _NAMES)
            assert self._reference.scan(space, b"", 100) == self.store.scan(space, b"", 100)

    @invariant()
    def journals_agree(self) -> None:
        """The same entries in the same order; cursors grow, and stay as they were."""
        for space in _SPACES:
            seen = self.store.journal(space, 0, 10_000)
            assert [(e.subject, e.number, e.body) for e in seen] == [
                (e.subject, e.number, e.body) for e in self._reference.journal(space, 0, 10_000)
            ]
            cursors = [0, *(e.cursor for e in seen)]
            assert sorted(set(cursors)) == cursors
            assert self._seen[space] == seen[: len(self._seen[space])]
            self._seen[space] = seen
