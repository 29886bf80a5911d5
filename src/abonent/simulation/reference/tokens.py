"""The authorization server of a reference operator: assertions in, tokens out.

Knows the grants of the CAMARA security profile r4.2 (0.5.0). Refuses to keep a token for longer
than the process lives: who is told that one does not count any more asks for another.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from attrs import frozen

from abonent.core.numbers import SubscriberNumber
from abonent.errors import InvalidValue
from abonent.ports import Clock
from abonent.simulation.reference.assertions import Assertions
from abonent.simulation.reference.clients import Client
from abonent.simulation.reference.devices import Network
from abonent.simulation.reference.refusals import OAuthRefusal

TOKEN_LIFE: Final = timedelta(hours=1)
BY_NETWORK: Final = "number-verification:verify"
"""The scope that only a device's own proof gives."""
_ASKING_LIFE: Final = timedelta(minutes=2)
_INTERVAL: Final = 1
"""Seconds between two polls."""
_MOST: Final = 10_000
_MOST_FIELDS: Final = 32
_PURPOSE: Final = re.compile(r"dpv:[A-Za-z]{1,64}", re.ASCII)
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CIBA: Final = "urn:openid:params:grant-type:ciba"
GRANTS: Final = ("client_credentials", "authorization_code", JWT_BEARER, CIBA)


@frozen(kw_only=True)
class Granted:
    """What a token stands for. `number` is whose it is; None for a token that names nobody."""

    client: Client
    scopes: frozenset[str]
    until: datetime
    number: SubscriberNumber | None = None
    by_network: bool = False

    def __repr__(self) -> str:
        return f"Granted(messenger={self.client.messenger!r})"


@frozen(kw_only=True, repr=False)
class _Asking:
    """A subscriber who is being asked (CIBA)."""

    client: Client
    scopes: frozenset[str]
    number: SubscriberNumber
    until: datetime


class Tokens:
    """Gives clients tokens, and knows them again.

    Args:
        assertions: says who a client is.
        network: says whose a device's proof is.
        scopes: for what there are tokens.
        url: the address under which the endpoints are; assertions have to name them.
        clock: tells the time.
    """

    def __init__(
        self,
        assertions: Assertions,
        network: Network,
        scopes: Collection[str],
        *,
        url: str,
        clock: Clock,
    ) -> None:
        self._assertions = assertions
        self._network = network
        self._scopes = frozenset(scopes)
        self._token_url = f"{url}/token"
        self._backchannel_url = f"{url}/bc-authorize"
        self._clock = clock
        self._granted: dict[str, Granted] = {}
        self._asking: dict[str, _Asking] = {}
        self._mutex = threading.Lock()

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
        grant = form.get("grant_type")
        if grant is None:
            raise OAuthRefusal.REQUEST.error()
        if grant not in GRANTS:
            raise OAuthRefusal.GRANT_TYPE.error()
        with self._mutex:
            if grant == JWT_BEARER:
                return self._by_bearer(form)
            client = self._assertions.client(form, self._token_url)
            if grant == "authorization_code":
                return self._by_code(client, form)
            if grant == CIBA:
                return self._by_poll(client, form)
            return self._given(client, self._asked(form.get("scope", "")))

    def _by_code(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        """A token for what a device brought from the network (RFC 7636)."""
        code, verifier = form.get("code", ""), form.get("code_verifier", "")
        number = self._network.number_of_code(code, verifier, form.get("redirect_uri", ""))
        return self._given(client, frozenset({BY_NETWORK}), number, by_network=True)

    def _by_bearer(self, form: Mapping[str, str]) -> dict[str, Any]:
        """A token for a number, or for a device's token; the assertion says who asks, too."""
        if "scope" in form:
            raise OAuthRefusal.REQUEST.error()
        client, claims = self._assertions.judge(form.get("assertion", ""), self._token_url)
        scope = claims.get("scope")
        if "iat" not in claims or not isinstance(scope, str):
            raise OAuthRefusal.REQUEST.error()
        scopes = self._asked(scope)
        kind, _, value = claims["sub"].partition(":")
        if kind == "operatortoken":
            number = self._network.number_of_token(value)
            return self._given(client, scopes, number, by_network=True)
        if kind != "tel":
            raise OAuthRefusal.GRANT.error()
        # Whether it is a subscriber of ours is for the API to say, which has a word for it.
        return self._given(client, scopes, _number(value, OAuthRefusal.GRANT))

    def ask(self, body: bytes, serves: Callable[[SubscriberNumber], bool]) -> dict[str, Any]:
        """Begin to ask a subscriber (OpenID CIBA Core 1.0, 7.1); `serves` says who is one.

        Raises:
            CallRefused: nobody is asked.
        """
        form = form_of(body)
        with self._mutex:
            return self._begun(form, serves)

    def _begun(
        self, form: Mapping[str, str], serves: Callable[[SubscriberNumber], bool]
    ) -> dict[str, Any]:
        client = self._assertions.client(form, self._backchannel_url)
        scopes = self._asked(form.get("scope", ""))
        kind, _, value = form.get("login_hint", "").partition(":")
        if kind != "tel":
            raise OAuthRefusal.REQUEST.error()
        number = _number(value, OAuthRefusal.USER)
        if not serves(number):
            raise OAuthRefusal.USER.error()
        name = secrets.token_urlsafe(24)
        until = self._clock.now() + _ASKING_LIFE
        _bound(self._asking, self._clock.now())
        self._asking[name] = _Asking(client=client, scopes=scopes, number=number, until=until)
        return {
            "auth_req_id": name,
            "expires_in": int(_ASKING_LIFE.total_seconds()),
            "interval": _INTERVAL,
        }

    def _by_poll(self, client: Client, form: Mapping[str, str]) -> dict[str, Any]:
        """A token of a subscriber who was asked; here they agree at once."""
        name = form.get("auth_req_id", "")
        asking = self._asking.get(name)
        if asking is None or asking.client != client:
            raise OAuthRefusal.GRANT.error()
        del self._asking[name]
        if asking.until < self._clock.now():
            raise OAuthRefusal.EXPIRED.error()
        return self._given(client, asking.scopes, asking.number)

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
        number: SubscriberNumber | None = None,
        *,
        by_network: bool = False,
    ) -> dict[str, Any]:
        now = self._clock.now()
        _bound(self._granted, now)
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


def _bound(kept: dict[str, Any], now: datetime) -> None:
    """Make room for one more: first those go that have run out, then the oldest."""
    if len(kept) < _MOST:
        return
    for name in [name for name, each in kept.items() if each.until <= now]:
        del kept[name]
    while len(kept) >= _MOST:
        del kept[next(iter(kept))]


def _number(text: str, otherwise: OAuthRefusal) -> SubscriberNumber:
    try:
        return SubscriberNumber(text)
    except InvalidValue:
        raise otherwise.error() from None


def form_of(body: bytes) -> dict[str, str]:
    """Return the fields of a form; none may come twice (RFC 6749, 3.2)."""
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise OAuthRefusal.REQUEST.error() from None
    form = dict(fields)
    if len(form) != len(fields):
        raise OAuthRefusal.REQUEST.error()
    return form
