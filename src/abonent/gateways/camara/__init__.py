"""An operator that speaks CAMARA: what is agreed with it, the link to it, and the gateway over it.

Knows which names are for those who configure one. Refuses to know how any of it works.
"""

from abonent.gateways.camara.gateway import (
    AsyncCamaraGateway,
    AsyncRecordKeeper,
    CamaraGateway,
    RecordKeeper,
)
from abonent.gateways.camara.link import AsyncCamaraLink, CamaraLink
from abonent.gateways.camara.pacing import Breaker, Rate
from abonent.gateways.camara.profile import Api, CamaraProfile, Grant, PrivateKeyJwt, Service
from abonent.gateways.camara.recycling import AsyncCamaraRecycling, CamaraRecycling
from abonent.gateways.camara.signing import SigningKey

__all__ = [
    "Api",
    "AsyncCamaraGateway",
    "AsyncCamaraLink",
    "AsyncCamaraRecycling",
    "AsyncRecordKeeper",
    "Breaker",
    "CamaraGateway",
    "CamaraLink",
    "CamaraProfile",
    "CamaraRecycling",
    "Grant",
    "PrivateKeyJwt",
    "Rate",
    "RecordKeeper",
    "Service",
    "SigningKey",
]
