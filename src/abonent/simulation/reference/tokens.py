"""The authorization server of a reference operator: assertions in, tokens out.

Knows `private_key_jwt` and the grants of the CAMARA security profile r4.2 (0.5.0). Refuses an
assertion that lives for longer than 300 seconds, and one that came before: which ones came is kept
in the store, so that a restart makes no replay possible (P13). Tokens are not kept: who is told
that one does not count any more asks for another.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from attrs import frozen
from joserfc import jws, jwt

from abonent.engine.archive import micros
from abonent.ports import Clock, KeyProvider, Put, Storage, Unit
from abonent.sealing import Keyring
from abonent.simulation.reference.clients import ALGORITHMS, Client
from abonent.simulation.reference.refusals import OAuthRefusal

LONGEST_ASSERTION: Final = 300
"""Seconds (CAMARA security profile, client authentication)."""
TOKEN_LIFE: Final = timedelta(hours=1)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MOST_TOKENS: Final = 10_000
_MOST_FIELDS: Final = 32
_PURPOSE: Final = re.compile(r"dpv:[A-Za-z]{1,64}", re.ASCII)
_LIMIT: Final = 1_000


@frozen(kw_only=True)
class Granted:
    """What a token stands for. `number` is whose it is; None for a token that names nobody."""

    client: Client
    scopes: frozenset[str]
    until: datetime
    number: str | None = None
    by_network: bool = False

    def __repr__(self) -> str:
        return f"Granted(messenger={self.client.messenger!r})"


class Assertions:
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
        keys = self._storage.due(self._space, micros(now), _LIMIT, 60_000_000)
        if keys:
            puts = [Unit(self._space, (Put(key, 1, None),)) for key in keys]
            self._storage.commit(puts)


class Tokens:
    """Says who a client is, gives it tokens, and knows them again.

    Args:
        clients: who may have tokens.
        scopes: for what there are any.
        url: the address of the token endpoint, which assertions have to name.
        assertions: those that came.
        clock: tells the time.
    """

    def __init__(
        self,
        clients: Collection[Client],
        scopes: Collection[str],
        *,
        url: str,
        assertions: Assertions,
        clock: Clock,
    ) -> None:
        self._clients = {each.client_id: each for each in clients}
        self._scopes = frozenset(scopes)
        self._url = url
        self._assertions = assertions
        self._clock = clock
        self._granted: dict[str, Granted] = {}

    def known(self, header: str) -> Granted | None:
        """Return what the token in an Authorization header stands for, while it counts."""
        kind, _, value = header.partition(" ")
        found = self._granted.get(value.strip())
        if kind.lower() != "bearer" or found is None or found.until <= self._clock.now():
            return None
        return found

    def grant(self, body: bytes) -> dict[str, Any]:
        """Answer a request for a token; return the JSON object that goes back.

        Raises:
            CallRefused: no token is given.
        """
        form = form_of(body)
        match form.get("grant_type"):
            case "client_credentials":
                client = self.client(form, self._url)
                return self._given(client, self._asked(form.get("scope", "")))
            case None:
                raise OAuthRefusal.REQUEST.error()
            case _:
                raise OAuthRefusal.GRANT_TYPE.error()

    def client(self, form: Mapping[str, str], url: str) -> Client:
        """Return the client that a form shows to be its sender (RFC 7523, 2.2)."""
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise OAuthRefusal.CLIENT.error()
        client, claims = self._asserted(form.get("client_assertion", ""), url)
        if claims["sub"] != client.client_id:
            raise OAuthRefusal.CLIENT.error()
        if form.get("client_id", client.client_id) != client.client_id:
            raise OAuthRefusal.CLIENT.error()
        return client

    def _asserted(self, assertion: str, url: str) -> tuple[Client, dict[str, Any]]:
        """Judge an assertion: by whom, for whom, how old, and that it is the first time."""
        at = self._clock.now().timestamp()
        client, claims = self._signed(assertion)
        try:
            audience = claims["aud"]
            expires, made = claims["exp"], claims.get("iat", claims["exp"] - LONGEST_ASSERTION)
            name, subject = claims["jti"], claims["sub"]
            sound = (
                url in ([audience] if isinstance(audience, str) else audience)
                and isinstance(name, str)
                and 0 < len(name) <= 256
                and isinstance(subject, str)
                and made <= at < expires <= min(made, at) + LONGEST_ASSERTION
            )
            until = datetime.fromtimestamp(expires, self._clock.now().tzinfo)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            raise OAuthRefusal.CLIENT.error() from None
        if not sound or not self._assertions.use(client.client_id, name, until):
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

    def _asked(self, text: str) -> frozenset[str]:
        """Return the scopes of a request: at least one of an API, and exactly one purpose."""
        asked = text.split(" ") if text else []
        purposes = [each for each in asked if each.startswith("dpv:")]
        scopes = frozenset(asked) - frozenset(purposes) - {"openid"}
        if len(purposes) != 1 or not _PURPOSE.fullmatch(purposes[0]):
            raise OAuthRefusal.SCOPE.error()
        if not scopes or not scopes <= self._scopes:
            raise OAuthRefusal.SCOPE.error()
        return scopes

    def _given(
        self,
        client: Client,
        scopes: frozenset[str],
        number: str | None = None,
        *,
        by_network: bool = False,
    ) -> dict[str, Any]:
        now = self._clock.now()
        if len(self._granted) >= _MOST_TOKENS:
            self._granted = {k: v for k, v in self._granted.items() if v.until > now}
            while len(self._granted) >= _MOST_TOKENS:
                self._granted.pop(next(iter(self._granted)))
        value = secrets.token_urlsafe(32)
        self._granted[value] = Granted(
            client=client,
            scopes=scopes,
            until=now + TOKEN_LIFE,
            number=number,
            by_network=by_network,
        )
        return {
            "access_token": value,
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIFE.total_seconds()),
            "scope": " ".join(sorted(scopes)),
        }


def form_of(body: bytes) -> dict[str, str]:
    """Return the fields of a form; none may come twice (RFC 6749, 3.2)."""
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise OAuthRefusal.REQUEST.error() from None
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthRefusal.REQUEST.error()
    return form
