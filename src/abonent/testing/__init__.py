"""For the tests of applications that use abonent: an identifier with simulated surroundings.

Knows where its parts are. Refuses to import them before they are used: a plugin of pytest is
loaded in every run, also where nobody needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abonent.testing.contracts.contract import Contract
    from abonent.testing.contracts.gateways import (
        AsyncOperatorGatewayContract,
        OperatorGatewayContract,
    )
    from abonent.testing.contracts.keys import KeyProviderContract
    from abonent.testing.contracts.possession import (
        AsyncPossessionCheckContract,
        PossessionCheckContract,
    )
    from abonent.testing.contracts.routers import (
        AsyncNumberRouterContract,
        NumberRouterContract,
        Route,
    )
    from abonent.testing.contracts.senders import AsyncCodeSenderContract, CodeSenderContract
    from abonent.testing.contracts.services import KeyServiceContract
    from abonent.testing.contracts.stage import Heard, Stage
    from abonent.testing.contracts.storage import StorageContract
    from abonent.testing.machine import StorageMachine
    from abonent.testing.rehearsal import Rehearsal, identifier

__all__ = [
    "AsyncCodeSenderContract",
    "AsyncNumberRouterContract",
    "AsyncOperatorGatewayContract",
    "AsyncPossessionCheckContract",
    "CodeSenderContract",
    "Contract",
    "Heard",
    "KeyProviderContract",
    "KeyServiceContract",
    "NumberRouterContract",
    "OperatorGatewayContract",
    "PossessionCheckContract",
    "Rehearsal",
    "Route",
    "Stage",
    "StorageContract",
    "StorageMachine",
    "identifier",
]

_HOMES = {
    "AsyncCodeSenderContract": "abonent.testing.contracts.senders",
    "AsyncNumberRouterContract": "abonent.testing.contracts.routers",
    "AsyncOperatorGatewayContract": "abonent.testing.contracts.gateways",
    "AsyncPossessionCheckContract": "abonent.testing.contracts.possession",
    "CodeSenderContract": "abonent.testing.contracts.senders",
    "Contract": "abonent.testing.contracts.contract",
    "Heard": "abonent.testing.contracts.stage",
    "KeyProviderContract": "abonent.testing.contracts.keys",
    "KeyServiceContract": "abonent.testing.contracts.services",
    "NumberRouterContract": "abonent.testing.contracts.routers",
    "OperatorGatewayContract": "abonent.testing.contracts.gateways",
    "PossessionCheckContract": "abonent.testing.contracts.possession",
    "Rehearsal": "abonent.testing.rehearsal",
    "Route": "abonent.testing.contracts.routers",
    "Stage": "abonent.testing.contracts.stage",
    "StorageContract": "abonent.testing.contracts.storage",
    "StorageMachine": "abonent.testing.machine",
    "identifier": "abonent.testing.rehearsal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
