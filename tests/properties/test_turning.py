"""Keys that turn between any two steps, over the whole library, through crashes."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import rule, run_state_machine_as_test

from abonent import MemoryKeys, Resealed
from abonent.core.states import ATTEMPTS
from abonent.engine.archive import holder_aliases, pending_aliases, subject_alias
from abonent.engine.drafts import numbers_of
from abonent.ports import Keys
from abonent.sealing import key_of
from tests.properties.parts import ROOT, bounded
from tests.properties.service import USERS, Service

ROOTS = {"k1": ROOT, "k2": b"n" * 32, "k3": b"p" * 32}


def live(current: str) -> MemoryKeys:
    return MemoryKeys(Keys(current=current, roots=ROOTS))


class Turning(Service):
    """Processes come and go with one of three keys as the current one, and rows are moved."""

    keys = live("k1")
    cursor: bytes | None = None

    @rule(current=st.sampled_from(sorted(ROOTS)))
    def turn(self, current: str) -> None:
        """The process ends, and another begins with another current key."""
        self.call(self.world.flush)
        self.kill()
        self.keys = live(current)
        self.start()

    @rule(limit=st.sampled_from([1, 2, 500]), on=st.booleans())
    def reseal(self, limit: int, on: bool) -> None:
        """I7: nothing that anybody can ask for changes, but where it is."""
        self.call(self.world.flush)
        before = self.seen()
        answer = self.call(self.identifier.reseal, after=(on and self.cursor) or b"", limit=limit)
        self.cursor = answer.cursor if isinstance(answer, Resealed) else None
        assert before == self.seen(), "I7: somebody can tell that a row was moved"

    def seen(self) -> object:
        one = self.identifier
        found = [(one.gate(each), one.standing(each), one.history(each)) for each in USERS]
        return found, one.changes(limit=100_000)

    def check_invariants(self, settings, output, runtimes) -> None:
        super().check_invariants(settings, output, runtimes)
        if not hasattr(self, "world"):
            return
        keyring = self.world.keyring
        rows = list(self.identifier._feed._rows())
        for user in USERS:
            places = [held.key for held in rows if held.key in keyring.user_tags(user)]
            assert len(places) <= 1, "a user has two rows"
        entries: dict[bytes, list[int]] = {}
        for each in self.store.inner.journal("m", 0, 100_000):
            entries.setdefault(each.subject, []).append(each.number)
        for held in rows:
            told = entries[held.subject]
            assert list(range(1, len(told) + 1)) == told, "a subject's entries have a gap"
            assert held.version - held.row.begun == len(told)
        expected: dict[bytes, set[bytes]] = {}
        for held in rows:
            number, asked = numbers_of(held.aggregate)
            names = [(subject_alias(held.subject),)]
            names += [holder_aliases(keyring.number_tags(number))] if number else []
            names += [pending_aliases(keyring.number_tags(asked))] if asked else []
            for aliases in names:
                owners = [owner for found in self.owners(aliases) for owner in found]
                assert owners.count(held.key) == 1, "a row is known by no alias, or by two"
                if aliases[0][-1:] == b"h":
                    assert owners == [held.key], "I3: a number has two holders"
            expected[held.key] = {alias for aliases in names for alias in aliases}
        space = self.spaces()
        for alias, owners in space.items():
            for owner in owners:
                assert alias in expected.get(owner, ()), "an alias leads nowhere"

    def owners(self, aliases: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        return self.store.inner.find("m", aliases)

    def spaces(self) -> dict[bytes, set[bytes]]:
        return {a: set(owners) for a, owners in self.store.inner._spaces["m"].owners.items()}

    def one_pass(self) -> int:
        """How many rows a pass moves."""
        page = self.identifier.reseal(limit=2)
        moved = page.resealed
        while page.cursor is not None:
            page = self.identifier.reseal(after=page.cursor, limit=2)
            moved += page.resealed
        return moved

    def check_at_the_end(self) -> None:
        """A pass at rest leaves every row of a user in its place, under the current key."""
        super().check_at_the_end()
        keyring = self.world.keyring
        while self.one_pass():
            pass
        records = dict(self.store.inner.scan("m", b"", 1000))
        for held in self.identifier._feed._rows():
            if isinstance(held.aggregate.state, ATTEMPTS) or held.row.user_id is None:
                continue
            assert key_of(records[held.key].body) == keyring.current
            assert held.key == keyring.user_tags(held.row.user_id)[0]
            number, _ = numbers_of(held.aggregate)
            if number is not None:
                first, *others = self.owners(holder_aliases(keyring.number_tags(number)))
                assert [(held.key,), [()] * len(others)] == [first, others]
        assert self.identifier.replay().ok


def hold(focus: str, examples: int) -> None:
    machine = type(f"Turning{focus}", (Turning,), {"focus": focus})
    run_state_machine_as_test(machine, settings=bounded(examples, 40))


@pytest.mark.parametrize("focus", ["I1", "I6", "I7", "I8"])
def test_invariants_hold_while_keys_turn(focus: str):
    """I1, I3, I6, I7, I8: one row for a user, one holder for a number, whatever key is current."""
    hold(focus, 40)


@pytest.mark.slow
def test_invariants_hold_while_keys_turn_for_long():
    """The same, looked at from all sides, more often."""
    hold("", 120)
