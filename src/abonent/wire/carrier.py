"""An operator's sending end: notices and late answers, signed and posted to messengers.

Knows one messenger's address from another's, and what a reply means. Refuses to know when to try
again: whoever keeps the notice does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from abonent.engine.assembly import SystemClock
from abonent.errors import InvalidValue, Misconfigured, SetupError, Unavailable
from abonent.ports import Clock, GatewayFeatures, LateAnswer, Notice
from abonent.transport import AsyncTransport, Request, Response, Transport, check_url
from abonent.transport.messages import LONGEST_WAIT
from abonent.wire.events import CONTENT_TYPE, encode_event
from abonent.wire.keys import SigningKeySource
from abonent.wire.signatures import sign

_TRY_AGAIN: Final = frozenset({408, 425, 429})


class _Letters:
    """Writes what is posted: both carriers do it alike."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        keys: SigningKeySource,
        clock: Clock | None,
        timeout: float,
        concurrency: int,
    ) -> None:
        self._addresses = {messenger: check_url(url) for messenger, url in addresses.items()}
        self._keys = keys
        self._clock = clock or SystemClock()
        self._timeout = timeout
        if not 0 < timeout <= LONGEST_WAIT:
            raise InvalidValue(f"a delivery takes up to {LONGEST_WAIT:g} seconds, and some time")
        if not 1 <= concurrency <= 1000:
            raise InvalidValue("1 to 1,000 messages are on their way to a messenger at once")
        self.features = GatewayFeatures(concurrency=concurrency)

    def letter(self, messenger: str, item: Notice | LateAnswer) -> Request:
        """Return the request that carries an item, signed now."""
        url = self._addresses.get(messenger)
        if url is None:
            raise Misconfigured("this messenger has no address", adapter=messenger)
        now = self._clock.now()
        try:
            body = encode_event(item, at=now)
            key = self._keys.signing_keys().current(now)
        except (SetupError, InvalidValue) as error:
            # Nothing that trying again would change.
            raise Misconfigured(error.args[0], adapter=messenger) from None
        headers = sign(
            url=url, content_type=CONTENT_TYPE, body=body, key=key.private, kid=key.kid, at=now
        )
        return Request(url=url, headers=headers, body=body, timeout=self._timeout)


def _read(messenger: str, reply: Response) -> None:
    """Return if the messenger took it; nothing but the status is believed."""
    if 200 <= reply.status < 300:
        return
    if reply.status >= 500 or reply.status in _TRY_AGAIN:
        raise Unavailable(f"the messenger replies {reply.status}", adapter=messenger)
    # A redirect is not followed: a notice goes to the address that was agreed.
    raise Misconfigured(f"the messenger refuses it with {reply.status}", adapter=messenger)


class SignedCarrier:
    """Delivers one operator's notices and late answers to messengers; a `NoticeCarrier`.

    The same item again is signed anew and has the same id, so a retry does no harm.

    Args:
        addresses: where each messenger receives, by messenger id: `https://`, without a query.
        keys: what signs.
        transport: what sends.
        clock: tells the time; None for the system's.
        timeout: seconds for one delivery, as a whole.
        concurrency: how many deliveries to one messenger may run at once.

    Raises:
        InvalidValue: an address to which nothing goes (see `abonent.transport.check_url`), a
            timeout that is not in (0, 300], a concurrency that is not in [1, 1000].
    """

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        keys: SigningKeySource,
        transport: Transport,
        clock: Clock | None = None,
        timeout: float = 10.0,
        concurrency: int = 8,
    ) -> None:
        self._letters = _Letters(addresses, keys, clock, timeout, concurrency)
        self._transport = transport

    @property
    def features(self) -> GatewayFeatures:
        """How many deliveries to one messenger may run at once."""
        return self._letters.features

    def deliver(self, messenger: str, notice: Notice) -> None:
        """Deliver a notice; returning means that the messenger acknowledged it.

        Raises:
            Unavailable: not reached, or it asks to be tried again (408, 425, 429, 5xx).
            Misconfigured: it refuses us (any other status but 2xx), or it has no address here, or
                there is no key to sign with.
        """
        _read(messenger, self._transport.send(self._letters.letter(messenger, notice)))

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """Deliver the answer to a question to which LATER was said; as for `deliver`."""
        _read(messenger, self._transport.send(self._letters.letter(messenger, answer)))


class AsyncSignedCarrier:
    """The same for asyncio.

    Args, Raises: as for `SignedCarrier`.
    """

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        keys: SigningKeySource,
        transport: AsyncTransport,
        clock: Clock | None = None,
        timeout: float = 10.0,
        concurrency: int = 8,
    ) -> None:
        self._letters = _Letters(addresses, keys, clock, timeout, concurrency)
        self._transport = transport

    @property
    def features(self) -> GatewayFeatures:
        """How many deliveries to one messenger may run at once."""
        return self._letters.features

    async def deliver(self, messenger: str, notice: Notice) -> None:
        """See `SignedCarrier.deliver`."""
        _read(messenger, await self._transport.send(self._letters.letter(messenger, notice)))

    async def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """See `SignedCarrier.deliver_answer`."""
        _read(messenger, await self._transport.send(self._letters.letter(messenger, answer)))
