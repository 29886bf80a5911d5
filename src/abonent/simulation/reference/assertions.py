"""Who a client is: `private_key_jwt`, and assertions that came before.

Knows the CAMARA security profile r4.2 (0.5.0) on client authentication (RFC 7523). Refuses an
assertion that lives for longer than 300 seconds, and one that came before: which ones came is kept
in the store, so that a restart makes no replay possible (P13).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jws, jwt

from abonent.engine.archive import micros
from abonent.ports import Clock, KeyProvider, Put, Storage, Unit
from abonent.sealing import Keyring
from abonent.simulation.reference.clients import ALGORITHMS, Client
from abonent.simulation.reference.refusals import OAuthRefusal

LONGEST: Final = 300
"""Seconds for which an assertion may count."""
_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_NAME: Final = 256
_PAGE: Final = 1_000
_MINUTE: Final = 60_000_000


class Used:
    """Remembers which assertions came, for as long as they count."""

    def __init__(self, operator: str, storage: Storage, keys: KeyProvider) -> None:
        self._space = f"assertions {operator}"
        self._storage = storage
        self._keyring = Keyring(keys, self._space)

    def use(self, client: str, name: str, until: datetime) -> bool:
        """Note that one came; return False if it had come before."""
        key = self._keyring.user_tags(f"{client}\0{name}")[0]
        put = Put(key, 0, b"", micros(until))
        return self._storage.commit([Unit(self._space, (put,))])[0]

    def clear(self, now: datetime) -> None:
        """Forget those that have run out."""
        keys = self._storage.due(self._space, micros(now) - 1, _PAGE, _MINUTE)
        if keys:
            self._storage.commit([Unit(self._space, (Put(key, 1, None),)) for key in keys])


class Assertions:
    """Judges assertions.

    Args:
        clients: who may make any.
        used: those that came.
        clock: tells the time.
    """

    def __init__(self, clients: Collection[Client], used: Used, clock: Clock) -> None:
        self._clients = {each.client_id: each for each in clients}
        self._used = used
        self._clock = clock

    def client(self, form: Mapping[str, str], url: str) -> Client:
        """Return the client that a form shows to be its sender (RFC 7523, 2.2).

        Raises:
            CallRefused: nobody is shown.
        """
        if form.get("client_assertion_type") != _TYPE:
            raise OAuthRefusal.CLIENT.error()
        client, claims = self.judge(form.get("client_assertion", ""), url)
        named = form.get("client_id", client.client_id)
        if not claims["sub"] == named == client.client_id:
            raise OAuthRefusal.CLIENT.error()
        return client

    def judge(self, assertion: str, url: str) -> tuple[Client, dict[str, Any]]:
        """Judge an assertion: by whom, for whom, how old, and that it is the first time.

        `iat` may be missing (it is recommended); everything else may not.

        Raises:
            CallRefused: it does not count.
        """
        client, claims = self._signed(assertion)
        at = self._clock.now().timestamp()
        try:
            expires, name, audience = claims["exp"], claims["jti"], claims["aud"]
            made = claims.get("iat", expires - LONGEST)
            sound = (
                url in ([audience] if isinstance(audience, str) else audience)
                and isinstance(name, str)
                and 0 < len(name) <= _LONGEST_NAME
                and isinstance(claims["sub"], str)
                and made <= at < expires <= made + LONGEST
            )
            until = datetime.fromtimestamp(expires, UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise OAuthRefusal.CLIENT.error() from None
        if not sound or not self._used.use(client.client_id, name, until):
            raise OAuthRefusal.CLIENT.error()
        return client, claims

    def _signed(self, assertion: str) -> tuple[Client, dict[str, Any]]:
        try:
            # Who is to be asked for the key stands in what is not verified yet: it tells where to
            # look, and nothing else.
            claimed = json.loads(jws.extract_compact(assertion.encode()).payload)["iss"]
            client = self._clients[claimed]
            read = jwt.decode(assertion, client.keys, algorithms=ALGORITHMS)
        except Exception:
            # Whatever a library makes of what nobody has checked yet, it is no assertion.
            raise OAuthRefusal.CLIENT.error() from None
        return client, read.claims
