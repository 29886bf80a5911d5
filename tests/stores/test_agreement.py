"""Every store gives the same answers as the reference, whatever is asked in whatever order."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from abonent.ports import AliasChange, Append, Put, Unit
from abonent.stores import MemoryStorage, SqliteStorage

SPACES = st.sampled_from(["a", "b"])
# Few values, so that units meet; versions mostly low, so that many fit.
NAMES = st.sampled_from([b"", b"\x00", b"k", b"k\x00", b"\xff"])
INSTANTS = st.integers(-3, 20)
PUTS = st.builds(
    Put,
    key=NAMES,
    expected=st.integers(0, 3),
    body=st.none() | st.binary(max_size=3),
    wake=st.none() | INSTANTS,
)
CHANGES = st.builds(
    AliasChange, alias=NAMES, owner=NAMES, present=st.booleans(), sole=st.booleans()
)
APPENDS = st.builds(Append, subject=NAMES, number=st.integers(0, 3), body=st.binary(max_size=3))


def few(values):
    return st.lists(values, max_size=3).map(tuple)


UNITS = st.builds(Unit, space=SPACES, puts=few(PUTS), aliases=few(CHANGES), appends=few(APPENDS))


class Agreement(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.reference = MemoryStorage()
        self.store = SqliteStorage(self.folder / "abonent.db")

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def same(self, method, *args):
        expected = getattr(self.reference, method)(*args)
        assert expected == getattr(self.store, method)(*args)
        return expected

    @rule(units=st.lists(UNITS, max_size=6))
    def commit(self, units):
        self.same("commit", units)

    @rule(space=SPACES, key=NAMES, body=st.none() | st.binary(max_size=3), wake=INSTANTS)
    def change_what_is_there(self, space, key, body, wake):
        (found,) = self.same("load", space, [key])
        put = Put(key, found.version if found else 0, body, wake)
        assert self.same("commit", [Unit(space, puts=(put,))]) == [True]

    @rule(space=SPACES, now=INSTANTS, limit=st.integers(-1, 3), lease=st.integers(0, 5))
    def claim(self, space, now, limit, lease):
        self.same("due", space, now, limit, lease)

    @rule(space=SPACES, after=st.integers(-1, 9), limit=st.integers(-1, 9))
    def read_the_journal(self, space, after, limit):
        self.same("journal", space, after, limit)

    @rule(space=SPACES, after=NAMES, limit=st.integers(-1, 9))
    def read_records(self, space, after, limit):
        self.same("scan", space, after, limit)

    @rule()
    def open_again(self):
        self.store.close()
        self.store = SqliteStorage(self.folder / "abonent.db")

    @invariant()
    def everything_is_the_same(self):
        names = [b"", b"\x00", b"k", b"k\x00", b"\xff"]
        for space in ("a", "b", "never used"):
            self.same("load", space, names)
            self.same("find", space, names)
            self.same("scan", space, b"", 100)
            self.same("journal", space, 0, 1_000)


TestAgreement = Agreement.TestCase
TestAgreement.settings = settings(max_examples=40, stateful_step_count=15)
