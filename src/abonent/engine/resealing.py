"""Keys that turn: moving what was written under older keys to the current one.

Knows where a row belongs and what still leads to an older key. Refuses to know where keys come
from, and to touch the journal: its entries are sealed under the keys of their subjects.

1. A row is moved as one unit, with its aliases, and nothing of it changes but its place: nobody
   finds it in two places or in none.
2. Only what is at rest moves. A claim that waits, or a question that was asked, is known outside by
   ids made under the key of its time; it ends by itself, and moves then.
3. A pass is all pages from the first to the last. One that was broken off is begun again: what is
   in its place is passed over.
4. A key is clear when a whole pass found nothing that leads to it. What it was the key of in counts
   of failures and codes sent runs out within 24 hours after that.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import frozen
from msgspec.structs import replace

from abonent.core.owed import wakes_at
from abonent.core.policy import DAY
from abonent.engine.archive import Archive, Held, holder_aliases, micros, subject_alias
from abonent.engine.drafts import holding, numbers_of
from abonent.engine.leads import Lead, leads_of
from abonent.errors import InvalidValue, KeyInUse, KeyUnavailable
from abonent.ports import AliasChange, Clock, Put, Record, TurnsKeys, Unit
from abonent.records import KeyLine, Row, encode_row

_CHUNK: Final = 500
_MOST: Final = 10_000
_ROUNDS: Final = 8
"""How often a row that somebody else wrote meanwhile is judged anew."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class Resealed:
    """One page of a pass.

    `seen` records were looked at and `resealed` of them moved to the current key; a row that was
    moved may be met again further on. `waiting` are those that lead to an older key and cannot be
    moved yet: claims and questions that are under way, counts of the last 24 hours. They end by
    themselves, and a later pass finds them gone or at rest. `cursor` is where the next page begins;
    None: the pass is over.
    """

    seen: int
    resealed: int
    waiting: int
    cursor: bytes | None


@frozen(kw_only=True)
class KeyUse:
    """What there is to know about a root key.

    `records` lead to it: sealed under it, in a place of it, or known by it. `seals` is how many are
    counted under it, a share ahead; one key makes at most 2³² (NIST SP 800-38D, 8.3). `clear_since`
    is when a whole pass had found nothing that leads to it; `retirable_at` the instant from which
    it may be retired, as far as is known now.
    """

    key_id: str
    current: bool
    records: int
    seals: int
    clear_since: datetime | None
    retirable_at: datetime | None


class _Pass:
    """What a pass has found so far; it is whole if each page began where the last one ended."""

    def __init__(self) -> None:
        self.next: bytes | None = b""
        self.found: Counter[str] = Counter()
        self.noted: set[str] = set()


class Resealer:
    """Reseals the records of one messenger, and knows which keys are still needed."""

    def __init__(self, archive: Archive, clock: Clock, limiter: Any) -> None:
        self._archive = archive
        self._ledger = archive.ledger
        self._keyring = archive.keyring
        self._clock = clock
        self._limiter = limiter if isinstance(limiter, TurnsKeys) else None
        if self._limiter is not None:
            self._ledger.others = self._limiter.seals
        self._pass = _Pass()
        self._one_at_a_time = threading.Lock()

    # --- resealing --------------------------------------------------------------------

    def page(self, after: bytes, limit: int) -> Resealed:
        """Reseal up to `limit` records beyond a cursor. Blocks on the store."""
        if not 1 <= limit <= _MOST:
            raise InvalidValue(f"a page has 1 to {_MOST:,} records")
        self._ledger.enter()
        with self._one_at_a_time:
            if after == b"":
                self._pass = _Pass()
            page = self._archive.scan(after, limit)
            counted = self._reseal_limiter() if after == b"" else (0, 0)
            moved, waiting = self._reseal(page)
            cursor = page[-1][0] if len(page) == limit else None
            if self._pass.next == after:
                self._pass.next = cursor
                if cursor is None:
                    self._note_clear(self._pass)
        return Resealed(
            seen=len(page),
            resealed=moved + counted[0],
            waiting=waiting + counted[1],
            cursor=cursor,
        )

    def _reseal(self, page: list[tuple[bytes, Record]]) -> tuple[int, int]:
        left, moved, waiting = page, 0, 0
        for _ in range(_ROUNDS):
            leads = leads_of(self._archive, left, self._clock.now())
            self._found(key_id for each in leads for key_id in each.key_ids)
            waiting += sum(each.held is None and bool(each.key_ids) for each in leads)
            movable = [each.held for each in leads if each.held is not None and each.key_ids]
            units = [_moved(self._archive, each) for each in movable]
            applied = self._ledger.commit(units) if units else []
            moved += sum(applied)
            lost = [each.key for each, done in zip(movable, applied, strict=True) if not done]
            if not lost:
                return moved, waiting
            found = zip(lost, self._archive.read(lost), strict=True)
            left = [(key, record) for key, record in found if record is not None]
        return moved, waiting + len(left)

    def _reseal_limiter(self) -> tuple[int, int]:
        if self._limiter is None:
            return 0, 0
        at = self._clock.now()
        moved = self._limiter.reseal(at)
        left = self._limiter.left(at)
        self._found(key_id for key_id, _ in left)
        return moved, len(left)

    # --- what a pass says about a key ---------------------------------------------------

    def _found(self, key_ids: Iterable[str]) -> None:
        """Note that records lead to these keys: none of them is clear any more."""
        found = Counter(key_ids)
        new = found.keys() - self._pass.noted
        self._pass.found += found
        if new:
            self._ledger.change(lambda lines: _not_clear(lines, new))
            self._pass.noted |= new

    def _note_clear(self, whole: _Pass) -> None:
        clear = set(self._keyring.key_ids[1:]) - whole.found.keys()
        at = micros(self._clock.now())

        def note(lines: dict[str, KeyLine]) -> dict[str, KeyLine]:
            for key_id in clear:
                check = self._keyring.check_value(key_id)
                line = lines.get(key_id, KeyLine(key_id=key_id, check=check))
                if line.clear_since is None:
                    lines[key_id] = replace(line, clear_since=at)
            return lines

        self._ledger.change(note)

    # --- which keys are needed -----------------------------------------------------------

    def uses(self) -> tuple[KeyUse, ...]:
        """Say what there is to know about every key. Reads every record; blocks on the store."""
        leads = Counter(
            key_id for lead in self._leads() for key_id in lead.key_ids or (lead.sealed,)
        )
        lines = self._ledger.lines()
        known = dict.fromkeys(self._keyring.key_ids)
        known |= dict.fromkeys(each.key_id for each in lines.values() if not each.retired)
        known |= dict.fromkeys(leads)
        return tuple(self._use(each, leads[each], lines.get(each)) for each in known)

    def _use(self, key_id: str, records: int, line: KeyLine | None) -> KeyUse:
        current = key_id == self._keyring.current
        micros_clear = None if line is None else line.clear_since
        clear = None if micros_clear is None else _EPOCH + timedelta(microseconds=micros_clear)
        free = clear is not None and not records and not current
        return KeyUse(
            key_id=key_id,
            current=current,
            records=records,
            seals=0 if line is None else line.seals,
            clear_since=clear,
            retirable_at=clear + DAY if clear is not None and free else None,
        )

    def check_retirable(self, key_id: str) -> None:
        """Raise unless a key is needed no more. Reads every record; blocks on the store."""
        line = self._ledger.lines().get(key_id)
        if line is not None and line.retired:
            return
        if key_id not in self._keyring.key_ids:
            raise KeyUnavailable(f"there is no key {key_id}", key_id=key_id)
        if key_id == self._keyring.current:
            raise KeyInUse(f"key {key_id} is the current one", key_id=key_id)
        leading = [lead for lead in self._leads() if key_id in lead.key_ids]
        if leading:
            ends = [each.until for each in leading]
            retry_at = None if None in ends else max(each for each in ends if each) + DAY
            message = f"{len(leading)} records lead to key {key_id}"
            raise KeyInUse(message, key_id=key_id, records=len(leading), retry_at=retry_at)
        use = self._use(key_id, 0, line)
        if use.retirable_at is None:
            message = f"no whole pass has found key {key_id} clear"
            raise KeyInUse(message, key_id=key_id)
        if self._clock.now() < use.retirable_at:
            message = f"counts of the last 24 hours may lead to key {key_id}"
            raise KeyInUse(message, key_id=key_id, retry_at=use.retirable_at)

    def retire(self, key_id: str) -> None:
        """Note that a key is needed no more, if that is so."""
        self.check_retirable(key_id)

        def note(lines: dict[str, KeyLine]) -> dict[str, KeyLine]:
            lines[key_id] = replace(lines[key_id], retired=True)
            return lines

        self._ledger.change(note)

    def _leads(self) -> Iterator[Lead]:
        after: bytes | None = b""
        while after is not None:
            page = self._archive.scan(after, _CHUNK)
            yield from leads_of(self._archive, page, self._clock.now())
            after = page[-1][0] if len(page) == _CHUNK else None
        if self._limiter is not None:
            for key_id, until in self._limiter.left(self._clock.now()):
                yield Lead(key_ids=frozenset((key_id,)), sealed=key_id, until=until)


def _not_clear(lines: dict[str, KeyLine], key_ids: Iterable[str]) -> dict[str, KeyLine]:
    for key_id in key_ids:
        if key_id in lines:
            lines[key_id] = replace(lines[key_id], clear_since=None)
    return lines


def _moved(archive: Archive, held: Held) -> Unit:
    """Return what seals a row anew, in the place where the current key would have begun it.

    The number of its next journal entry stays the same: what is behind goes on there.
    """
    keyring, row, told = archive.keyring, held.row, held.version - held.row.begun
    # The place of who was forgotten cannot be told, and nobody looks for it any more.
    places = (held.key,) if row.user_id is None else keyring.user_tags(row.user_id)
    place = places[0]
    version = held.version + 1 if place == held.key else 1
    kept = Row(
        user_id=row.user_id,
        subject_key=row.subject_key,
        aggregate=row.aggregate,
        begun=version - told,
    )
    wake = wakes_at(row.aggregate)
    body = keyring.seal_row(place, version, encode_row(kept))
    puts = [Put(place, version - 1, body, None if wake is None else micros(wake))]
    aliases: list[AliasChange] = []
    if place != held.key:
        puts.append(Put(held.key, held.version, None))
        aliases.append(AliasChange(subject_alias(held.subject), held.key, False))
        aliases.append(AliasChange(subject_alias(held.subject), place, True, True))
    number, _ = numbers_of(row.aggregate)
    if number is not None:
        names = holder_aliases(keyring.number_tags(number))
        aliases += [AliasChange(each, held.key, False) for each in names]
        aliases += holding(names, place)
    return Unit(archive.space, tuple(puts), tuple(aliases))
