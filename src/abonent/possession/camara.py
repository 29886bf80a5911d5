"""Possession that an operator finds out: by a code of its own, or by its network, silently.

Knows claims and proofs, and how what begins here is found again. Refuses to make codes and to know
how an operator is called. At the other end is one operator, which reaches its own subscribers only.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from attrs import field, frozen

from abonent.errors import InvalidValue, Unavailable
from abonent.gateways.camara import AsyncCamaraLink, CamaraLink, CamaraProfile, Service
from abonent.gateways.camara.proving import AuthorizationCode, OperatorToken, Proving
from abonent.ports import (
    Begun,
    NetworkProof,
    OneTimeCode,
    PossessionClaim,
    PossessionFeatures,
    Verdict,
)
from abonent.transport import check_url

__all__ = [
    "AsyncCamaraCodes",
    "AsyncCamaraVerification",
    "AuthorizationCode",
    "AuthorizationRequest",
    "CamaraCodes",
    "CamaraVerification",
    "OperatorToken",
]

_PLACE: Final = "{{code}}"
_LONGEST_MESSAGE: Final = 160
_NUMBER_LIKE: Final = re.compile(r"\d[\d\s()-]{5,}\d")
_MOST_BEGUN: Final = 10_000


# --- by a code of the operator's --------------------------------------------------------------


class Messages:
    """The text around a code, by language.

    Raises:
        InvalidValue: a text without `{{code}}` or with more than one, longer than 160 characters,
            unprintable, or with what looks like a number in it.
    """

    def __init__(self, message: str, translations: Mapping[str, str]) -> None:
        for each in (message, *translations.values()):
            if each.count(_PLACE) != 1 or "{{" in each.replace(_PLACE, ""):
                raise InvalidValue("a message holds {{code}} once, and no other place")
            if len(each) > _LONGEST_MESSAGE or not each.isprintable():
                raise InvalidValue("a message is one line of at most 160 characters")
            if _NUMBER_LIKE.search(each):
                raise InvalidValue("a message holds no number")
        self._message = message
        self._translations = MappingProxyType(
            {tag.lower(): each for tag, each in translations.items()}
        )

    def in_language(self, locale: str) -> str:
        """Return the text for a language tag: its own, that of its language, or the usual one."""
        tag = locale.lower().replace("_", "-")
        found = self._translations.get(tag) or self._translations.get(tag.partition("-")[0])
        return found or self._message


class Attempts:
    """What began here lately, by the id of its issue.

    CAMARA has no idempotency key: beginning again would send another message. So what this process
    began is begun once (P14); another process, after a crash, sends another, and that one counts.
    """

    def __init__(self) -> None:
        self._begun: OrderedDict[str, bytes] = OrderedDict()
        self._mutex = Lock()

    def keep(self, issue: str, opaque: bytes) -> None:
        """Note an attempt; of many, the oldest are forgotten."""
        with self._mutex:
            self._begun[issue] = opaque
            while len(self._begun) > _MOST_BEGUN:
                self._begun.popitem(last=False)

    def find(self, issue: str) -> bytes | None:
        """Return what was noted."""
        with self._mutex:
            return self._begun.get(issue)

    def of(self, claim: PossessionClaim) -> str:
        """Return the operator's name of the attempt that a proof belongs to.

        Raises:
            Unavailable: as far as we know nothing was sent yet.
        """
        opaque = claim.opaque or self.find(claim.id)
        if not opaque:
            raise Unavailable("the code has not been sent yet")
        return opaque.decode("ascii", "replace")


class CamaraCodes:
    """Possession is proven by a code that the operator makes, sends and checks.

    Its codes have to be 4 to 10 digits, as those of ours; the agreement with the operator says so.

    Args:
        link: the link to the operator; its profile names one-time-password-sms.
        message: the text of the message, with `{{code}}` where the code goes, at most 160
            characters, and no number in it.
        translations: the same by language tag (RFC 5646).

    Raises:
        InvalidValue: a text that does not do, or an operator that does not offer the API.
    """

    features = PossessionFeatures()

    def __init__(
        self, link: CamaraLink, *, message: str, translations: Mapping[str, str] | None = None
    ) -> None:
        link.profile.api(Service.CODES)
        self._link = link
        self._messages = Messages(message, translations or {})
        self._attempts = Attempts()
        self._proving = Proving(link.asking)

    def __repr__(self) -> str:
        return f"CamaraCodes({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return self._link.test_double

    def begin(self, claim: PossessionClaim) -> Begun:
        """Have the operator send a code; again under the same id, nothing is sent (P14)."""
        known = self._attempts.find(claim.id)
        if known is not None:
            return Begun(opaque=known)
        message = self._messages.in_language(claim.locale)
        attempt = self._link.run(self._proving.send_code(claim.number, message)).encode()
        self._attempts.keep(claim.id, attempt)
        return Begun(opaque=attempt)

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """Have the operator compare the code."""
        attempt = self._attempts.of(claim)
        return _verdict(self._link.run(self._proving.validate_code(attempt, proof.digits)))


class AsyncCamaraCodes:
    """The same for asyncio.

    Args, Raises: as for `CamaraCodes`.
    """

    features = PossessionFeatures()

    def __init__(
        self, link: AsyncCamaraLink, *, message: str, translations: Mapping[str, str] | None = None
    ) -> None:
        link.profile.api(Service.CODES)
        self._link = link
        self._messages = Messages(message, translations or {})
        self._attempts = Attempts()
        self._proving = Proving(link.asking)

    def __repr__(self) -> str:
        return f"AsyncCamaraCodes({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return self._link.test_double

    async def begin(self, claim: PossessionClaim) -> Begun:
        """See `CamaraCodes.begin`."""
        known = self._attempts.find(claim.id)
        if known is not None:
            return Begun(opaque=known)
        message = self._messages.in_language(claim.locale)
        attempt = (await self._link.run(self._proving.send_code(claim.number, message))).encode()
        self._attempts.keep(claim.id, attempt)
        return Begun(opaque=attempt)

    async def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        """See `CamaraCodes.check`."""
        attempt = self._attempts.of(claim)
        return _verdict(await self._link.run(self._proving.validate_code(attempt, proof.digits)))


# --- by the operator's network ----------------------------------------------------------------


@frozen(kw_only=True)
class AuthorizationRequest:
    """Where a user's device goes, over its mobile network, and the secret that stays here.

    The operator leads the device on to the messenger's address with a `code` in the query; code and
    `verifier` together are the proof.
    """

    url: str
    verifier: str = field(repr=False)


def authorization_request(
    profile: CamaraProfile, *, authorization_url: str, redirect_uri: str, state: str
) -> AuthorizationRequest:
    """Return a fresh request for a device, by the authorization code flow with PKCE (RFC 7636).

    Args:
        profile: whose scope, purpose and client it is.
        authorization_url: the operator's authorization endpoint.
        redirect_uri: the messenger's address, as registered with the operator.
        state: what the messenger knows the device again by; not the user's id, and no number.
    """
    check_url(authorization_url)
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": profile.authentication.client_id,
        "redirect_uri": redirect_uri,
        "scope": f"openid {profile.scope(Service.VERIFICATION)}",
        "prompt": "none",
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    return AuthorizationRequest(url=f"{authorization_url}?{urlencode(asked)}", verifier=verifier)


class CamaraVerification:
    """Possession is proven by the network that the user's device is in, or by its SIM.

    A proof is an `AuthorizationCode` or an `OperatorToken`; nothing is sent to the number.

    Args:
        link: the link to the operator; its profile names number-verification.

    Raises:
        InvalidValue: an operator that does not offer the API.
    """

    features = PossessionFeatures(prompt=True, silent=True)

    def __init__(self, link: CamaraLink) -> None:
        link.profile.api(Service.VERIFICATION)
        self._link = link
        self._proving = Proving(link.asking)

    def __repr__(self) -> str:
        return f"CamaraVerification({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return self._link.test_double

    def begin(self, claim: PossessionClaim) -> Begun:
        """Nothing has to begin: the device goes to the operator by itself."""
        return Begun()

    def check(self, proof: NetworkProof, claim: PossessionClaim) -> Verdict:
        """Have the operator compare the number claimed with that of the device."""
        return _verdict(self._link.run(self._proving.verify(claim.number, proof)))


class AsyncCamaraVerification:
    """The same for asyncio.

    Args, Raises: as for `CamaraVerification`.
    """

    features = PossessionFeatures(prompt=True, silent=True)

    def __init__(self, link: AsyncCamaraLink) -> None:
        link.profile.api(Service.VERIFICATION)
        self._link = link
        self._proving = Proving(link.asking)

    def __repr__(self) -> str:
        return f"AsyncCamaraVerification({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return self._link.test_double

    async def begin(self, claim: PossessionClaim) -> Begun:
        """See `CamaraVerification.begin`."""
        return Begun()

    async def check(self, proof: NetworkProof, claim: PossessionClaim) -> Verdict:
        """See `CamaraVerification.check`."""
        return _verdict(await self._link.run(self._proving.verify(claim.number, proof)))


def _verdict(proven: bool) -> Verdict:
    return Verdict.PROVEN if proven is True else Verdict.FAILED
