"""Tokens: who we are, said by a signed assertion, for a token that is kept or is one number's.

Knows the three grants of the CAMARA security profile r4.2 (0.5.0). What is kept is a token for
each scope, and of questions that wait for a subscriber, under the id of the question, what the
operator named them by. Refuses to store either, and to keep a number.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from attrs import field, frozen
from msgspec import Struct

from abonent.core.numbers import SubscriberNumber
from abonent.errors import AdapterError, Misconfigured, Unavailable
from abonent.gateways.camara.line import Line
from abonent.gateways.camara.profile import CamaraProfile, Grant, PrivateKeyJwt
from abonent.gateways.camara.replies import (
    content,
    is_passing,
    oauth_error_of,
    token_refusal,
)
from abonent.gateways.camara.steps import Alone, Flow
from abonent.ports import Clock
from abonent.transport import Response

log: Final = logging.getLogger("abonent")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,8192}", re.ASCII)
_USUAL_LIFE: Final = 60.0
"""Seconds for which a token counts if nobody says (RFC 6749, 5.1, leaves it open)."""
_LONGEST_LIFE: Final = 86_400.0
_EARLY: Final = 60.0
"""A token is renewed so many seconds before its end, or in the last tenth of its life."""
_USUAL_INTERVAL: Final = 5.0
"""Seconds between two polls (OpenID CIBA Core 1.0, 7.3)."""
_MOST_PENDING: Final = 10_000
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@frozen(kw_only=True)
class Token:
    """An access token. `until` and `renew_at` are instants of the line's clock."""

    value: str = field(repr=False)
    until: float
    renew_at: float


class _Round(Struct):
    """The last try to renew a token: which it was, and how it failed."""

    number: int = 0
    fault: AdapterError | None = None


class _Pending(Struct):
    """A question that waits for its subscriber."""

    request: str
    until: float
    interval: float
    poll_at: float
    token: Token | None = None


class Tokens:
    """Gets tokens from one operator."""

    def __init__(self, profile: CamaraProfile, line: Line, clock: Clock) -> None:
        self._operator = profile.operator
        self._access: PrivateKeyJwt = profile.authentication
        self._grant = profile.grant
        self._line = line
        self._clock = clock
        self._kept: dict[str, Token] = {}
        self._rounds: dict[str, _Round] = {}
        self._pending: dict[str, _Pending] = {}

    # --- tokens that are kept ---------------------------------------------------------------

    def shared(
        self, scope: str, until: float, refused: Token | None = None
    ) -> Flow[tuple[Token, bool]]:
        """Return a two-legged token for a scope, and whether it was fetched just now.

        One is fetched at a time; whoever comes meanwhile has the one that is kept, as long as it
        counts, or waits. Early renewal that fails leaves it in use.

        Args:
            scope: what it is for.
            until: when it has to be there.
            refused: the token that the operator does not accept any more.
        """
        kept = self._good(scope, refused)
        now = self._line.now()
        if kept is not None and now < kept.renew_at:
            return kept, False
        seen = self._rounds.setdefault(scope, _Round()).number
        renew = partial(self._renew, scope, until, refused, seen)
        renewed = yield Alone(scope, renew, 0.0 if kept is not None else max(0.0, until - now))
        if renewed is not None:
            token, fresh = renewed
            return token, fresh
        if kept is not None:
            return kept, False
        raise Unavailable("another call has been waiting for a token for too long")

    def _good(self, scope: str, refused: Token | None) -> Token | None:
        kept = self._kept.get(scope)
        if kept is None or kept is refused or self._line.now() >= kept.until:
            return None
        return kept

    def _renew(
        self, scope: str, until: float, refused: Token | None, seen: int
    ) -> Flow[tuple[Token, bool]]:
        kept = self._good(scope, refused)
        now = self._line.now()
        if kept is not None and now < kept.renew_at:
            return kept, False  # another has renewed it while we waited
        last = self._rounds[scope]
        if last.number != seen and last.fault is not None and kept is None:
            raise last.fault  # another has just failed
        if kept is not None:
            until = now + (until - now) / 2  # it is for later: leave time for what it is for
        try:
            token = yield from self._fetch(scope, until)
        except AdapterError as error:
            fault = type(error)("no token could be had")
            self._rounds[scope] = _Round(last.number + 1, fault)
            if kept is not None and isinstance(error, Unavailable):
                return kept, False
            raise
        self._rounds[scope] = _Round(last.number + 1)
        self._kept[scope] = token
        return token, True

    def _fetch(self, scope: str, until: float) -> Flow[Token]:
        response = yield from self._post(
            self._access.token_url,
            {"grant_type": Grant.CLIENT_CREDENTIALS.value, "scope": scope}
            | self._client(self._access.token_url),
            until,
        )
        return self._token(response)

    # --- tokens of one number ---------------------------------------------------------------

    def of_subscriber(
        self, scope: str, number: SubscriberNumber, question: str, until: float
    ) -> Flow[Token | None]:
        """Return a three-legged token for a number; None if the operator has nobody with it.

        Raises:
            Unavailable: among others, the subscriber has not been asked yet: come again.
        """
        if self._grant is Grant.JWT_BEARER:
            return (yield from self._by_bearer(scope, number, until))
        return (yield from self._by_backchannel(scope, number, question, until))

    def _by_bearer(self, scope: str, number: SubscriberNumber, until: float) -> Flow[Token]:
        # The scope stands in the assertion, and must not stand beside it; the assertion says who
        # we are as well.
        url = self._access.token_url
        assertion = self._assertion(url, {"sub": f"tel:{number.e164}", "scope": scope})
        response = yield from self._post(
            url, {"grant_type": Grant.JWT_BEARER.value, "assertion": assertion}, until
        )
        return self._token(response)

    def _by_backchannel(
        self, scope: str, number: SubscriberNumber, question: str, until: float
    ) -> Flow[Token | None]:
        pending = self._pending.get(question)
        if pending is None or self._line.now() >= pending.until:
            pending = yield from self._begin(scope, number, until)
            if pending is None:
                return None
            self._keep(question, pending)
        token = pending.token
        if token is not None and self._line.now() < token.until:
            return token
        if self._line.now() < pending.poll_at:
            raise Unavailable("the subscriber has not been asked yet")
        pending.poll_at = self._line.now() + pending.interval
        response = yield from self._post(
            self._access.token_url,
            {"grant_type": Grant.CIBA.value, "auth_req_id": pending.request}
            | self._client(self._access.token_url),
            until,
        )
        if response.status != 200:
            error = oauth_error_of(response)
            if error == "slow_down":
                pending.interval += _USUAL_INTERVAL
                pending.poll_at += _USUAL_INTERVAL
            elif error != "authorization_pending" and not is_passing(response):
                self.forget(question)  # the next try begins anew
        pending.token = self._token(response)
        return pending.token

    def _begin(self, scope: str, number: SubscriberNumber, until: float) -> Flow[_Pending | None]:
        url = self._access.backchannel_url or ""
        form = {"scope": f"openid {scope}", "login_hint": f"tel:{number.e164}"}
        response = yield from self._post(url, form | self._client(url), until)
        if response.status == 400 and oauth_error_of(response) == "unknown_user_id":
            return None
        if response.status != 200:
            raise self._refusal(response)
        said = content(response)
        request = said.get("auth_req_id")
        if not isinstance(request, str) or not _VISIBLE.fullmatch(request):
            raise Misconfigured("the reply names no question")
        now = self._line.now()
        return _Pending(
            request=request,
            until=now + _seconds(said, "expires_in", _USUAL_LIFE),
            interval=_seconds(said, "interval", _USUAL_INTERVAL),
            poll_at=now,
        )

    def _keep(self, question: str, pending: _Pending) -> None:
        while len(self._pending) >= _MOST_PENDING:
            # Whoever is dropped is asked anew.
            self._pending.pop(next(iter(self._pending)), None)
        self._pending[question] = pending

    def forget(self, question: str) -> None:
        """Forget a question: it was answered, or has to be asked anew."""
        self._pending.pop(question, None)

    # --- tokens of a device -----------------------------------------------------------------

    def by_code(self, code: str, verifier: str, redirect: str, until: float) -> Flow[Token | None]:
        """Return the token for an authorization code; None if the operator does not take it."""
        url = self._access.token_url
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        response = yield from self._post(url, form | self._client(url), until)
        return self._of_device(response)

    def by_operator_token(self, scope: str, token: str, until: float) -> Flow[Token | None]:
        """Return the token for one that the device has from its SIM (GSMA TS.43); or None."""
        url = self._access.token_url
        assertion = self._assertion(url, {"sub": f"operatortoken:{token}", "scope": scope})
        form = {"grant_type": Grant.JWT_BEARER.value, "assertion": assertion}
        response = yield from self._post(url, form, until)
        return self._of_device(response)

    def _of_device(self, response: Response) -> Token | None:
        if response.status == 400 and oauth_error_of(response) == "invalid_grant":
            return None  # made up, used up or run out: the user's doing, and no alarm
        return self._token(response)

    # --- what all of them send --------------------------------------------------------------

    def _post(self, url: str, form: Mapping[str, str], until: float) -> Flow[Response]:
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "cache-control": "no-store",
        }
        return (
            yield from self._line.send(
                url, headers=headers, body=urlencode(form).encode(), until=until
            )
        )

    def _client(self, url: str) -> dict[str, str]:
        assertion = self._assertion(url, {"sub": self._access.client_id})
        return {"client_assertion_type": _ASSERTION, "client_assertion": assertion}

    def _assertion(self, url: str, claims: Mapping[str, Any]) -> str:
        now = int(self._clock.now().timestamp())
        life = int(self._access.lifetime.total_seconds())
        return self._access.key.sign(
            {
                "iss": self._access.client_id,
                "aud": self._access.audience or url,
                "iat": now,
                "exp": now + life,
                "jti": str(uuid4()),
                **claims,
            }
        )

    def _refusal(self, response: Response) -> AdapterError:
        error = oauth_error_of(response)
        log.warning(
            "abonent.camara_no_token operator=%s status=%d error=%s",
            *(self._operator, response.status, error or "?"),
        )
        return token_refusal(response, error)

    def _token(self, response: Response) -> Token:
        if response.status != 200:
            raise self._refusal(response)
        said = content(response)
        value, kind = said.get("access_token"), said.get("token_type")
        if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
            raise Misconfigured("the reply holds no token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise Misconfigured("the token is of a kind that we do not use")
        life = _seconds(said, "expires_in", _USUAL_LIFE)
        now = self._line.now()
        return Token(value=value, until=now + life, renew_at=now + life - min(_EARLY, life / 10))


def _seconds(said: Mapping[str, Any], name: str, usual: float) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return usual
    return min(float(value), _LONGEST_LIFE)
