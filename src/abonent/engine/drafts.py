"""What the tasks of one user have decided, until it is committed.

Knows how a decision becomes a unit: puts, aliases, journal entries. Refuses to know rules: it
applies what `decide` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from abonent.core.budgets import Instants, live, spend
from abonent.core.commands import Command, Displace
from abonent.core.course import Step
from abonent.core.events import CodeIssued, Event, Passed
from abonent.core.identification import decide, forget
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate, gate, wakes_at
from abonent.core.policy import DAY
from abonent.core.states import (
    BLANK,
    Aggregate,
    AwaitingAnswer,
    Forgotten,
    identified_in,
    standing_identification,
)
from abonent.engine.archive import (
    Held,
    holder_aliases,
    micros,
    pending_aliases,
    sends_key,
    subject_alias,
)
from abonent.engine.observing import Observed, observed_in
from abonent.engine.reading import Batch
from abonent.errors import UnknownUser
from abonent.ports import AliasChange, Append, Put, Unit
from abonent.records import (
    Row,
    decode_instants,
    encode_entry,
    encode_instants,
    encode_row,
)
from abonent.sealing import new_subject_key, subject_of

_LOOKS: Final = 4
"""How often an owner is sought anew that is not there any more."""


class _Change(Struct, frozen=True):
    """What a draft did to one row: from where, to what, and what it told the journal."""

    before: Held
    after: Held
    at: datetime
    events: tuple[Event, ...]


class Draft:
    """What tasks that belong together do: it becomes one unit, or nothing."""

    def __init__(self, batch: Batch[Draft]) -> None:
        self._batch = batch
        self._archive = batch.archive
        self._changes: dict[bytes, _Change] = {}
        self._budgets: dict[bytes, tuple[int, Instants]] = {}
        self._strays: list[Append] = []
        self._others: dict[bytes, tuple[bytes, ...]] = {}

    # reading

    def find_user(self, keys: tuple[bytes, ...]) -> Held | None:
        """Return the row with the first of these keys that has one."""
        for key in keys:
            held = self.row(key)
            if held is not None:
                return held
        return None

    def user(self, keys: tuple[bytes, ...]) -> Held:
        """Return the row of a known user.

        Raises:
            UnknownUser: there is none, or the user was forgotten.
        """
        held = self.find_user(keys)
        if held is None or held.row.user_id is None:
            raise UnknownUser("nothing is held about this user")
        return held

    def newcomer(self, keys: tuple[bytes, ...], user_id: str) -> Held:
        """Return the row of a user who may be new here, or was forgotten."""
        held = self.find_user(keys)
        if held is None:
            row = Row(user_id=user_id, subject_key=new_subject_key(), aggregate=BLANK)
            # While keys turn, another process may begin the same user in another place.
            self._others[keys[0]] = keys[1:]
            return Held(key=keys[0], version=0, row=row)
        if held.row.user_id is None:
            return replace(held, row=replace(held.row, user_id=user_id))
        return held

    def row(self, key: bytes) -> Held | None:
        """Return a row as this draft sees it."""
        change = self._changes.get(key)
        return change.after if change is not None else self._batch.row(key)

    def holders(self, number: SubscriberNumber) -> list[Held]:
        """Return the rows of who holds this number."""
        return self._owners(holder_aliases(self.tags(number)))

    def concerned(self, number: SubscriberNumber) -> list[Held]:
        """Return the rows of who holds this number, or waits for an answer about it."""
        tags = self.tags(number)
        found = self._owners((*holder_aliases(tags), *pending_aliases(tags)))
        # Between the finding and the reading, another process may have forgotten somebody.
        return [held for held in found if held.row.user_id is not None]

    def row_of(self, subject: bytes) -> Held | None:
        """Return the row of a journal's subject, wherever it was moved to."""
        found = self._owners((subject_alias(subject),)) if subject else []
        return found[0] if found else None

    def _owners(self, aliases: tuple[bytes, ...]) -> list[Held]:
        found: list[Held] = []
        for _ in range(_LOOKS):
            owners = self._batch.owners_of(aliases)
            found = [held for owner in owners if (held := self.row(owner)) is not None]
            if len(found) == len(owners):
                break
            self._batch.look_again(aliases, (each for each in owners if self.row(each) is None))
        return found

    def tags(self, number: SubscriberNumber) -> tuple[bytes, ...]:
        """Return the blind indexes of a number."""
        return self._batch.tags(number)

    def sends_to(self, tags: tuple[bytes, ...]) -> Instants:
        """Return when codes were sent to a number, whoever claimed it."""
        return tuple(sorted(each for tag in tags for each in self._budget(sends_key(tag))[1]))

    def _budget(self, key: bytes) -> tuple[int, Instants]:
        """Return the stored version of a number's send budget, and what it counts by now."""
        if key in self._budgets:
            return self._budgets[key]
        record = self._batch.record(key)
        if record is None:
            return 0, ()
        body = self._archive.keyring.open_row(key, record.version, record.body)
        return record.version, decode_instants(body)

    def know(self, number: SubscriberNumber, tags: tuple[bytes, ...]) -> None:
        """Take over blind indexes that the caller has computed."""
        self._batch.know(number, tags)

    # deciding

    def apply(self, held: Held, command: Command) -> tuple[Held, Step]:
        """Decide a command on a row; who is displaced by it is displaced in the same unit."""
        step = decide(held.aggregate, command, self._archive.terrain)
        for event in step.events:
            if type(event) is Passed:
                self._displace(held, event)
            elif type(event) is CodeIssued:
                self._count_send(step, event)
        return self._keep(held, step, command.at), step

    def forget(self, held: Held, at: datetime) -> tuple[Held, Step]:
        """Replace a user's row by that of a new subject; the key of the old journal goes."""
        step = forget(held.aggregate, at, self._archive.terrain)
        if not step.events:
            return held, step
        # What the same unit told the old subject's journal goes with its key; the debts do not.
        overtaken = self._changes.get(held.key)
        before = held if overtaken is None else overtaken.before
        row = Row(
            user_id=None,
            subject_key=new_subject_key(),
            aggregate=step.aggregate,
            begun=before.version,
        )
        after = Held(key=held.key, version=before.version + 1, row=row)
        self._changes[held.key] = _Change(before, after, at, step.events)
        return after, step

    def expire_budget(self, key: bytes, at: datetime) -> None:
        """Drop a number's send budget once nothing of it counts any more."""
        version, counted = self._budget(key)
        if version:
            self._budgets[key] = (version, live(counted, at))

    def note_stranger(self, event: Event, number: int) -> None:
        """Journal what belongs to nobody."""
        key = self._archive.keyring.stranger_key()
        body = self._archive.keyring.seal_entry(key, number, encode_entry((event,), None))
        self._strays.append(Append(subject_of(key), number, body))

    def _keep(self, held: Held, step: Step, at: datetime) -> Held:
        if not step.events:
            return held
        change = self._changes.get(held.key)
        row = Row(
            user_id=held.row.user_id,
            subject_key=held.row.subject_key,
            aggregate=step.aggregate,
            begun=held.row.begun,
        )
        if change is None:
            after = Held(key=held.key, version=held.version + 1, row=row)
            before = self._batch.row(held.key) or held
            self._changes[held.key] = _Change(before, after, at, step.events)
            return after
        after = Held(key=held.key, version=change.after.version, row=row)
        events = (*change.events, *step.events)
        self._changes[held.key] = _Change(change.before, after, at, events)
        return after

    def _displace(self, winner: Held, event: Passed) -> None:
        for held in self.holders(event.number):
            if held.key != winner.key:
                command = Displace(at=event.at, number=event.number)
                step = decide(held.aggregate, command, self._archive.terrain)
                self._keep(held, step, event.at)

    def _count_send(self, step: Step, event: CodeIssued) -> None:
        number = getattr(step.aggregate.state, "number", None)
        if number is None:
            return
        key = sends_key(self.tags(number)[0])
        version, counted = self._budget(key)
        self._budgets[key] = (version, spend(live(counted, event.at), event.at))

    # the unit

    def absorb(self, other: Draft) -> None:
        """Take over what another draft did to other rows: both become one unit."""
        self._changes |= other._changes
        self._budgets |= other._budgets
        self._strays += other._strays
        self._others |= other._others

    def attempt(self, work: Callable[[Draft], Any]) -> Any:
        """Let a task work here; if it raises, nothing of it stays."""
        changes, budgets, strays = dict(self._changes), dict(self._budgets), list(self._strays)
        try:
            return work(self)
        except BaseException:
            self._changes, self._budgets, self._strays = changes, budgets, strays
            raise

    def unit(self) -> Unit | None:
        """Return what is to be committed, or None if nothing."""
        if not self._changes and not self._budgets and not self._strays:
            return None
        puts: list[Put] = []
        aliases: list[AliasChange] = []
        appends = list(self._strays)
        for key, change in self._changes.items():
            puts.append(self._put(change))
            if not change.before.version:
                puts += [Put(each, 0, None) for each in self._others.get(key, ())]
            aliases += self._aliases(change)
            appends += self._appends(change)
        for key, (version, counted) in self._budgets.items():
            if counted:
                sealed = self._archive.keyring.seal_row(key, version + 1, encode_instants(counted))
                puts.append(Put(key, version, sealed, micros(counted[-1] + DAY)))
            else:
                puts.append(Put(key, version, None))
        return Unit(self._archive.space, tuple(puts), tuple(aliases), tuple(appends))

    def observed(self) -> Iterator[Observed]:
        """Return what may be told of what happened here, once it is committed."""
        for change in self._changes.values():
            yield from observed_in(change.before.aggregate, change.events)

    def merge(self, unit: Unit) -> None:
        """Let the rest of the batch see these changes, as if they were committed."""
        batch = self._batch
        batch.changed_by(self, unit)
        for change in self._changes.values():
            if batch.records.get(change.after.key) is not None:
                batch.rows[change.after.key] = change.after

    def _put(self, change: _Change) -> Put:
        after = change.after
        expected = after.version - 1
        if _is_empty(after.aggregate):
            return Put(after.key, expected, None)
        body = self._archive.keyring.seal_row(after.key, after.version, encode_row(after.row))
        wake = wakes_at(after.aggregate)
        return Put(after.key, expected, body, None if wake is None else micros(wake))

    def _appends(self, change: _Change) -> Iterator[Append]:
        before, after = change.before, change.after
        if before.version and before.row.subject_key != after.row.subject_key:
            # Nobody will open it, but who follows the journal learns that this subject is no more.
            yield self._entry(before.row, before.version + 1, encode_entry((), None))
            if _is_empty(after.aggregate):
                return
        now = gate(after.aggregate, change.at)
        told: Gate | None = now
        if before.version and now == gate(before.aggregate, change.at):
            told = None
        elif not before.version and not now.open:
            told = None  # who was never identified was never open
        yield self._entry(after.row, after.version, encode_entry(change.events, told))

    def _entry(self, row: Row, version: int, body: bytes) -> Append:
        number = version - row.begun
        sealed = self._archive.keyring.seal_entry(row.subject_key, number, body)
        return Append(subject_of(row.subject_key), number, sealed)

    def _aliases(self, change: _Change) -> list[AliasChange]:
        changes: list[AliasChange] = []
        key = change.after.key
        was_kept, is_kept = change.before.version > 0, not _is_empty(change.after.aggregate)
        renewed = change.before.row.subject_key != change.after.row.subject_key
        if was_kept and (renewed or not is_kept):
            changes.append(AliasChange(subject_alias(change.before.subject), key, False))
        if is_kept and (renewed or not was_kept):
            changes.append(AliasChange(subject_alias(change.after.subject), key, True, True))
        was_held, was_asked = numbers_of(change.before.aggregate)
        held, asked = numbers_of(change.after.aggregate)
        if was_held != held:
            if was_held is not None:
                changes += [
                    AliasChange(each, key, False) for each in holder_aliases(self.tags(was_held))
                ]
            if held is not None:
                changes += holding(holder_aliases(self.tags(held)), key)
        if was_asked != asked:
            if was_asked is not None:
                changes += [
                    AliasChange(each, key, False) for each in pending_aliases(self.tags(was_asked))
                ]
            if asked is not None:
                changes.append(AliasChange(pending_aliases(self.tags(asked))[0], key, True))
        return changes


def holding(aliases: tuple[bytes, ...], owner: bytes) -> Iterator[AliasChange]:
    """Return what makes a row the one holder of a number, known by the current key only.

    Under the other live keys nobody may hold it: a process whose current key is another one writes
    there, and whoever of the two commits later has to see the earlier (I3).
    """
    yield AliasChange(aliases[0], owner, True, True)
    for alias in aliases[1:]:
        yield AliasChange(alias, owner, False, True)


def _is_empty(aggregate: Aggregate) -> bool:
    """A forgotten user of whom nothing is left needs no row."""
    return type(aggregate.state) is Forgotten and not (
        aggregate.debts or aggregate.failures or aggregate.sends
    )


def numbers_of(aggregate: Aggregate) -> tuple[SubscriberNumber | None, SubscriberNumber | None]:
    """Return the number that is held, and the one about which an operator was asked."""
    state = aggregate.state
    identified = identified_in(standing_identification(state))
    held = None if identified is None else identified.number
    return held, state.number if type(state) is AwaitingAnswer else None
