"""After a death: is everything there that was acknowledged, and nothing by half?

Knows what a process told before it died, over all lives on one store. Refuses to know how it was
killed.

1. The store's bytes are those that the acknowledged commits give, with each unit of the commit
   that was under way wholly added or not at all.
2. What they say is consistent: the journal replays to every record, each alias has its row and each
   row its aliases, and no deadline comes later than its row needs.
3. Every call that returned is explained by the user's history: the standing it told was reached,
   in order, and the event it stands for is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime

from attrs import define, field

from abonent import Identifier, MemoryStorage
from abonent.core.events import Event
from abonent.core.evolution import evolve
from abonent.core.owed import gate, wakes_at
from abonent.core.standing import standing
from abonent.core.states import (
    BLANK,
    Aggregate,
    AwaitingAnswer,
    identified_in,
    standing_identification,
)
from abonent.engine.archive import (
    Held,
    holder_aliases,
    is_sends_key,
    micros,
    pending_aliases,
    subject_alias,
)
from abonent.errors import AbonentError
from abonent.ports import Clock, Unit
from abonent.records import decode_entry
from abonent.simulation import SimulatedOperator, SimulatedSender
from tests.crash.contents import SPACE, Contents, Kept, differences, kept_by
from tests.crash.life import OPERATOR, POLICY, identifier_on, reason_of
from tests.crash.messages import (
    Applied,
    Asking,
    Due,
    Failed,
    Forgetting,
    Message,
    Returned,
    Trying,
)


class Violation(Exception):
    """A promise is broken; each line says one thing that is wrong."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


@define
class Judge:
    """What the lives on one store have told so far, and what follows for the store."""

    reference: MemoryStorage = field(factory=MemoryStorage)
    under_way: Trying | Asking | None = None
    returned: dict[str, list[Returned]] = field(factory=dict)
    forgetting: dict[str, datetime] = field(factory=dict)
    acknowledged: int = 0
    commits: int = 0
    recovered: int = 0
    """Commits that nobody was told of, and that are there."""

    def hear(self, messages: Iterable[Message]) -> None:
        """Take what a life told before it ended."""
        for each in messages:
            if isinstance(each, Failed):
                raise Violation([f"the process failed: {each.trace}"])
            if isinstance(each, Trying | Asking):
                self.under_way = each
            elif isinstance(each, Applied | Due):
                self._done(each)
            elif isinstance(each, Forgetting):
                self.forgetting[each.user] = each.at
            elif isinstance(each, Returned):
                self._returned(each)

    def _done(self, done: Applied | Due) -> None:
        under_way, self.under_way = self.under_way, None
        if isinstance(under_way, Trying) and isinstance(done, Applied):
            self.commits += 1
            if tuple(self.reference.commit(under_way.units)) != done.verdicts:
                raise Violation(["the store judged units otherwise than the reference"])
        elif isinstance(under_way, Asking) and isinstance(done, Due):
            if tuple(_claimed(self.reference, under_way)) != done.keys:
                raise Violation(["other records are due than in the reference"])
        else:
            raise Violation(["two writes of one process crossed"])

    def _returned(self, each: Returned) -> None:
        self.acknowledged += 1
        if each.call == "forget":
            self.forgetting.pop(each.user, None)
            self.returned[each.user] = []
        self.returned.setdefault(each.user, []).append(each)

    def judge(self, kept: Kept, clock: Clock) -> None:
        """Open a store, which only this process uses, and compare.

        Raises:
            Violation: something acknowledged is lost, or something is there by half.
        """
        operator, sender = SimulatedOperator(OPERATOR), SimulatedSender()
        try:
            store = kept.opened()
        except AbonentError as error:
            raise Violation([f"what is left cannot be opened: {error}"]) from error
        with closing(identifier_on(store, clock, operator, sender)) as identifier:
            found, wrong = kept.contents()
            wrong += self._settle(found)
            if not wrong:  # what follows would only say the same again
                wrong += inconsistencies(identifier, found)
                wrong += self._unexplained(identifier)
        self.under_way = None
        self.forgetting.clear()
        if wrong:
            raise Violation(wrong)

    def _settle(self, found: Contents) -> list[str]:
        """Find out what became of the write that was under way, and compare everything."""
        under_way = self.under_way
        if isinstance(under_way, Trying):
            there = [each for each in under_way.units if _leaves_a_trace(each, found)]
            self.reference.commit(there)
            self.recovered += bool(there)
        elif isinstance(under_way, Asking):
            # One statement moves all of them; if none moved, the claim was not committed.
            until = under_way.now + under_way.lease
            before = kept_by(self.reference).deadlines
            if any(at == until != before.get(key) for key, at in found.deadlines.items()):
                _claimed(self.reference, under_way)
        return differences(kept_by(self.reference), found)

    def _unexplained(self, identifier: Identifier) -> Iterator[str]:
        histories = dict(_histories(identifier))
        for user, several in self.returned.items():
            told = histories.get(user, [])
            since = self.forgetting.get(user)
            if since is not None and all(event.at >= since for event in told):
                several.clear()  # nobody was told, but the user is forgotten
            unexplained = first_unexplained(told, several)
            if unexplained is not None:
                said = unexplained.status or unexplained.told or unexplained.open
                yield f"{user}: {unexplained.call} returned ({said}), and no history explains it"


def _claimed(reference: MemoryStorage, asking: Asking) -> list[bytes]:
    return reference.due(SPACE, asking.now, asking.limit, asking.lease)


def _leaves_a_trace(unit: Unit, found: Contents) -> bool:
    """Whether anything of a unit can be seen; then all of it must be."""
    entries = {(each.subject, each.number, each.body) for each in found.journal[-2000:]}
    if any((each.subject, each.number, each.body) in entries for each in unit.appends):
        return True
    for put in unit.puts:
        record = found.records.get(put.key)
        if record is not None and (record.version, record.body) == (put.expected + 1, put.body):
            return True
    return False


# --- consistency ----------------------------------------------------------------------


def _rows(identifier: Identifier) -> Iterator[Held]:
    yield from identifier._feed._rows()


def inconsistencies(identifier: Identifier, found: Contents) -> Iterator[str]:
    """Where what the store says contradicts itself, once opened."""
    replay = identifier.replay()
    if not replay.ok:
        yield f"{len(replay.differing)} of {replay.records} records differ from their replay"
    keyring = identifier._engine.archive.keyring
    expected: dict[bytes, set[bytes]] = {}
    for held in _rows(identifier):
        aliases = [subject_alias(held.subject)]
        state = held.aggregate.state
        identified = identified_in(standing_identification(state))
        if identified is not None:
            aliases += holder_aliases(keyring.number_tags(identified.number))
        if isinstance(state, AwaitingAnswer):
            aliases += pending_aliases(keyring.number_tags(state.number))
        for each in aliases:
            expected.setdefault(each, set()).add(held.key)
        wake, stored = wakes_at(held.aggregate), found.deadlines.get(held.key)
        if (wake is None) != (stored is None):
            yield "a row has a deadline and needs none, or needs one and has none"
        elif wake is not None and stored is not None and stored < micros(wake):
            yield "a row's deadline is earlier than what it waits for"
    if expected != found.owners:
        yield "aliases and rows disagree"
    if any(len(owners) > 1 for alias, owners in found.owners.items() if alias[-1:] == b"h"):
        yield "I3: a number has two holders"
    stray = [key for key in found.deadlines if key not in found.records]
    if stray:
        yield f"{len(stray)} deadlines of records that are not there"
    for key, record in found.records.items():
        if is_sends_key(key):
            keyring.open_row(key, record.version, record.body)


# --- histories ------------------------------------------------------------------------


def _histories(identifier: Identifier) -> Iterator[tuple[str, list[Event]]]:
    """Every known user's events, in one pass over the journal."""
    archive = identifier._engine.archive
    rows = {held.subject: held for held in _rows(identifier)}
    told: dict[bytes, list[Event]] = {subject: [] for subject in rows}
    for entry in archive.storage.journal(SPACE, 0, 1_000_000):
        held = rows.get(entry.subject)
        if held is not None:
            key = held.row.subject_key
            body = archive.keyring.open_entry(key, entry.number, entry.body)
            told[entry.subject] += decode_entry(body).events
    for subject, held in rows.items():
        user = held.row.user_id or _name_of(identifier, held.key)
        if user is not None:
            yield user, told[subject]


def _name_of(identifier: Identifier, key: bytes) -> str | None:
    """Whose row this was before they were forgotten; the crowds are few enough to try all."""
    keyring = identifier._engine.archive.keyring
    names = (f"user-{crowd}-{each}" for crowd in range(8) for each in range(8))
    return next((name for name in names if key in keyring.user_tags(name)), None)


def first_unexplained(history: Sequence[Event], several: Sequence[Returned]) -> Returned | None:
    """Return the first call that no place in the history explains, at or after the last one's.

    The earliest place is taken each time, so that none is missed that has one.
    """
    states = [BLANK]
    for event in history:
        states.append(evolve(states[-1], event))
    place = 0
    for each in several:
        found = next(
            (n for n in range(place, len(states)) if _explains(history, states, n, each)), None
        )
        if found is None:
            return each
        place = found + (each.told is not None)
    return None


def _explains(
    history: Sequence[Event], states: Sequence[Aggregate], n: int, each: Returned
) -> bool:
    if each.call == "forget":
        return all(event.at >= each.at for event in history)
    if each.open is not None:
        return gate(states[n], each.at).open == each.open
    if each.told is not None:
        name, attribute, text = each.told
        return (
            n < len(history)
            and type(history[n]).__name__ == name
            and (not attribute or getattr(history[n], attribute) == text)
        )
    if each.status is not None:
        told = standing(each.user, states[n], each.at, POLICY)
        seen = (told.status.value, reason_of(told), told.identification_code)
        return seen == (each.status, each.reason, each.code)
    return True
