"""Budgets of the codes sent to many numbers at once, and a fuse: what SMS pumping runs into (P20).

Knows counters in a store that all processes of a messenger share. Refuses to know users.

1. A process takes a share of what is left out of the store and spends it in memory. What was taken
   counts as sent until it is put back: a process that dies makes a budget smaller, never larger.
2. Time is cut into slices of a sixteenth of the budget's time. A slice counts until all of it is
   older than that time, and a share is spent in the slice that it was taken in. So at no time are
   more codes sent within the budget's time than its limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final

import msgspec
from attrs import Attribute, field, frozen
from msgspec import Struct

from abonent.core.budgets import Unsendable
from abonent.core.numbers import SubscriberNumber
from abonent.errors import (
    InvalidValue,
    KeyUnavailable,
    Misconfigured,
    RecordDamaged,
    StorageError,
    Unavailable,
)
from abonent.ports import KeyProvider, Put, Record, Storage, Unit
from abonent.sealing import Keyring, key_of

_SLICES: Final = 16
_SHARES: Final = 64
"""A share is this part of what is left, so that the last codes are taken one by one."""
_SHARES_KEPT: Final = 4096
_ROUNDS: Final = 64
_PAGE: Final = 500
_LOOK_AGAIN: Final = timedelta(seconds=5)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WITHIN: Final = (timedelta(minutes=1), timedelta(days=31))
_DIGITS: Final = (1, 14)


def _some(_: object, attribute: Attribute[int], value: int) -> None:
    if not 1 <= value <= 10**9:
        raise InvalidValue("a budget is 1 to 1,000,000,000 codes")


def _lasting(_: object, attribute: Attribute[timedelta], value: timedelta) -> None:
    if not _WITHIN[0] <= value <= _WITHIN[1]:
        raise InvalidValue("a budget is for one minute to 31 days")


@frozen(kw_only=True)
class SendBudget:
    """At most `limit` codes, 1 to 10⁹, in any period as long as `within`, 1 minute to 31 days."""

    limit: int = field(validator=_some)
    within: timedelta = field(default=timedelta(hours=24), validator=_lasting)


class _Counted(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a record says: codes by slice, oldest first, and whether a fuse has blown."""

    version: int
    slices: tuple[tuple[int, int], ...]
    blown: bool = False


_NOTHING: Final = _Counted(1, ())


class _Share:
    """What this process has of a budget in one slice, or from when it may ask for more."""

    __slots__ = ("left", "refused", "slice", "until")

    def __init__(self) -> None:
        self.slice = 0
        self.left = 0
        self.refused: Unsendable | None = None
        self.until: datetime | None = None


@frozen
class _Counter:
    name: str
    budget: SendBudget
    fuse: bool = False

    @property
    def slice_length(self) -> timedelta:
        return self.budget.within / _SLICES

    def slice_at(self, at: datetime) -> int:
        return (at - _EPOCH) // self.slice_length

    def counts_until(self, of_slice: int) -> datetime:
        return _EPOCH + (of_slice + 1) * self.slice_length + self.budget.within

    def kept_until(self, of_slice: int) -> datetime:
        """A clock that steps back finds what it has counted, up to a whole period later."""
        return self.counts_until(of_slice) + self.budget.within


class SendBudgets:
    """Bounds the codes that a messenger sends to each range of numbers, and to all of them.

    A range is what numbers have in common that begin with the same digits. Give the identifier one
    as its `limiter`; any number of processes share the budgets by the store.

    Args:
        messenger: whose codes they are, by id.
        storage: where codes are counted, sealed, in a space beside the messenger's own. It may be
            the identifier's. It is not closed.
        keys: the root keys.
        by_range: the budget of each range, or None.
        range_digits: how many digits, country code included, make a range, 1 to 14; never the last
            two of a number, so that a range has a hundred numbers at least.
        in_all: the budget of the messenger, or None.
        fuse: where this is reached no code is sent any more, until a person has looked and calls
            `mend`; or None. It should be what no good day comes near.
        blown: called once when the fuse blows, by the process that noticed.

    Raises:
        InvalidValue: an impossible figure.
        KeyUnavailable, KeyMaterialInvalid: from the key provider.
    """

    def __init__(
        self,
        *,
        messenger: str,
        storage: Storage,
        keys: KeyProvider,
        by_range: SendBudget | None = None,
        range_digits: int = 7,
        in_all: SendBudget | None = None,
        fuse: SendBudget | None = None,
        blown: Callable[[], object] | None = None,
    ) -> None:
        if not _DIGITS[0] <= range_digits <= _DIGITS[1]:
            raise InvalidValue("a range is 1 to 14 digits")
        self._space = f"{messenger}/sends"  # no messenger has an id with a slash
        self._storage = storage
        self._keyring = Keyring(keys, self._space)
        self._by_range = by_range
        self._digits = range_digits
        fixed = (("fuse", fuse, True), ("all", in_all, False))
        self._fixed = tuple(_Counter(name, each, is_fuse) for name, each, is_fuse in fixed if each)
        self._blown = blown
        self._mutex = threading.Lock()
        self._shares: dict[str, _Share] = {}

    @property
    def test_double(self) -> bool:
        """On a store that is for tests only, this is so as well (P12)."""
        return bool(getattr(self._storage, "test_double", False))

    def admit(self, number: SubscriberNumber, at: datetime) -> Unsendable | None:
        """Take one code out of every budget that the number is in, or say from when there is one.

        Raises:
            Unavailable: the store is out of reach.
            Misconfigured: what is counted there cannot be read.
        """
        with self._mutex:
            taken: list[_Counter] = []
            for counter in self._counters(number):
                refused = self._take(counter, at)
                if refused is not None:
                    for each in taken:
                        self._return(each, at)
                    return refused
                taken.append(counter)
        return None

    def give_back(self, number: SubscriberNumber, at: datetime) -> None:
        """Take back that a code was admitted at an instant: it was not sent after all."""
        with self._mutex:
            for each in self._counters(number):
                self._return(each, at)

    def mend(self) -> None:
        """Put the fuse in again, with nothing counted. Other processes see it within seconds.

        Raises:
            Unavailable, Misconfigured: as `admit`.
        """
        with self._mutex:
            for each in self._fixed:
                if each.fuse:
                    self._change(each, lambda _: _NOTHING)
                    self._shares.pop(each.name, None)

    # --- keys that turn ------------------------------------------------------------------

    def seals(self) -> int:
        """Return how many seals this process has made under the current key."""
        return self._keyring.seals

    def reseal(self, at: datetime) -> int:
        """Move the fuse and the budget in all to the current key; drop ranges that count no more.

        A range says nowhere which it is, so that its counter moves when it is used again.

        Returns:
            How many counters were moved or dropped.

        Raises:
            Unavailable, Misconfigured: as `admit`.
        """
        with _as_limiter():
            return sum(map(self._move, self._fixed)) + self._drop_spent(at)

    def left(self, at: datetime) -> Sequence[tuple[str, datetime | None]]:
        """Return, for each counter under an older key, the key's id and until when it counts.

        Raises:
            Unavailable, Misconfigured: as `admit`.
        """
        with _as_limiter():
            return [
                (key_of(record.body), self._counts_until(self._opened(key, record)))
                for key, record in self._older()
            ]

    def _move(self, counter: _Counter) -> bool:
        keys = self._keyring.range_tags(counter.name)
        for _ in range(_ROUNDS):
            found = self._storage.load(self._space, keys)
            if not any(found[1:]) and not any(map(self._is_older, found)):
                return False
            if self._commit(keys, found, self._read(keys, found)):
                return True
        raise Unavailable("others keep counting codes", adapter="limiter")

    def _drop_spent(self, at: datetime) -> int:
        fixed = {tag for each in self._fixed for tag in self._keyring.range_tags(each.name)}
        puts = [
            Put(key, record.version, None)
            for key, record in self._pages()
            if key not in fixed and self._is_spent(self._opened(key, record), at)
        ]
        # Each by itself: one that is used at this moment is not spent, and stays.
        return sum(self._storage.commit([Unit(self._space, (put,)) for put in puts]))

    def _is_spent(self, counted: _Counted, at: datetime) -> bool:
        until = self._counts_until(counted)
        return not counted.blown and (until is None or until <= at)

    def _counts_until(self, counted: _Counted) -> datetime | None:
        """Return until when a range counts, None where it does not, or no range is counted."""
        if self._by_range is None or not counted.slices:
            return None
        return _Counter("", self._by_range).counts_until(counted.slices[-1][0])

    def _is_older(self, record: Record | None) -> bool:
        return record is not None and key_of(record.body) != self._keyring.current

    def _older(self) -> Iterator[tuple[bytes, Record]]:
        return (each for each in self._pages() if self._is_older(each[1]))

    def _pages(self) -> Iterator[tuple[bytes, Record]]:
        after: bytes | None = b""
        while after is not None:
            page = self._storage.scan(self._space, after, _PAGE)
            yield from page
            after = page[-1][0] if len(page) == _PAGE else None

    # --- in memory -------------------------------------------------------------------

    def _counters(self, number: SubscriberNumber) -> tuple[_Counter, ...]:
        if self._by_range is None:
            return self._fixed
        digits = number.e164[1:]
        # A counter outlives everybody, so that no range is as narrow as one person.
        name = f"range {digits[: min(self._digits, len(digits) - 2)]}"
        return (*self._fixed, _Counter(name, self._by_range))

    def _take(self, counter: _Counter, at: datetime) -> Unsendable | None:
        share = self._shares.setdefault(counter.name, _Share())
        if share.until is not None and at < share.until:
            return share.refused
        if share.left and share.slice == counter.slice_at(at):
            share.left -= 1
            return None
        self._forget_spent()
        fetched = self._shares[counter.name] = self._fetch(counter, at, share)
        return fetched.refused

    def _return(self, counter: _Counter, at: datetime) -> None:
        share = self._shares.get(counter.name)
        if share is not None and share.slice == counter.slice_at(at):
            share.left += 1

    def _forget_spent(self) -> None:
        """Ranges are many, and those of which this process has nothing need not be known."""
        if len(self._shares) > _SHARES_KEPT:
            self._shares = {name: each for name, each in self._shares.items() if each.left}

    # --- in the store ----------------------------------------------------------------

    def _fetch(self, counter: _Counter, at: datetime, old: _Share) -> _Share:
        """Take a share out of the store, and spend one code of it; put back what is left of one."""
        now, limit = counter.slice_at(at), counter.budget.limit
        share = _Share()

        def take(counted: _Counted) -> _Counted:
            kept = {k: n for k, n in counted.slices if at < counter.kept_until(k)}
            if old.slice in kept:
                kept[old.slice] = max(0, kept[old.slice] - old.left)
            counts = {k: n for k, n in kept.items() if at < counter.counts_until(k)}
            room = limit - sum(counts.values())
            share.refused = None
            if counted.blown or (counter.fuse and room <= 0):
                share.refused, share.until = Unsendable(until=None), at + _LOOK_AGAIN
                return _Counted(1, counted.slices, blown=True)
            if room <= 0:
                share.until = _free_at(counter, counts, -room)
                share.refused = Unsendable(until=share.until)
                return counted
            size = max(1, room // _SHARES)
            share.slice, share.left, share.until = now, size - 1, None
            kept[now] = kept.get(now, 0) + size
            return _Counted(1, tuple(sorted(kept.items())))

        before, after = self._change(counter, take)
        if after.blown and not before.blown and self._blown is not None:
            self._blown()
        return share

    def _change(
        self, counter: _Counter, change: Callable[[_Counted], _Counted]
    ) -> tuple[_Counted, _Counted]:
        """Change what is stored, whoever else does; return it as it was and is."""
        keys = self._keyring.range_tags(counter.name)
        with _as_limiter():
            for _ in range(_ROUNDS):
                found = self._storage.load(self._space, keys)
                before = self._read(keys, found)
                after = change(before)
                if after == before or self._commit(keys, found, after):
                    return before, after
        raise Unavailable("others keep counting codes", adapter="limiter")

    def _read(self, keys: tuple[bytes, ...], found: list[Record | None]) -> _Counted:
        """Add up what was counted under every live key: a rotation forgets nothing."""
        counts: dict[int, int] = {}
        blown = False
        for key, record in zip(keys, found, strict=True):
            if record is None:
                continue
            counted = self._opened(key, record)
            blown = blown or counted.blown
            for of_slice, count in counted.slices:
                counts[of_slice] = counts.get(of_slice, 0) + count
        return _Counted(1, tuple(sorted(counts.items())), blown)

    def _opened(self, key: bytes, record: Record) -> _Counted:
        body = self._keyring.open_row(key, record.version, record.body)
        try:
            return msgspec.msgpack.decode(body, type=_Counted)
        except (msgspec.MsgspecError, ValueError):
            raise RecordDamaged("a counter cannot be read") from None

    def _commit(self, keys: tuple[bytes, ...], found: list[Record | None], after: _Counted) -> bool:
        """Write under the current key; what stood under older ones goes with the same commit."""
        puts: list[Put] = []
        for place, (key, record) in enumerate(zip(keys, found, strict=True)):
            version = 0 if record is None else record.version
            if place == 0:
                body = msgspec.msgpack.encode(after)
                sealed = self._keyring.seal_row(key, version + 1, body)
                puts.append(Put(key, version, sealed))
            elif record is not None:
                puts.append(Put(key, version, None))
        return self._storage.commit([Unit(self._space, tuple(puts))])[0]


@contextmanager
def _as_limiter() -> Generator[None]:
    """Let nothing of the store out but what a limiter may raise."""
    try:
        yield
    except StorageError as error:
        if error.retryable:
            raise Unavailable("codes cannot be counted now", adapter="limiter") from None
        raise Misconfigured("codes cannot be counted", adapter="limiter") from None
    except KeyUnavailable:
        raise Misconfigured("a counter's key is not there", adapter="limiter") from None


def _free_at(counter: _Counter, counts: dict[int, int], over: int) -> datetime:
    """Return the instant from which there is room for one more than `over` too many."""
    freed = accumulate(counts[each] for each in sorted(counts))
    oldest = next(each for each, gone in zip(sorted(counts), freed, strict=True) if gone > over)
    return counter.counts_until(oldest)
