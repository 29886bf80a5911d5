"""What the library needs from outside: small, typed, and each says what to raise.

Knows shapes and promises. Refuses to know a database, a network or a clock.

Ports are protocols; instances are passed in. Adapters raise `Unavailable` when trying again may
help and `Misconfigured` when it cannot; anything else that escapes one is reported as
`AdapterFault` and its text is dropped, because it may carry a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Protocol

from attrs import field, frozen
from msgspec import Struct

from abonent.core.budgets import Unsendable
from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import check_instant_field, check_member, check_territory
from abonent.core.states import NoticeKind
from abonent.errors import InvalidCode, InvalidValue

# --- time, keys ----------------------------------------------------------------------


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""
        ...


def _read_only(roots: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return MappingProxyType(dict(roots))


@frozen(kw_only=True, repr=False)
class Keys:
    """Root keys by id. `current` seals; the others open what they sealed.

    A key is 32 random bytes; an id is 1 to 16 of `a-z 0-9 -`.

    Raises:
        InvalidValue: a wrong id or length, or `current` is not among them.
    """

    current: str
    roots: Mapping[str, bytes] = field(converter=_read_only)

    def __attrs_post_init__(self) -> None:
        if self.current not in self.roots:
            raise InvalidValue("the current key is not among the keys")
        for key_id, root in self.roots.items():
            if not re.fullmatch(r"[a-z0-9-]{1,16}", key_id, re.ASCII):
                raise InvalidValue("a key id is 1 to 16 characters of a-z, 0-9 and '-'")
            if len(root) != 32:
                raise InvalidValue(f"key {key_id} is not 32 bytes long")

    def __repr__(self) -> str:
        return f"Keys(current={self.current!r}, ids={sorted(self.roots)!r})"


class KeyProvider(Protocol):
    """Holds the root keys."""

    def keys(self) -> Keys:
        """Return all live keys.

        Raises:
            KeyUnavailable: a key cannot be had now.
            KeyMaterialInvalid: the source does not hold keys.
        """
        ...


# --- storage ------------------------------------------------------------------------


class Record(Struct, frozen=True):
    """A stored record: a version that grows by one with each change, and sealed bytes."""

    version: int
    body: bytes


class Put(Struct, frozen=True):
    """Write one record if its stored version is `expected` (0: it must not exist).

    `body=None` deletes it, with its deadline. `wake` is the deadline at which `due` must report
    it: microseconds since 1970 UTC, None for none. `journal` holds a record's version afterwards.
    """

    key: bytes
    expected: int
    body: bytes | None
    wake: int | None = None


class AliasChange(Struct, frozen=True):
    """Make `owner` one of the owners of `alias`, or no longer one.

    With `sole`, the unit conflicts if, after all its changes, the alias has another owner as well.
    Adding an owner twice, or removing one that is not there, changes nothing.
    """

    alias: bytes
    owner: bytes
    present: bool
    sole: bool = False


class Append(Struct, frozen=True):
    """An entry for the journal: whose, which of theirs, and sealed bytes."""

    subject: bytes
    number: int
    body: bytes


class Unit(Struct, frozen=True):
    """Changes that are committed together or not at all. `space` keeps messengers apart."""

    space: str
    puts: tuple[Put, ...] = ()
    aliases: tuple[AliasChange, ...] = ()
    appends: tuple[Append, ...] = ()


class Entry(Struct, frozen=True):
    """A journal entry as committed. `cursor` grows; a later commit never gets an earlier one."""

    cursor: int
    subject: bytes
    number: int
    body: bytes


@frozen(kw_only=True)
class StorageFeatures:
    """What a store can do, as data.

    `durable`: what was committed survives a crash. `shared`: several processes may use it at once.
    `territory`: the country in which the store keeps its data, ISO 3166-1 alpha-2, as its owner
    declares; None if nobody has declared one. A store that is neither durable nor shared keeps
    nothing beyond its process, and needs none.
    """

    durable: bool
    shared: bool
    territory: str | None = field(default=None, validator=check_territory)


class Storage(Protocol):
    """Keeps sealed records, aliases, deadlines and the journal. Batch-first, synchronous.

    Safe for threads. It sees sealed bytes and keyed indexes, never a number. What is not committed
    is never shown. Every method may raise `StorageError`: `StoreUnavailable` or `StoreFull` where
    trying again may help; then nothing of the call was applied. Where the connection to a server
    broke in the middle of a commit, all of the call may have been: who tries again loads again.
    """

    @property
    def features(self) -> StorageFeatures:
        """What this store can do."""
        ...

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """Return the committed records of these keys, in their order, None where there is none."""
        ...

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """Commit units in order, each seeing the earlier ones; return which were applied.

        A unit conflicts, and leaves nothing, if a record is not at its expected version or a sole
        alias has another owner. A conflict never hurts a neighbour. On return, all that was
        applied is as durable as the features say.
        """
        ...

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """Return the owners of these aliases, in their order, each list sorted."""
        ...

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        """Claim up to `limit` records whose deadline is at or before `now`, earliest first.

        What was claimed is not reported again, to anyone, before `now + lease` or until it is put.
        `now` and `lease` are in microseconds.
        """
        ...

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries beyond a cursor (0: from the first), in order.

        An entry is never skipped: once an entry was returned, none with a smaller cursor appears.
        """
        ...

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """Return up to `limit` records with keys beyond `after` (b"": from the first), by key."""
        ...

    def close(self) -> None:
        """Release what is held; then every method raises `IdentifierClosed`. Twice is allowed."""
        ...


# --- routing ------------------------------------------------------------------------


class Unrouted(Enum):
    """Why no operator is named for a number."""

    UNKNOWN_RANGE = "unknown_range"
    """No range of the plan holds the number."""
    UNKNOWN_OPERATOR = "unknown_operator"
    """The plan names an operator that was not configured."""


class NumberRouter(Protocol):
    """Tells which operator serves a number: a proposal, since numbers are ported."""

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """Return the id of the operator that serves the number, or why none is known.

        Raises:
            Unavailable: the source is out of reach.
        """
        ...


class AsyncNumberRouter(Protocol):
    """The same over a network, for the async shell."""

    async def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """See `NumberRouter.serving`."""
        ...


# --- limits -------------------------------------------------------------------------


class SendLimiter(Protocol):
    """Bounds the codes sent to many numbers at once: to a range, or by the messenger (P20).

    Budgets by user and by number are kept by the library itself, in the record that they are about.

    Raises:
        Unavailable, Misconfigured: it cannot say; then no code is sent.
    """

    def admit(self, number: SubscriberNumber, at: datetime) -> Unsendable | None:
        """Count a code to this number if every budget has room for it; None: it may be sent.

        It is counted before it is sent, so that no two callers take the last place (P2).
        """
        ...

    def give_back(self, number: SubscriberNumber, at: datetime) -> None:
        """A code that was admitted at this instant was not sent after all."""
        ...


class AsyncSendLimiter(Protocol):
    """The same over a network, for the async shell."""

    async def admit(self, number: SubscriberNumber, at: datetime) -> Unsendable | None:
        """See `SendLimiter.admit`."""
        ...

    async def give_back(self, number: SubscriberNumber, at: datetime) -> None:
        """See `SendLimiter.give_back`."""
        ...


# --- operators ----------------------------------------------------------------------


@frozen(kw_only=True)
class Query:
    """A question to an operator: do you hold information about this subscriber?

    `id` is the idempotency id: the same for every try of one question. The answer counts if *we*
    receive it by `due`, inclusive. `opaque` is what the gateway handed back last, at first b"".
    """

    id: str
    messenger: str
    number: SubscriberNumber
    asked_at: datetime
    due: datetime
    opaque: bytes = b""


@frozen(kw_only=True)
class Answer:
    """An operator's answer. `opaque` (at most 4 KiB) is stored and handed back with the query."""

    outcome: Outcome
    opaque: bytes = field(default=b"", repr=False)


@frozen(kw_only=True)
class RecordEntry:
    """What an operator records beside the subscriber: messenger and identification code."""

    id: str
    messenger: str
    number: SubscriberNumber
    code: str


@frozen(kw_only=True)
class WithdrawEntry:
    """A record that is to be removed. There is no number: the code names the record."""

    id: str
    messenger: str
    code: str


@frozen(kw_only=True)
class GatewayFeatures:
    """What a gateway can do, as data.

    `prompt`: its calls return without waiting for a network, so the caller's thread makes them.
    `concurrency`: how many calls it takes at once, 1 to 1,000.
    """

    prompt: bool = False
    concurrency: int = 8


class OperatorGateway(Protocol):
    """The link to one operator. Every call may come again under the same id, and must be harmless.

    Raises, from any method:
        Unavailable: out of reach, overloaded, timed out: it is tried again inside the deadline.
        Misconfigured: the operator refuses our credentials or request: an alarm.
    """

    @property
    def features(self) -> GatewayFeatures:
        """What this gateway can do."""
        ...

    def ask(self, query: Query) -> Answer:
        """Ask; return `Outcome.LATER` if the answer will come by `receive`."""
        ...

    def record(self, entry: RecordEntry) -> None:
        """Have messenger and code recorded; returning means acknowledged."""
        ...

    def withdraw(self, entry: WithdrawEntry) -> None:
        """Have the record removed; a record that is not there counts as removed.

        It may overtake its own record on the way. A code is recorded once in its life, so the
        operator does not take up a record of a code that it was told to remove.
        """
        ...


class AsyncOperatorGateway(Protocol):
    """The same for the async shell."""

    @property
    def features(self) -> GatewayFeatures:
        """What this gateway can do."""
        ...

    async def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`."""
        ...

    async def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        ...

    async def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        ...


@frozen(kw_only=True)
class Notice:
    """An operator's notice about a number.

    `id` is the operator's own id of this notice, 1–128 characters: the same notice twice does
    nothing more. `happened_at` is when it happened, None if the operator does not say.
    """

    id: str
    operator: str
    kind: NoticeKind = field(validator=check_member(NoticeKind))
    number: SubscriberNumber
    happened_at: datetime | None = field(default=None, validator=check_instant_field)


@frozen(kw_only=True)
class LateAnswer:
    """An answer that comes by itself, to the query with this id."""

    query_id: str
    operator: str
    outcome: Outcome = field(validator=check_member(Outcome))


class RecyclingCheck(Protocol):
    """Asks an operator whether a number has changed hands: behind its notices, in case one is lost.

    Raises:
        Unavailable, Misconfigured: as for gateways.
    """

    def recycled(self, number: SubscriberNumber, since: datetime) -> bool | None:
        """Tell whether the number has had another holder since an instant; None: cannot say."""
        ...


class AsyncRecyclingCheck(Protocol):
    """The same for the async shell."""

    async def recycled(self, number: SubscriberNumber, since: datetime) -> bool | None:
        """See `RecyclingCheck.recycled`."""
        ...


# --- possession ---------------------------------------------------------------------

_CODE: Final = re.compile(r"[0-9]{4,10}", re.ASCII)


def _is_code(_: object, attribute: object, value: Any) -> None:
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise InvalidCode("a code is 4 to 10 digits 0-9, nothing else")


@frozen(repr=False, eq=False)
class OneTimeCode:
    """A one-time code as text. Compared only in constant time; never shown by repr (P7, P8).

    Raises:
        InvalidCode: not 4 to 10 ASCII digits and nothing else.
    """

    digits: str = field(validator=_is_code)

    def __repr__(self) -> str:
        return "OneTimeCode(…)"


@frozen
class NetworkProof:
    """A proof that the user's device got without anybody typing anything.

    Each check that takes one has a kind of its own, derived from this. It never shows in a repr.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


@frozen(kw_only=True)
class PossessionClaim:
    """A claim of which possession is to be proven.

    `id` is the idempotency id of this issue. `code` is the one-time code derived for it; checks
    that have codes of their own leave it alone. `opaque` is what `begin` handed back.
    """

    id: str
    number: SubscriberNumber
    code: OneTimeCode
    locale: str
    opaque: bytes = field(default=b"", repr=False)


@frozen(kw_only=True)
class Begun:
    """A possession check that began; `opaque` (at most 4 KiB) is stored and handed back."""

    opaque: bytes = field(default=b"", repr=False)


class Verdict(Enum):
    """What a possession check says of a proof."""

    PROVEN = "proven"
    FAILED = "failed"


@frozen(kw_only=True)
class PossessionFeatures:
    """What a possession check can do, as data.

    `local`: `check` is a mere computation, so its verdict is committed together with the charge.
    `prompt`: `begin` returns without waiting for a network. `silent`: a proof is a `NetworkProof`,
    made by the user's device; otherwise it is a code, typed by the user.
    """

    local: bool = False
    prompt: bool = False
    silent: bool = False


class PossessionCheck(Protocol):
    """Finds out whether a user holds a number, by an action of theirs."""

    @property
    def features(self) -> PossessionFeatures:
        """What this check can do."""
        ...

    def begin(self, claim: PossessionClaim) -> Begun:
        """Start: send the code, or whatever else it takes. May come again under the same id.

        Raises:
            Unavailable, Misconfigured: as for gateways.
        """
        ...

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """Judge a proof. It was charged before.

        Raises:
            Unavailable, Misconfigured: no verdict could be had.
        """
        ...


class AsyncLocalCheck(Protocol):
    """A check whose `begin` is awaited, and which judges by itself: its features say `local`."""

    @property
    def features(self) -> PossessionFeatures:
        """What this check can do."""
        ...

    async def begin(self, claim: PossessionClaim) -> Begun:
        """See `PossessionCheck.begin`."""
        ...

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """See `PossessionCheck.check`; a mere computation."""
        ...


class AsyncPossessionCheck(Protocol):
    """The same over a network, for the async shell."""

    @property
    def features(self) -> PossessionFeatures:
        """What this check can do."""
        ...

    async def begin(self, claim: PossessionClaim) -> Begun:
        """See `PossessionCheck.begin`."""
        ...

    async def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """See `PossessionCheck.check`."""
        ...


class SilentCheck(Protocol):
    """A possession check whose proofs are made by the user's device; its features say `silent`."""

    @property
    def features(self) -> PossessionFeatures:
        """What this check can do."""
        ...

    def begin(self, claim: PossessionClaim) -> Begun:
        """See `PossessionCheck.begin`."""
        ...

    def check(self, proof: NetworkProof, claim: PossessionClaim) -> Verdict:
        """See `PossessionCheck.check`. A proof of a kind that it does not take is FAILED."""
        ...


class AsyncSilentCheck(Protocol):
    """The same over a network, for the async shell."""

    @property
    def features(self) -> PossessionFeatures:
        """What this check can do."""
        ...

    async def begin(self, claim: PossessionClaim) -> Begun:
        """See `PossessionCheck.begin`."""
        ...

    async def check(self, proof: NetworkProof, claim: PossessionClaim) -> Verdict:
        """See `SilentCheck.check`."""
        ...


@frozen(kw_only=True)
class CodeMessage:
    """A code to be sent to a number. The same `id` again must not reach the user twice."""

    id: str
    number: SubscriberNumber
    code: OneTimeCode
    locale: str


class CodeSender(Protocol):
    """Sends one-time codes.

    Raises:
        Unavailable, Misconfigured: as for gateways.
    """

    def send(self, message: CodeMessage) -> None:
        """Send the code; returning means that it was taken for delivery."""
        ...


class AsyncCodeSender(Protocol):
    """The same over a network, for the async shell, under `AsyncOneTimeCodes`."""

    async def send(self, message: CodeMessage) -> None:
        """See `CodeSender.send`."""
        ...
