"""What the messenger and the operator of these tests agreed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from abonent.gateways.camara import (
    Api,
    AsyncCamaraLink,
    CamaraLink,
    CamaraProfile,
    Grant,
    PrivateKeyJwt,
    Service,
    SigningKey,
)
from tests.camara.operator import (
    BACKCHANNEL_URL,
    CLIENT,
    PAIR,
    ROOT,
    TOKEN_URL,
    Awaited,
    CamaraOperator,
)

VERSIONS = {
    Service.TENURE: "v0.2",
    Service.RECYCLING: "v0.2",
    Service.CODES: "v1",
    Service.VERIFICATION: "v2",
    Service.RECORDS: "v1",
}


def agreed(
    root: str = ROOT,
    *,
    grant: Grant = Grant.CLIENT_CREDENTIALS,
    without: frozenset[Service] = frozenset(),
    access: dict[str, Any] | None = None,
    **changes: Any,
) -> CamaraProfile:
    named = {
        "token_url": TOKEN_URL.replace(ROOT, root),
        "client_id": CLIENT,
        "key": SigningKey(PAIR.as_pem(private=True), alg="ES256", kid="k1"),
        "backchannel_url": BACKCHANNEL_URL.replace(ROOT, root),
        "audience": None,
    }
    if root != ROOT:
        named["audience"] = TOKEN_URL  # the operator goes by the name that it has elsewhere
    apis = {
        service: Api(root=root, version=version)
        for service, version in VERSIONS.items()
        if service not in without
    }
    given = {
        "operator": "operator",
        "authentication": PrivateKeyJwt(**(named | (access or {}))),
        "purpose": "dpv:FraudPreventionAndDetection",
        "apis": apis,
        "grant": grant,
        "timeout": timedelta(seconds=5),
    }
    return CamaraProfile(**(given | changes))


class Hands:
    """A clock that runs forward, and how to sleep by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_awaited(self, seconds: float) -> None:
        self.sleep(seconds)


def link_to(
    operator: CamaraOperator,
    profile: CamaraProfile | None = None,
    hands: Hands | None = None,
    **more: Any,
) -> CamaraLink:
    if hands is not None:
        more = {"monotonic": hands, "sleep": hands.sleep} | more
    return CamaraLink(profile or agreed(), transport=operator, **more)


def async_link_to(
    operator: CamaraOperator,
    profile: CamaraProfile | None = None,
    hands: Hands | None = None,
    **more: Any,
) -> AsyncCamaraLink:
    if hands is not None:
        more = {"monotonic": hands, "sleep": hands.sleep_awaited} | more
    return AsyncCamaraLink(profile or agreed(), transport=Awaited(operator), **more)


Maker = Callable[..., Any]
