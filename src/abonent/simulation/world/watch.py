"""The watch: looks at every commit, call and effect, and says which invariant does not hold.

Knows I1 to I12, by what the world really did and by accounts of its own.
Refuses to take the word of the states that it judges.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from abonent.core.events import Event, Passed
from abonent.core.evolution import evolve
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.states import BLANK, Basis, EffectKind, Reason
from abonent.engine.archive import is_sends_key, micros
from abonent.engine.effects import Alarm
from abonent.errors import AbonentError, TransitionRefused
from abonent.ports import Append, Notice, Put, Unit
from abonent.records import Row, decode_entry, decode_instants, decode_row
from abonent.sealing import subject_of
from abonent.simulation.world.agenda import EPOCH
from abonent.simulation.world.books import STALENESS, Book, Call, keyring_of
from abonent.simulation.world.ledger import DAY, Account, Holding, Question
from abonent.simulation.world.outcome import Answered, Exposure, Violation

if TYPE_CHECKING:
    from abonent.simulation.world.judging import Judge
    from abonent.simulation.world.processes import Process
    from abonent.simulation.world.services import Service, Surroundings

_NUMBER_SHOWN: Final = re.compile(r"[0-9]{10}")
_CODE_SHOWN: Final = re.compile(r"[0-9]{6}")
_CODE_STORED: Final = re.compile(rb"\xa6([0-9]{6})")
_NUMBER_STORED: Final = re.compile(rb"[0-9]{10}")
"""What is sealed looks random: ten digits in a row come by chance once in 10**14 bytes."""


class Broken(BaseException):
    """An invariant does not hold: the world ends here."""


class Watch:
    """Looks at everything. The first thing that is wrong is kept as `violation`."""

    def __init__(self, around: Surroundings) -> None:
        from abonent.simulation.world.judging import Judge

        self.around = around
        self.violation: Violation | None = None
        self.events: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.answers: list[Answered] = []
        self.exposures: list[Exposure] = []
        self.judge: Judge = Judge(self)
        self._exposed: dict[tuple[str, str], tuple[SubscriberNumber, str, datetime]] = {}
        self._unanswered: dict[str, Question] = {}
        self._before: dict[SubscriberNumber, tuple[Account, Holding]] = {}
        self._expected: list[tuple[Account, type[Event]]] = []
        self._books: dict[str, Book] = {}
        self._calls: list[Call] = [Call(name="nobody")]

    # saying what is wrong

    def insist(self, invariant: str, truth: object, what: str) -> None:
        """End the world unless something is so."""
        if not truth:
            raise self.breach(invariant, what)

    def breach(self, invariant: str, what: str) -> Broken:
        """Keep the first violation, and return what ends the world."""
        if self.violation is None:
            self.violation = Violation(invariant=invariant, what=what, at=self.around.agenda.now)
        return Broken(f"{invariant}: {what}")

    def saw(self, branch: str) -> None:
        """Count a rare branch."""
        self.seen[branch] += 1

    # what is being done

    @property
    def call(self) -> Call:
        """What is being done now."""
        return self._calls[-1]

    @contextmanager
    def within(self, name: str, **about: Any) -> Generator[Call]:
        """Do something; what is committed meanwhile belongs to it."""
        call = Call(name=name, **about)
        self._calls.append(call)
        try:
            yield call
        finally:
            self._calls.remove(call)

    def routed(self, number: SubscriberNumber, operator: str | None) -> None:
        """Note what the router said."""
        self.call.serving = operator
        self.call.routes.setdefault(number, set()).add(operator)
        self.call.routed = True

    def book(self, service: Service) -> Book:
        """Return what is kept of a service."""
        found = self._books.get(service.messenger.id)
        if found is None:
            found = self._books[service.messenger.id] = Book(service, keyring_of(service))
        return found

    def books(self) -> list[Book]:
        """Return what is kept of every service."""
        return list(self._books.values())

    def rotated(self, service: Service) -> None:
        """Read with the new keys."""
        self.saw("keys rotated")
        self.book(service).keyring = keyring_of(service)

    def alarmed(self, alarm: Alarm) -> None:
        """Look at an alarm."""
        self.shown(repr(alarm))

    # commits

    def committed(self, service: Service, unit: Unit) -> None:
        """Judge what was committed, event by event, and compare what is stored with it."""
        book = self.book(service)
        stored: dict[bytes, tuple[Put, Row]] = {}
        for put in unit.puts:
            self._at_rest(put.body)
            if is_sends_key(put.key):
                self._compare_sends(book, put)
            elif put.body is not None:
                row = decode_row(book.keyring.open_row(put.key, put.expected + 1, put.body))
                stored[put.key] = (put, row)
                self._introduce(book, put.key, row)
            elif put.key in book.accounts:
                self._deleted(book, book.accounts[put.key])
        happened = [
            (account, event)
            for append in unit.appends
            for account, event in self._opened(book, append)
        ]
        passed = [(account, event) for account, event in happened if isinstance(event, Passed)]
        self._remember_holders(book, passed)
        were_open = {account.key: account.open_until for account, _ in happened}
        for account, event in happened:
            self.events[type(event).__name__] += 1
            if self._expected:
                whose, kind = self._expected.pop(0)
                met = whose is account and isinstance(event, kind)
                self.insist("I4", met, f"{kind.__name__} did not follow")
            try:
                account.replica = evolve(account.replica, event)
            except TransitionRefused:
                what = f"the journal does not replay at {type(event).__name__}"
                raise self.breach("I7", what) from None
            self.judge.event(book, account, event, passed)
            account.fresh = False
        self.insist("I4", not self._expected, "what a notice leads to did not follow")
        for winner, event in passed:
            for other in book.accounts.values():
                same = other.holding is not None and other.holding.number == event.number
                self.insist("I3", other is winner or not same, "two users hold one number")
        self._before.clear()
        for key, before in were_open.items():
            account = book.accounts[key]
            if account.open_until is not None and account.open_until != before:
                book.narrowed[account.user] = self.around.agenda.now
        for key, (put, row) in stored.items():
            account = book.accounts[key]
            self.insist("I7", account.replica == row.aggregate, "the journal does not give a row")
            self.judge.compare(book, account, row.aggregate, put.wake)

    def _remember_holders(self, book: Book, passed: list[tuple[Account, Passed]]) -> None:
        for winner, event in passed:
            for other in book.accounts.values():
                holding = other.holding
                if other is not winner and holding is not None and holding.number == event.number:
                    self._before[event.number] = (other, holding)

    def rival(self, book: Book, number: SubscriberNumber, account: Account) -> Holding | None:
        """Return by what another user holds a number, or did before this unit."""
        if number in self._before:
            return self._before[number][1]
        for other in book.accounts.values():
            if other is not account and other.holding and other.holding.number == number:
                return other.holding
        return None

    def expect(self, account: Account, kind: type[Event]) -> None:
        """Insist that this event of this user comes next in the unit."""
        self._expected.append((account, kind))

    def _at_rest(self, body: bytes | None) -> None:
        self.insist(
            "I9", body is None or not _NUMBER_STORED.search(body), "digits in the clear at rest"
        )

    def _introduce(self, book: Book, key: bytes, row: Row) -> None:
        account = book.accounts.get(key)
        if account is None:
            account = book.accounts[key] = Account(row.user_id or "", key)
        if row.user_id is not None:
            account.user, account.gone = row.user_id, False
            book.users[row.user_id] = account
        subject = subject_of(row.subject_key)
        if account.subject != subject:
            account.replica, account.fresh = BLANK, True  # the journal of a new subject begins anew
            account.subject, account.subject_key = subject, row.subject_key
            book.subjects[subject] = account

    def _deleted(self, book: Book, account: Account) -> None:
        """A record is gone: of a forgotten user, and only if nothing of them counts any more."""
        if not account.forgotten:
            self.insist("I7", self.call.name == "forget", "the record of a user is gone")
            self.judge.gone(book, account)
            account.ended = True
            book.narrowed[account.user] = self.around.agenda.now
        account.gone = True

    def _opened(self, book: Book, append: Append) -> list[tuple[Account, Event]]:
        """Open a journal entry; what belongs to nobody was told by a stranger."""
        self._at_rest(append.body)
        body = append.body
        parts = b"\0".join((append.subject, append.number.to_bytes(8, "big", signed=True), body))
        book.chain = sha256(book.chain + parts).digest()
        book.entries += 1
        account = book.subjects.get(append.subject)
        if account is not None and (account.ended or account.subject != append.subject):
            account.ended = False
            self.insist("I7", self.call.name == "forget", "a subject ended that is not forgotten")
            return []  # the last entry of a subject whose key is gone
        if account is None:
            book.keyring.open_entry(book.keyring.stranger_key(), append.number, body)
            self.saw("an answer that nobody asked for")
            return []
        opened = book.keyring.open_entry(account.subject_key, append.number, body)
        return [(account, event) for event in decode_entry(opened).events]

    def _compare_sends(self, book: Book, put: Put) -> None:
        if put.body is None:
            return
        body = book.keyring.open_row(put.key, put.expected + 1, put.body)
        counted = decode_instants(body)
        self.insist("I10", put.wake == micros(counted[-1] + DAY), "a budget is kept for ever")

    # figures

    def answered(self, question: Question, at: datetime) -> None:
        """Note how long an answer took that came in time."""
        seconds = (at - question.asked_at).total_seconds()
        self.answers.append(Answered(operator=question.operator, seconds=seconds, in_time=True))

    def unanswered(self, question: Question) -> None:
        """Note that no answer came in time."""
        self._unanswered[question.query_id] = question

    def answered_late(self, query_id: str, at: datetime) -> None:
        """Note how long an answer took that came too late."""
        question = self._unanswered.pop(query_id, None)
        if question is not None:
            seconds = (at - question.asked_at).total_seconds()
            late = Answered(operator=question.operator, seconds=seconds, in_time=False)
            self.answers.append(late)

    def lost_number(self, number: SubscriberNumber, kind: str) -> None:
        """A number stopped being its holder's: from now on, their gate is open by mistake."""
        now = self.around.agenda.now
        for name, book in self._books.items():
            holder = book.holder(number)
            if holder is not None:
                self._exposed[name, holder.user] = (number, kind, now)
                self.moved(book, holder)

    def moved(self, book: Book, account: Account) -> None:
        """End an exposure if the gate is closed now."""
        name = (book.service.messenger.id, account.user)
        exposed = self._exposed.get(name)
        if exposed is None:
            return
        number, kind, since = exposed
        holding = account.holding
        now = self.around.agenda.now
        if holding is None or holding.number != number or not holding.open_at(now):
            del self._exposed[name]
            seconds = (now - since).total_seconds()
            self.exposures.append(Exposure(kind=kind, seconds=seconds, closed=True))

    def still_open(self) -> None:
        """Note what never came to an end: exposures and questions."""
        for _, kind, since in self._exposed.values():
            seconds = (self.around.agenda.now - since).total_seconds()
            self.exposures.append(Exposure(kind=kind, seconds=seconds, closed=False))
        for question in self._unanswered.values():
            never = Answered(operator=question.operator, seconds=None, in_time=False)
            self.answers.append(never)

    # effects

    def performing(self, service: Service, kind: EffectKind, effect: str) -> None:
        """Refuse what is not owed (any more), or is tried before its try was committed."""
        for account in self.book(service).accounts.values():
            due = account.owed.get((kind, effect))
            if due is not None:
                self.insist("I8", due.tries > 0, "performed before the commit that starts the try")
                return
        self.insist("I8", False, f"{kind.value} is performed though it is not owed")

    # what people may know

    def expires(self, service: Service, user: str) -> datetime | None:
        """Return when a user's live code expires."""
        account = self.book(service).users.get(user)
        trial = None if account is None else account.trial
        return None if trial is None or trial.code is None else trial.code.expires_at

    def claimer(self, service: Service, message: str) -> str | None:
        """Return the user whose claim a code was sent for."""
        claim = message.rpartition(".")[0]
        for account in self.book(service).accounts.values():
            if account.trial is not None and account.trial.claim == claim:
                return account.user
        return None

    def live_code(self, service: Service, user: str) -> str | None:
        """Return the code that would be right for a user now, if it was sent."""
        account = self.book(service).users.get(user)
        trial = None if account is None else account.trial
        if trial is None or trial.code is None:
            return None
        return self.around.taken.get(f"{trial.claim}.{trial.code.issue}")

    # answers to callers

    def claimed(self, service: Service, user: str, number: SubscriberNumber) -> None:
        """An accepted claim is there, was not needed, or was answered at once."""
        account = self.book(service).users.get(user)
        trial = None if account is None else account.trial
        holding = None if account is None else account.holding
        there = (trial is not None and trial.number == number) or self.call.ended
        done = holding is not None and holding.number == number
        if holding is not None and holding.basis is Basis.DECLARED:
            done = False  # who was only declared is to be identified anew
        self.insist("I1", there or done, "an accepted claim is not there")

    def erased(self, service: Service, user: str) -> None:
        """Who was to be forgotten is."""
        account = self.book(service).users.get(user)
        self.insist("I7", account is None or account.forgotten, "a user was not forgotten")

    def disclosed(self, service: Service, user: str, number: SubscriberNumber) -> None:
        """What was disclosed is the number that the user is identified by."""
        account = self.book(service).users.get(user)
        holding = None if account is None else account.holding
        self.insist("I1", holding and holding.number == number, "another number is disclosed")
        self.saw("a number disclosed")

    def noticed(self, service: Service, notice: Notice) -> None:
        """Whom a notice concerns, has heard it."""
        for account in self.book(service).accounts.values():
            trial, holding = account.trial, account.holding
            waits = trial is not None and trial.question and trial.number == notice.number
            if waits or (holding is not None and holding.number == notice.number):
                known = (notice.operator, notice.id) in account.heard
                self.insist("I4", known, "a notice was not heard by whom it concerns")

    # looking

    def gate(self, service: Service, process: Process, user: str, answer: Gate) -> None:
        """Compare what the gate says with what is known."""
        now = process.clock.now()
        account = self.book(service).users.get(user)
        holding = None if account is None or account.forgotten else account.holding
        expected = holding is not None and holding.open_at(now)
        if service.is_shut():
            self.saw("the gate asked while the store is out of reach")
            expected = False
        self.insist("I1", answer.open is expected, "the gate is wrong")
        self.shown(repr(answer))

    def remembered(self, service: Service, process: Process, user: str, answer: Gate) -> None:
        """Compare what a gate from memory says: open no longer than agreed after it was closed."""
        self.shown(repr(answer))
        if not answer.open:
            if answer.reason is Reason.CANNOT_SAY and not service.is_shut():
                self.saw("a gate from memory that was too old")
            return
        book = self.book(service)
        account = book.users.get(user)
        until = EPOCH if account is None else account.open_until
        if until is None or process.clock.now() <= until:
            return
        closed = book.narrowed.get(user, EPOCH)
        since = self.around.agenda.now - closed
        self.insist("I1", since <= STALENESS, "a gate from memory was open for too long")
        self.saw("a gate from memory that closed after its commit")

    def shown(self, text: str, *, random: str | None = None) -> None:
        """Look at what a caller, a log or a person was shown, apart from a random part of it."""
        text = text.replace(random, "") if random else text
        self.insist("I9", not _NUMBER_SHOWN.search(text), "a number was shown in the clear")

    def complained(self, error: AbonentError) -> None:
        """Look at an error; it shows no number and no code."""
        text = f"{error} {error!r}"
        self.insist("I9", not _CODE_SHOWN.search(text), "digits were shown by an error")

    def swept(self, service: Service, process: Process) -> None:
        """After a sweep nothing is left that was due a second before (I10)."""
        now = process.clock.now()
        settled = now - service.policy.settle_after
        key, earliest = service.earliest()
        account = self.book(service).accounts.get(key)
        # What withdraws the last record of the forgotten leaves budgets that may be over by then.
        over = account is not None and account.forgotten
        self.insist("I10", over or earliest > micros(settled), "a sweep left what was due")
        for account in self.book(service).accounts.values():
            for deadline in [] if account.key in service.leased else account.deadlines():
                self.insist("I10", deadline > settled, "a sweep left a deadline")

    def unbroken(self, service: Service) -> None:
        """Read the whole journal and compare it with what was committed, in order (I12)."""
        if service.is_shut():
            return
        book = self.book(service)
        chain, entries = b"", 0
        store = service.open_store()
        after = 0
        while page := store.journal(service.messenger.id, after, 1000):
            for each in page:
                number = each.number.to_bytes(8, "big", signed=True)
                chain = sha256(chain + b"\0".join((each.subject, number, each.body))).digest()
                self.insist("I12", each.cursor > after, "cursors do not grow")
                after = each.cursor
            entries += len(page)
        if store.features.shared:
            store.close()
        self.insist("I12", entries == book.entries, "the journal lacks or gained entries")
        self.insist("I12", chain == book.chain, "the journal was rewritten")
