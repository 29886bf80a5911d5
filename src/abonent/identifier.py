"""Identifier: the library for services that use threads.

Knows threads: who waits, for how long, and in which lane an adapter is called. Refuses to know
rules or stores; it drives the engine's flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from weakref import WeakSet

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.parties import Consent, Messenger, check_instant
from abonent.core.policy import Policy
from abonent.core.retention import RetentionPolicy
from abonent.core.rules import Rules
from abonent.core.standing import Standing
from abonent.engine.assembly import SystemClock, assemble
from abonent.engine.calls import require_open
from abonent.engine.driving import Driver
from abonent.engine.effects import Alarm
from abonent.engine.importing import DeclaredUser, ImportReport, RejectedUser
from abonent.engine.inbound import Received
from abonent.engine.observing import Observer
from abonent.engine.reconciling import Reconciled
from abonent.engine.resealing import KeyUse, Resealed
from abonent.engine.retaining import Retained
from abonent.engine.rounds import SweepReport
from abonent.errors import AbonentError
from abonent.feed import Feed, GateChanged, Happening, ReplayReport
from abonent.gates import GateCache
from abonent.holding import Holding, held_about
from abonent.ports import (
    Clock,
    KeyProvider,
    LateAnswer,
    NetworkProof,
    Notice,
    NumberRouter,
    OneTimeCode,
    OperatorGateway,
    PossessionCheck,
    RecyclingCheck,
    SendLimiter,
    SilentCheck,
    Storage,
)


class Identifier(Driver):
    """Identifies the users of one messenger, keeps that true, and can prove it did.

    Safe for any number of threads; a context manager. Every call may raise `StorageError`; nothing
    is half-done then. What is owed to operators and users after a commit is performed at once, for
    as long as `policy.inline_wait` allows, and by `sweep` otherwise: call `sweep` every second.

    Args:
        messenger: whose users these are.
        storage: where they are kept; it is closed with the identifier. One that keeps anything
            beyond this process declares the territory that the rules demand.
        keys: the root keys.
        possession: how a user proves to hold a number.
        agreements: those of this messenger.
        gateways: the links to operators, by operator id.
        router: which operator serves a number; needed where operators are asked.
        limiter: bounds the codes sent to a range of numbers and in all; see `SendBudgets`.
        rules: a rule set by name, for what-if runs; None takes the one in force.
        policy: the messenger's own choices.
        clock: tells the time.
        alarm: called with what a person has to look at.
        observer: called with what happens, for metrics and traces; it names nobody.
        unsafe_test_doubles: accept adapters that are for tests only (P12).

    Raises:
        ResidencyUnmet: the rules in force, or those given, have identification data kept in one
            country only, and the store declares another, or none.
        SetupError, CallerError: the parts do not fit together; nothing was started.
    """

    def __init__(
        self,
        *,
        messenger: Messenger,
        storage: Storage,
        keys: KeyProvider,
        possession: PossessionCheck | SilentCheck,
        agreements: Iterable[Agreement] = (),
        gateways: Mapping[str, OperatorGateway] | None = None,
        router: NumberRouter | None = None,
        limiter: SendLimiter | None = None,
        rules: Rules | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        alarm: Callable[[Alarm], object] | None = None,
        observer: Observer | None = None,
        unsafe_test_doubles: bool = False,
    ) -> None:
        self._engine = assemble(
            messenger=messenger,
            storage=storage,
            keys=keys,
            possession=possession,
            agreements=agreements,
            gateways=dict(gateways or {}),
            router=router,
            limiter=limiter,
            rules=rules,
            policy=policy or Policy(),
            clock=clock or SystemClock(),
            alarm=alarm,
            observer=observer,
            unsafe_test_doubles=unsafe_test_doubles,
        )
        self._loop = self._engine.loop
        super().__init__(self._loop.commits, self._loop.policy.inline_wait)
        self._calls = self._engine.calls
        self._feed = Feed(self._engine.archive, self._loop.commits.check)
        self._gates: WeakSet[GateCache] = WeakSet()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what runs, settle it, and close the store. Closing twice is allowed."""
        for gates in list(self._gates):
            gates.close()
        self._rest()
        try:
            self._commits.close()
        finally:
            self._engine.archive.storage.close()

    # --- the person who is identified ------------------------------------------------

    def claim(self, user_id: str, number: str, *, locale: str = "") -> Standing:
        """Claim a number for a user; a code is on its way when this returns.

        The same claim again sends a new code from the resend instant on, nothing before.

        Args:
            user_id: the messenger's own opaque id, 1–128 characters.
            number: what the user typed, in any spelling.
            locale: a language tag (RFC 5646) handed to the sender of codes.

        Raises:
            UserInputError: not a number that can be identified.
            Refused: no agreement, no rules in force, a budget is spent, operator unknown.
            Unavailable: the router is out of reach.
            ResidencyUnmet: rules came into force that demand another territory of the store.
        """
        return self._drive(self._calls.claim(user_id, number, locale))

    def prove(self, user_id: str, proof: OneTimeCode | NetworkProof | str) -> Standing:
        """Offer the proof of possession. A wrong one is no error: the standing says what is left.

        Raises:
            InvalidCode: not 4 to 10 ASCII digits; not counted as a try.
            InvalidValue: a code where the check takes a `NetworkProof`, or the other way round; not
                counted either.
            NothingToProve, UnknownUser: there is no claim.
            CodeSpent, TooManyFailures: the try was not admitted and not counted.
        """
        return self._drive(self._calls.prove(user_id, proof))

    def standing(self, user_id: str) -> Standing:
        """Say where a user stands and what they may do next."""
        return self._calls.standing(user_id)

    def row_key(self, user_id: str) -> bytes | None:
        """Return the key under which this user is kept, None if nothing is.

        16 bytes, a keyed hash, by which the views of a PostgreSQL store can be joined with a
        table of the application's. It is another one after `reseal` has moved the user to a new
        root key, and may be after the user was forgotten and came back. It says nothing to who has
        not the keys, except that two rows are about one user.
        """
        return self._calls.row_key(user_id)

    def gate(self, user_id: str) -> Gate:
        """Tell whether this user may transmit messages now.

        Closed, with `Reason.CANNOT_SAY`, if the store is out of reach (S32).
        """
        return self._calls.gate(user_id)

    def gate_cache(
        self,
        *,
        max_staleness: timedelta = timedelta(seconds=1),
        max_users: int = 1_000_000,
    ) -> GateCache:
        """Return gates that are answered from memory, for every message.

        A gate that closes, closes there at the latest `max_staleness` after the commit that closed
        it; if the store cannot be followed for that long, all are closed. It is closed with the
        identifier.

        Args:
            max_staleness: longer than nothing.
            max_users: how many are kept in memory, at least one: about 0.5 KB each.
        """
        self._loop.commits.check()
        clock = self._loop.clock
        made = GateCache(self._engine.archive, clock.now, max_staleness, max_users)
        self._gates.add(made)
        return made

    def require_open(self, user_id: str) -> None:
        """Do nothing if this user may transmit messages now.

        Raises:
            GateClosed: they must not; `reason` says why.
        """
        require_open(self.gate(user_id))

    def disclose(
        self, user_id: str, *, to: str, purpose: str, consent: Consent | None
    ) -> SubscriberNumber:
        """Return a user's number for a third party, and journal that it was given (S34).

        Raises:
            ConsentMissing: no consent of this user covers this recipient and purpose now.
            UnknownUser: not identified.
        """
        return self._drive(self._calls.disclose(user_id, to, purpose, consent))

    def forget(self, user_id: str) -> bool:
        """Erase a user: number, indexes, state and the key of their journal.

        What operators recorded is withdrawn; failure budgets outlive the user until they run out.
        Returns False if nothing was held.
        """
        return self._drive(self._calls.forget(user_id))

    # --- operators and time ----------------------------------------------------------

    def receive(
        self,
        item: Notice | LateAnswer,
        *,
        received_at: datetime | None = None,
        event_id: str | None = None,
    ) -> Received:
        """Take a notice or late answer that an operator sent by itself and that was verified.

        Args:
            item: what arrived.
            received_at: when, by our clock; None for now.
            event_id: the operator's own id of the message in which it came, 1–256 characters. The
                same message again within 24 hours is `Ignored.REPEATED` and does nothing more;
                what it leads to and that it was taken are committed together. None: it is judged
                anew each time it comes.

        Raises:
            UnknownOperator: no gateway is configured for it.
            EventReused: another message of this operator came under this id.
            NaiveInstant: `received_at` has no time zone.
        """
        at = self._arrived(received_at)
        return self._drive(self._engine.inbound.receive(item, at, event_id))

    def receive_many(
        self, items: Iterable[Notice | LateAnswer], *, received_at: datetime | None = None
    ) -> list[Received | AbonentError]:
        """Take several, each judged on its own: the error of one is its place in the list."""
        at = self._arrived(received_at)
        results: list[Received | AbonentError] = []
        for item in items:
            try:
                results.append(self._drive(self._engine.inbound.receive(item, at)))
            except AbonentError as error:
                results.append(error)
        return results

    def sweep(self, *, limit: int = 10_000) -> SweepReport:
        """Settle what is due now and try what is owed. Any number of processes may sweep."""
        return self._drive(self._loop.sweep(limit))

    def reconcile(
        self,
        operator: str,
        check: RecyclingCheck,
        *,
        limit: int = 100,
        after: bytes | None = None,
    ) -> Reconciled:
        """Ask about users whom an operator identified whether their numbers have changed hands.

        It stands behind the operator's notices, one of which may be lost. Users come in turn, so
        who is next was asked about longest ago; a number in other hands is a notice `REASSIGNED`.
        The walk ends early where the operator cannot be asked.

        Args:
            operator: whom to ask, and about whose users.
            check: how to ask it.
            limit: how many questions, at least one.
            after: where the last walk ended, `Reconciled.cursor`; None to begin anywhere.

        Raises:
            UnknownOperator: no gateway is configured for it.
        """
        return self._drive(self._engine.reconciler.walk(operator, check, limit, after))

    def retain(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool,
        limit: int = 10_000,
        after: bytes | None = None,
    ) -> Retained:
        """Forget whoever need not be kept any more; who is identified stays, whatever the policy.

        Each is forgotten as by `forget`, if the rule still applies in that commit: who claims again
        meanwhile is kept.

        Args:
            policy: after how long who goes.
            dry_run: say only how many would be forgotten, and by which rule.
            limit: how many records are looked at, at least one.
            after: where the last walk ended, `Retained.cursor`; None to begin.
        """
        walk = self._engine.retainer.walk(policy, dry_run=dry_run, limit=limit, after=after)
        return self._drive(walk)

    def import_identified(
        self,
        rows: Iterable[DeclaredUser],
        *,
        rejected: Callable[[RejectedUser], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> ImportReport:
        """Take over the users that the messenger had before, however many.

        Their gate is open, and their standing says `Basis.DECLARED` until they are identified anew
        by a claim of the same number. Rows are judged one by one; the same rows again change
        nothing and go on where an error ended them.

        Args:
            rows: read as they are needed.
            rejected: called with every row that is not taken over, and why.
            progress: called now and then with how many rows were read.
        """
        return self._drive(self._engine.importer.run(rows, rejected, progress))

    # --- keys that turn ----------------------------------------------------------------

    def reseal(self, *, after: bytes = b"", limit: int = 500) -> Resealed:
        """Move a page of records from older keys to the current one, while everybody works on.

        A pass is all pages, each from the cursor of the one before, until the cursor is None. One
        that was broken off is begun again: what is done is passed over. Blocks on the store.

        Args:
            after: where the page begins, `Resealed.cursor`; b"" begins a pass.
            limit: how many records, 1 to 10,000; they are committed together.

        Raises:
            InvalidValue: an impossible limit.
            KeyUnavailable, KeyMaterialInvalid: the store was written with other keys.
            KeyWornOut: the current key may make no more seals.
        """
        self._commits.check()
        return self._engine.resealer.page(after, limit)

    def key_uses(self) -> tuple[KeyUse, ...]:
        """Say of every key what leads to it and from when on it may be retired, the current first.

        Reads every record; blocks on the store.
        """
        self._commits.check()
        return self._engine.resealer.uses()

    def check_retirable(self, key_id: str) -> None:
        """Do nothing if a key is needed no more. Reads every record; blocks on the store.

        Raises:
            KeyInUse: it is the current key, records lead to it, no whole pass has found it clear
                yet, or it was clear for less than 24 hours; `retry_at` where that is known.
            KeyUnavailable: there is no such key.
        """
        self._commits.check()
        self._engine.resealer.check_retirable(key_id)

    def retire_key(self, key_id: str) -> None:
        """Note in the store that a key is needed no more; then it may be taken from every process.

        Without this, a process that lacks the key is told that the store was written with it.

        Raises:
            As `check_retirable`; nothing was noted then.
        """
        self._commits.check()
        self._engine.resealer.retire(key_id)

    def _arrived(self, received_at: datetime | None) -> datetime:
        return self._loop.clock.now() if received_at is None else check_instant(received_at)

    # --- the journal -----------------------------------------------------------------

    def changes(self, *, after: int = 0, limit: int = 1000) -> list[GateChanged]:
        """Return changes of gates beyond a cursor, in order, at least once."""
        return self._feed.changes(after, limit)

    def history(self, user_id: str) -> list[Happening]:
        """Return what the journal tells of a user. It reads the whole journal."""
        return self._feed.history(user_id)

    def held_about(self, user_id: str) -> Holding:
        """Return all that is held about a user, for who asks what you have. Reads the journal.

        Of a user who was forgotten less than a day ago, it shows the counts that are left.
        """
        self._loop.commits.check()
        return held_about(self._engine.archive, user_id, self._loop.clock.now())

    def standings(self) -> Iterator[Standing]:
        """Say where every known user stands, one after the other, in no particular order.

        They are read page by page, so that any number fit in memory. Who changes meanwhile is shown
        as before or after; who comes meanwhile may be missing, and who is moved to a new key
        meanwhile may be missing or shown twice.
        """
        after: bytes | None = b""
        while after is not None:
            page, after = self._feed.standings(after, self._loop.clock.now())
            yield from page

    def replay(self) -> ReplayReport:
        """Replay the journal and compare it with every stored record.

        While others write, what they have just changed may be among the differing: ask again.
        """
        self._loop.commits.flush()
        return self._feed.replay()
