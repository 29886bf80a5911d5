"""What is agreed with one operator: where its APIs are, who we are to it, and how fast we may ask.

Knows the shape of that agreement, by the CAMARA security profile r4.2 (0.5.0) and the APIs named
in `Service`. Refuses to know what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, frozen

from abonent.core.parties import check_id
from abonent.errors import InvalidValue
from abonent.gateways.camara.pacing import Breaker, Rate
from abonent.gateways.camara.signing import SigningKey
from abonent.transport import check_url

_VERSION: Final = re.compile(r"v[0-9a-z.]{1,31}", re.ASCII)
_PURPOSE: Final = re.compile(r"dpv:[A-Za-z]{1,64}", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)
_CLIENT: Final = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)
_NO_ASSERTION: Final = timedelta(seconds=1) - timedelta.resolution
LONGEST_ASSERTION: Final = timedelta(seconds=300)
"""CAMARA security profile, client authentication."""


class Service(Enum):
    """An API. The values are its name in addresses."""

    TENURE = "kyc-tenure"
    """Is information about the subscriber held? (0.2.0)"""
    RECYCLING = "number-recycling"
    """Has the number changed hands since a date? (0.2.0)"""
    CODES = "one-time-password-sms"
    """Possession by a code that the operator makes and checks. (1.1.1)"""
    VERIFICATION = "number-verification"
    """Possession without a code. (2.1.0)"""
    RECORDS = "abonent-records"
    """Recording identification codes: an extension of this project, not an API of CAMARA."""


_SCOPES: Final = {
    Service.TENURE: "kyc-tenure:check-tenure",
    Service.RECYCLING: "number-recycling:check",
    Service.CODES: "one-time-password-sms:send-validate",
    Service.VERIFICATION: "number-verification:verify",
    Service.RECORDS: "abonent-records:write",
}


class Grant(Enum):
    """How a token is had for asking about a number. The values are the grant types of OAuth."""

    CLIENT_CREDENTIALS = "client_credentials"
    """Two-legged: the token names nobody, and each request the number."""
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    """Three-legged: a token for each number, and no number in requests."""
    CIBA = "urn:openid:params:grant-type:ciba"
    """The same, where the operator may have to ask its subscriber first; it is polled."""


def _is_root(_: object, attribute: Attribute[Any], value: str) -> None:
    check_url(value)
    if value.endswith("/"):
        raise InvalidValue("the root of an API has no slash at its end")


def _is_url(_: object, attribute: Attribute[Any], value: str | None) -> None:
    if value is not None:
        check_url(value)


def _matches(pattern: re.Pattern[str], what: str) -> Any:
    def check(_: object, attribute: Attribute[Any], value: str | None) -> None:
        if value is not None and not pattern.fullmatch(value):
            raise InvalidValue(f"{attribute.name} is {what}")

    return check


@frozen(kw_only=True)
class Api:
    """Where one API of an operator is: `{root}/{name}/{version}`, as its OpenAPI file says.

    `root` is what the files call apiRoot, without a slash at its end. `version` is part of the
    address, for example `v0.2`. `scope` is what a token for it is asked with, None for the one that
    the file gives.

    Raises:
        InvalidValue: not such an address, version or scope.
    """

    root: str = field(validator=_is_root)
    version: str = field(validator=_matches(_VERSION, "part of an address, such as v0.2"))
    scope: str | None = field(
        default=None, validator=_matches(_SCOPE, "one scope of OAuth, without spaces")
    )


def _within(least: Any, most: Any) -> Any:
    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if not least < value <= most:
            raise InvalidValue(f"{attribute.name} is more than {least}, and at most {most}")

    return check


@frozen(kw_only=True)
class PrivateKeyJwt:
    """How we say who we are: by an assertion that we sign (`private_key_jwt`).

    `lifetime` is how long an assertion counts, at most 300 seconds. `audience` is whom it names,
    None for the address that it is sent to, as CAMARA recommends.

    Raises:
        InvalidValue: an address, id or lifetime that cannot be.
    """

    token_url: str = field(validator=_is_url)
    client_id: str = field(validator=_matches(_CLIENT, "1 to 256 visible ASCII characters"))
    key: SigningKey
    lifetime: timedelta = field(
        default=timedelta(seconds=120), validator=_within(_NO_ASSERTION, LONGEST_ASSERTION)
    )
    audience: str | None = field(
        default=None, validator=_matches(_CLIENT, "1 to 256 visible ASCII characters")
    )
    backchannel_url: str | None = field(default=None, validator=_is_url)
    """Where a subscriber is asked, for `Grant.CIBA`."""


def _usual_rate() -> Rate:
    return Rate(calls=20)


def _read_only(apis: Mapping[Service, Api]) -> Mapping[Service, Api]:
    return MappingProxyType(dict(apis))


@frozen(kw_only=True)
class CamaraProfile:
    """What is agreed with one operator.

    Raises:
        InvalidValue: parts that do not fit together.
    """

    operator: str = field(validator=check_id)
    """Its id, by which it is known to the identifier."""
    authentication: PrivateKeyJwt
    purpose: str = field(validator=_matches(_PURPOSE, "a DPV purpose, such as dpv:FraudPrevention"))
    """For what personal data is processed: `dpv:` and a term of the W3C's vocabulary. Exactly one
    goes into every request for a token (CAMARA security profile, purpose as a scope)."""
    apis: Mapping[Service, Api] = field(converter=_read_only)
    """The APIs that the operator offers us."""
    grant: Grant = Grant.CLIENT_CREDENTIALS
    """How tenure and recycling are asked about a number."""
    timeout: timedelta = field(
        default=timedelta(seconds=10), validator=_within(timedelta(0), timedelta(seconds=25))
    )
    """How long one call may take, with all that it needs: up to 25 s, less than a lease."""
    concurrency: int = field(default=8, validator=_within(0, 1000))
    """How many calls the operator takes at once."""
    rate: Rate = field(factory=_usual_rate)
    """How many requests it takes in a time. By default 20 a second."""
    breaker: Breaker = field(factory=Breaker)
    """When a link that is down is left alone for a while."""

    def __attrs_post_init__(self) -> None:
        if self.grant is Grant.CIBA and self.authentication.backchannel_url is None:
            raise InvalidValue("CIBA needs the address at which a subscriber is asked")

    def url(self, service: Service, path: str) -> str:
        """Return the address of an operation."""
        api = self.api(service)
        return f"{api.root}/{service.value}/{api.version}/{path}"

    def scope(self, service: Service) -> str:
        """Return what a token for an API is asked with: the purpose, and its scope."""
        return f"{self.purpose} {self.api(service).scope or _SCOPES[service]}"

    def api(self, service: Service) -> Api:
        """Return where an API is.

        Raises:
            InvalidValue: the operator does not offer it.
        """
        api = self.apis.get(service)
        if api is None:
            raise InvalidValue(f"the profile of {self.operator} has no {service.value}")
        return api
