"""Every error that abonent raises, sorted by whose fault it is and what to do next.

What this room knows: stable codes, blame, remedy, when to try again.
What it refuses to know: numbers, codes, keys. No message or attribute here may carry one (I9).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import ClassVar, Self


class Fault(Enum):
    """Who has to act so that the call succeeds."""

    CALLER = "caller"
    """The code that called, by a wrong argument, or calls in the wrong order."""
    USER = "user"
    """The person who is being identified, by a number or code that cannot be accepted."""
    RULES = "rules"
    """Nobody; the rules or an agreement do not allow it now."""
    SETUP = "setup"
    """Whoever configured the messenger, its keys, policy, gateways, files."""
    OPERATOR = "operator"
    """The other side of an operator link."""
    STORE = "store"
    """Whoever runs the database."""
    ABONENT = "abonent"
    """This library; please report it."""


class AbonentError(Exception):
    """Root of all errors.

    `code` is stable across releases and safe to log; `fault` says who has to act; `remedy` says
    what to do next; `retry_at` (aware UTC) is the earliest instant at which the same call may
    succeed, where that is known; `retryable` says whether repeating it unchanged can help at all.
    Whatever raises one has left nothing half-done.
    """

    code: ClassVar[str] = "ABONENT"
    fault: ClassVar[Fault] = Fault.ABONENT
    remedy: ClassVar[str] = "Report it with the code and the version of abonent."
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at

    def __str__(self) -> str:
        return f"[{self.code}] {super().__str__()}"


# --- the caller's code --------------------------------------------------------------


class CallerError(AbonentError):
    """The calling code passed something that can never be right, or called in a wrong order."""

    code = "CALLER"
    fault = Fault.CALLER
    remedy = "Change the call."


class NaiveInstant(CallerError):
    """A datetime without a time zone was given where an instant is needed."""

    code = "NAIVE_INSTANT"
    remedy = "Pass an aware datetime, for example datetime.now(timezone.utc)."


class InvalidUserId(CallerError):
    """A user id is not 1–128 characters of text without control characters."""

    code = "INVALID_USER_ID"
    remedy = "Pass a stable, opaque id of 1 to 128 characters, without NUL or control characters."


class UnknownUser(CallerError):
    """Nothing is held about this user."""

    code = "UNKNOWN_USER"
    remedy = "Call claim() first."


class NothingToProve(CallerError):
    """A proof was offered although no claim of this user is waiting for one."""

    code = "NOTHING_TO_PROVE"
    remedy = "Call claim() first."


class InvalidValue(CallerError):
    """A value object was built from parts that do not fit together."""

    code = "INVALID_VALUE"


class InvalidAgreement(CallerError):
    """An agreement that ends before it begins, or that overlaps another of the same two parties."""

    code = "INVALID_AGREEMENT"
    remedy = "Correct the dates: [starts, ends), one agreement at a time for each operator."


class UnknownOperator(CallerError):
    """An operator id that was not given when the identifier was built."""

    code = "UNKNOWN_OPERATOR"
    remedy = "Add the operator and its gateway when building the identifier."


class UnknownMessenger(CallerError):
    """An agreement or consent names another messenger than the one it was given to."""

    code = "UNKNOWN_MESSENGER"
    remedy = "Give each identifier the agreements of its own messenger only."


class IdReused(CallerError):
    """A question's id, or an identification code, came before with another number."""

    code = "ID_REUSED"
    remedy = "Make a fresh id for every question, and a fresh code for every identification."


class ConsentMissing(CallerError):
    """A disclosure was asked for without a consent that covers it (S34)."""

    code = "CONSENT_MISSING"
    remedy = (
        "Ask the user, and pass a Consent of that user for that recipient and purpose, in date."
    )


class ProceedingRefused(CallerError):
    """A fact about the register or a proceeding that cannot follow what went before.

    Nothing changed. `state` and `event` name what was and what was to follow it.
    """

    code = "PROCEEDING"
    remedy = "Give the facts in the order of their days; the reference lists what may follow what."

    def __init__(self, message: str, *, state: str, event: str) -> None:
        super().__init__(message)
        self.state = state
        self.event = event


class IdentifierClosed(CallerError):
    """The identifier, desk or store was closed."""

    code = "CLOSED"
    remedy = "Build a new one."


class UsedAfterFork(CallerError):
    """An identifier or store crossed a fork; its connections and threads did not."""

    code = "USED_AFTER_FORK"
    remedy = "Build the identifier in the child process."


# --- the person who is being identified ---------------------------------------------


class UserInputError(AbonentError):
    """What the user typed cannot be accepted. Tell the user; nothing was counted or stored."""

    code = "USER_INPUT"
    fault = Fault.USER
    remedy = "Ask the user to type it again."


class InvalidNumber(UserInputError):
    """Not a phone number at all."""

    code = "NUMBER_UNPARSABLE"
    remedy = "Ask the user for a mobile number in international or national form."


class NumberHasExtension(InvalidNumber):
    """A number with an extension is not a subscriber number."""

    code = "NUMBER_EXTENSION"
    remedy = "Ask the user for the number without the extension."


class NotAMobileNumber(InvalidNumber):
    """A fixed-line, toll-free, premium, short or otherwise not mobile number; `kind` says which."""

    code = "NUMBER_NOT_MOBILE"
    remedy = "Ask the user for a mobile number."

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class NumberNotAllowed(InvalidNumber):
    """A number of a country that the policy does not allow; `region` is its ISO 3166 code."""

    code = "NUMBER_REGION"
    remedy = "Ask the user for a number of an allowed country, or allow its region in Policy."

    def __init__(self, message: str, *, region: str) -> None:
        super().__init__(message)
        self.region = region


class InvalidCode(UserInputError):
    """A code is 4 to 10 ASCII digits and nothing else (P8). It was not counted as a try."""

    code = "CODE_FORMAT"
    remedy = "Ask the user to type the digits of the code, nothing else."


# --- refused by the rules -----------------------------------------------------------


class Refused(AbonentError):
    """The call was right and the answer is no, for now. No identification state changed.

    `reason` is the stable name of the reason (see `Reason`), the same text as `code`.
    """

    code = "REFUSED"
    fault = Fault.RULES
    remedy = "Tell the user; retry_at says from when the same call may succeed."

    def __init__(
        self, message: str, *, reason: str | None = None, retry_at: datetime | None = None
    ) -> None:
        super().__init__(message, retry_at=retry_at)
        self.reason = self.code if reason is None else reason


class NoAgreement(Refused):
    """A foreign messenger has no agreement in force with the operator that serves the number."""

    code = "NO_AGREEMENT"
    remedy = "Conclude an agreement with that operator; the user cannot be identified before."


class NoRulesInForce(Refused):
    """No rule set is in force at this instant."""

    code = "NO_RULES_IN_FORCE"
    remedy = "Upgrade abonent when new rules are published, or name a rule set explicitly."


class NumberUnrouted(Refused):
    """The router does not know which operator serves the number."""

    code = "NUMBER_UNROUTED"
    remedy = "Load a newer numbering plan, or add the operator."


class TooManyFailures(Refused):
    """The failures of the last 24 hours by this user on this number reached the budget (I6)."""

    code = "TOO_MANY_FAILURES"


class TooManySends(Refused):
    """The codes sent to this user, number, range of numbers or by this messenger reached a budget.

    Which of them, it does not tell (P20, P22).
    """

    code = "TOO_MANY_SENDS"


class SendingStopped(Refused):
    """So many codes were sent that the fuse blew: none is sent until a person has looked (P20)."""

    code = "SENDING_STOPPED"
    fault = Fault.SETUP
    remedy = "Find out who had so many codes sent, then call SendBudgets.mend()."


class CodeSpent(Refused):
    """The current code took its last try; a right one is refused as well (S12)."""

    code = "CODE_SPENT"
    remedy = "Claim again from retry_at on to have a new code sent."


class UserKnown(Refused):
    """A user was to be taken over who has a history here, and not with that number."""

    code = "USER_KNOWN"
    remedy = "Nothing, if the number is the same; otherwise let the user claim the new one."


class NumberTaken(Refused):
    """A user was to be taken over by a number that another user of this messenger has."""

    code = "NUMBER_TAKEN"
    remedy = "Find out whose it is; the other user has to lose it, or this one to claim it."


class GateClosed(Refused):
    """`require_open` was asked about a user who must not transmit messages."""

    code = "GATE_CLOSED"
    remedy = "Do not transmit; identify the user first."


# --- whoever configured the messenger -----------------------------------------------


class SetupError(AbonentError):
    """The messenger is not set up right; nothing was changed."""

    code = "SETUP"
    fault = Fault.SETUP
    remedy = "Correct the configuration."


class PolicyIncomplete(SetupError):
    """The rules leave a figure open and the policy does not give it; `figure` names it (S31)."""

    code = "POLICY_INCOMPLETE"

    def __init__(self, message: str, *, figure: str) -> None:
        super().__init__(message)
        self.figure = figure


class ResidencyUnmet(SetupError):
    """The rules demand one territory for what identifies users, and the store declares another.

    `demanded` is that territory and `clause` where it says so; `declared` is what the store's
    features say, None if nothing. Territories are two letters of ISO 3166-1 alpha-2.
    """

    code = "RESIDENCY_UNMET"
    remedy = "Keep the store there, and have it say so: SqliteStorage(path, territory=…)."

    def __init__(self, message: str, *, demanded: str, clause: str, declared: str | None) -> None:
        super().__init__(message)
        self.demanded = demanded
        self.clause = clause
        self.declared = declared


class DoubleRefused(SetupError):
    """An adapter that says `test_double = True`, without `unsafe_test_doubles` (P12)."""

    code = "TEST_DOUBLE"
    remedy = "Pass a real adapter; in tests, build with unsafe_test_doubles=True."


class KeyUnavailable(SetupError):
    """A key that is needed is not there; `key_id` names it, never its bytes."""

    code = "KEY_UNAVAILABLE"
    remedy = "Give the key provider the key with this id."

    def __init__(self, message: str, *, key_id: str | None = None) -> None:
        super().__init__(message)
        self.key_id = key_id


class KeyServiceUnavailable(KeyUnavailable):
    """The service that unwraps the keys cannot be reached; trying again may help."""

    code = "KEY_SERVICE_UNAVAILABLE"
    remedy = "Try again; if it lasts, look at the key service."
    retryable = True


class KeyMaterialInvalid(SetupError):
    """A key source that cannot be used: unreadable, open to others, no 32-byte keys, or refused.

    Or a key that is not the one of this id with which the store was written.
    """

    code = "KEY_INVALID"
    remedy = (
        "Correct file, mode, variable or key service, or bring back the file from a backup. Make a "
        "new one only where nothing is sealed yet: it opens nothing that is."
    )


class KeyFileBusy(SetupError):
    """Another process is changing the key file; nothing was changed."""

    code = "KEY_FILE_BUSY"
    remedy = "Let the other process finish, then try again."
    retryable = True


class KeyInUse(SetupError):
    """A key was to be retired that is still needed; `key_id` names it.

    `records` is how many records need it, 0 where none does and its time has not come yet.
    """

    code = "KEY_IN_USE"
    remedy = "Reseal until nothing is left under it, and retire it from retry_at on."

    def __init__(
        self,
        message: str,
        *,
        key_id: str | None = None,
        records: int = 0,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(message, retry_at=retry_at)
        self.key_id = key_id
        self.records = records


class KeyWornOut(SetupError):
    """A key has made as many seals as one key may (NIST SP 800-38D, 8.3); `key_id` names it."""

    code = "KEY_WORN_OUT"
    remedy = "Make a new key, make it the current one, and start the processes anew."

    def __init__(self, message: str, *, key_id: str | None = None) -> None:
        super().__init__(message)
        self.key_id = key_id


class NumberingPlanError(SetupError):
    """A numbering-plan file that cannot be read; `file` and `line` say where."""

    code = "NUMBERING_PLAN"
    remedy = "Correct the line, or load with on_error='skip' to keep the good lines only."

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class RegisterFileError(SetupError):
    """A file of facts about the register that cannot be taken; none of it is used.

    `file`, `line` and `key` say where, as far as that is known.
    """

    code = "REGISTER_FILE"
    remedy = "Correct what is named; the how-to on the register shows a file."

    def __init__(
        self, message: str, *, file: str, line: int | None = None, key: str | None = None
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.key = key


# --- operators and other adapters ---------------------------------------------------


class AdapterError(AbonentError):
    """An adapter could not do what it was asked. `adapter` names the port."""

    code = "ADAPTER"
    fault = Fault.OPERATOR
    remedy = "Look at the adapter."

    def __init__(
        self, message: str, *, adapter: str | None = None, retry_at: datetime | None = None
    ) -> None:
        super().__init__(message, retry_at=retry_at)
        self.adapter = adapter


class Unavailable(AdapterError):
    """For adapters to raise: the other side cannot be reached now; trying again may help."""

    code = "UNAVAILABLE"
    remedy = "Nothing: it is tried again by itself inside the deadline."
    retryable = True


class Misconfigured(AdapterError):
    """For adapters to raise: the other side refuses our credentials or request. An alarm.

    It is never taken for "not held" (S11).
    """

    code = "MISCONFIGURED"
    fault = Fault.SETUP
    remedy = "Correct credentials or profile of this operator; it is retried meanwhile."


class AdapterFault(AdapterError):
    """An adapter broke its contract: a stray exception or an impossible value.

    `cause_type` is the name of what it raised. Its text is dropped on purpose: it may carry a
    number.
    """

    code = "ADAPTER_FAULT"
    remedy = "Correct the adapter: it raised or returned what its port does not allow."

    def __init__(self, message: str, *, adapter: str, cause_type: str = "") -> None:
        super().__init__(message, adapter=adapter)
        self.cause_type = cause_type


class UnknownQuery(AdapterError):
    """An answer to a question that we did not ask (S29)."""

    code = "UNKNOWN_QUERY"
    remedy = "Return the query id of the question unchanged."


class EventReused(AdapterError):
    """An operator gave a message the id of another one; nothing was changed."""

    code = "EVENT_REUSED"
    remedy = "Give each event an id of its own, and the same one only to the same event."


class RequestRefused(AdapterError):
    """What an operator sent over HTTP is not a signed event; nothing of it was stored.

    `reason` is the stable name of the refusal (see `abonent.wire.Refusal`).
    """

    code = "REQUEST_REFUSED"
    remedy = "Read the reason; the sender has to correct the request."

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


# --- the store ----------------------------------------------------------------------


class StorageError(AbonentError):
    """The store could not do its work; the unit was not applied."""

    code = "STORE"
    fault = Fault.STORE
    remedy = "Look at the database."


class StoreUnavailable(StorageError):
    """The store is out of reach, locked or busy; trying again may help.

    Nothing was applied; or, where the connection broke or no answer came in the middle of a commit,
    all of it may have been.
    """

    code = "STORE_UNAVAILABLE"
    remedy = "Try again; if it lasts, look at the database."
    retryable = True


class StoreFull(StorageError):
    """There is no room to write; nothing was applied."""

    code = "STORE_FULL"
    remedy = "Make room, then try again."
    retryable = True


class StoreReadOnly(StorageError):
    """The store cannot be written."""

    code = "STORE_READ_ONLY"
    remedy = "Make file and folder writable for this process, or connect to the primary server."


class StoreForeign(StorageError):
    """The file or schema is not one of abonent's; it was not touched."""

    code = "STORE_FOREIGN"
    remedy = "Give the place of an abonent database, or one where nothing is yet."


class StoreNewer(StorageError):
    """The schema is newer than this release knows; it was not touched."""

    code = "STORE_NEWER"
    remedy = "Upgrade abonent."


class StoreMissing(StorageError):
    """The schema has not been made in this database, or not as a whole."""

    code = "STORE_MISSING"
    remedy = "Run `abonent db upgrade` with this database and schema."


class StoreRefused(StorageError):
    """The server refuses us: role, password, database or privilege; nothing was applied."""

    code = "STORE_REFUSED"
    fault = Fault.SETUP
    remedy = "Correct the connection string, or grant the role what it lacks."


class RecordDamaged(StorageError):
    """A stored record does not open under its key and place: damaged, swapped or forged."""

    code = "RECORD_DAMAGED"
    remedy = "Restore it from a backup; do not delete it."


class Contended(StorageError):
    """Other writers kept winning; nothing was applied."""

    code = "CONTENDED"
    remedy = "Try again."
    retryable = True


# --- evidence -----------------------------------------------------------------------


class EvidenceError(AbonentError):
    """What is shown of the journal does not hold, or cannot be looked at.

    `finding` is a stable name of what is wrong; `where` says where: a file, line, tile or cursor.
    """

    code = "EVIDENCE"
    fault = Fault.STORE
    remedy = "Look at what is named."

    def __init__(self, message: str, *, finding: str, where: str = "") -> None:
        place = f"{finding}, {where}" if where else finding
        super().__init__(f"{message} ({place})")
        self.message = message
        self.finding = finding
        self.where = where

    def inside(self, file: str) -> Self:
        """Return the same, found in a file of this name, for whoever was given several."""
        where = f"{file}, {self.where}" if self.where else file
        return type(self)(self.message, finding=self.finding, where=where)


class EvidenceTampered(EvidenceError):
    """Something is not what was signed: an entry, a tile, a proof or a checkpoint."""

    code = "EVIDENCE_TAMPERED"
    remedy = "Keep everything as it is, and find out who changed what is named."


class LogRolledBack(EvidenceTampered):
    """Journal, folder or key's memory stand before what was signed already; nothing was signed."""

    code = "EVIDENCE_ROLLED_BACK"
    remedy = "Bring back the newest copy of what is named; a folder alone can be rebuilt."


class EvidenceDamaged(EvidenceError):
    """A file does not have the form that it should have, so that it says nothing."""

    code = "EVIDENCE_DAMAGED"
    fault = Fault.CALLER
    remedy = "Ask for the file again, and have it sent as it is, byte by byte."


class EvidenceForeign(EvidenceError):
    """A checkpoint of another log, or signed by another key."""

    code = "EVIDENCE_FOREIGN"
    fault = Fault.CALLER
    remedy = "Use the key of the log that this comes from, or the log that this key belongs to."


class EvidenceUnavailable(EvidenceError):
    """A file of the log cannot be read or written now, or another process extends the log."""

    code = "EVIDENCE_UNAVAILABLE"
    fault = Fault.SETUP
    remedy = "Make the file readable, or make room, or let the other process finish."
    retryable = True


# --- ourselves ----------------------------------------------------------------------


class TransitionRefused(AbonentError):
    """An event that the table of transitions does not allow in this state; nothing changed."""

    code = "TRANSITION"

    def __init__(self, message: str, *, state: str, event: str) -> None:
        super().__init__(message)
        self.state = state
        self.event = event
