"""How an operator finds out who holds a number: the calls, and what their replies mean.

Knows one-time-password-sms 1.1.1 and number-verification 2.1.0. Refuses to know claims: what is
proven is for the possession check to say.
"""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute, field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.gateways.camara.asking import Asking, e164_of
from abonent.gateways.camara.profile import Service
from abonent.gateways.camara.replies import IDENTIFIER_NOT_FOUND, code_of, content
from abonent.gateways.camara.steps import Flow
from abonent.ports import NetworkProof

_ATTEMPT: Final = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)
_OPAQUE: Final = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)
_WRONG: Final = frozenset(
    f"ONE_TIME_PASSWORD_SMS.{each}"
    for each in ("INVALID_OTP", "VERIFICATION_FAILED", "VERIFICATION_EXPIRED")
)
_NO_SMS: Final = frozenset(
    f"ONE_TIME_PASSWORD_SMS.{each}"
    for each in ("MAX_OTP_CODES_EXCEEDED", "PHONE_NUMBER_NOT_ALLOWED", "PHONE_NUMBER_BLOCKED")
)
_NOT_BY_NETWORK: Final = "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"


def _matches(pattern: re.Pattern[str], what: str) -> Any:
    def check(_: object, attribute: Attribute[str], value: str) -> None:
        if not pattern.fullmatch(value):
            raise InvalidValue(f"{attribute.name} is {what}")

    return check


@frozen(kw_only=True, repr=False)
class AuthorizationCode(NetworkProof):
    """What the operator gave to a device in its network, by the authorization code flow.

    `verifier` is the secret of PKCE (RFC 7636) with which the flow began, `redirect_uri` where it
    led. Each is the messenger's; the library has not seen them before.

    Raises:
        InvalidValue: not text of that kind.
    """

    code: str = field(validator=_matches(_OPAQUE, "visible ASCII characters"))
    verifier: str = field(validator=_matches(_VERIFIER, "43 to 128 characters of RFC 7636"))
    redirect_uri: str = field(validator=_matches(_OPAQUE, "visible ASCII characters"))


@frozen(kw_only=True, repr=False)
class OperatorToken(NetworkProof):
    """What a device has from its SIM (GSMA TS.43), over any network.

    Raises:
        InvalidValue: not visible ASCII text.
    """

    token: str = field(validator=_matches(_OPAQUE, "visible ASCII characters"))


class Proving:
    """The calls by which possession is proven."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def send_code(self, number: SubscriberNumber, message: str) -> Flow[str]:
        """Have a code sent in this message, and return the name of the attempt.

        Raises:
            Unavailable: among others, no message reaches this number now.
        """
        body = {"phoneNumber": e164_of(number), "message": message}
        response, correlator = yield from self._asking.call(Service.CODES, "send-code", body)
        if response.status == 200:
            attempt = content(response).get("authenticationId")
            if not isinstance(attempt, str) or not _ATTEMPT.fullmatch(attempt):
                raise Misconfigured("the reply does not name the attempt")
            return attempt
        code = code_of(response)
        fault = self._asking.fault(Service.CODES, response, correlator)
        if (response.status == 403 and code in _NO_SMS) or (
            response.status == 404 and code == IDENTIFIER_NOT_FOUND
        ):
            # It is about this number and not about us: no alarm, and no word to the user (P22).
            raise Unavailable("no message reaches this number now")
        raise fault

    def validate_code(self, attempt: str, code: str) -> Flow[bool]:
        """Tell whether a code is the one that was sent."""
        body = {"authenticationId": attempt, "code": code}
        response, correlator = yield from self._asking.call(Service.CODES, "validate-code", body)
        if response.status == 204:
            return True
        if response.status == 400 and code_of(response) in _WRONG:
            return False
        raise self._asking.fault(Service.CODES, response, correlator)

    def verify(self, number: SubscriberNumber, proof: NetworkProof) -> Flow[bool]:
        """Tell whether a device's proof is that of a number."""
        until = self._asking.until()
        tokens = self._asking.tokens
        if isinstance(proof, AuthorizationCode):
            token = yield from tokens.by_code(proof.code, proof.verifier, proof.redirect_uri, until)
        elif isinstance(proof, OperatorToken):
            scope = self._asking.profile.scope(Service.VERIFICATION)
            token = yield from tokens.by_operator_token(scope, proof.token, until)
        else:
            return False
        if token is None:
            return False
        # The one API to which the number is told beside a token of the subscriber: it compares.
        response, correlator = yield from self._asking.call_as(
            token, Service.VERIFICATION, "verify", {"phoneNumber": e164_of(number)}, until
        )
        if response.status == 200:
            said = content(response).get("devicePhoneNumberVerified")
            if not isinstance(said, bool):
                raise Misconfigured("the reply does not say what was asked")
            return said
        if response.status == 403 and code_of(response) == _NOT_BY_NETWORK:
            return False
        raise self._asking.fault(Service.VERIFICATION, response, correlator)
