"""What can be called at a reference operator: names, addresses, bodies and refusals, as a table.

Knows each operation once: the server routes by this table and the published description is drawn
from it. Refuses to know what an operation does.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from abonent.gateways.camara import Service
from abonent.simulation.reference import shapes
from abonent.simulation.reference.refusals import Refusal


@frozen(kw_only=True)
class Operation:
    """An operation of an API: it is posted to, with a token for its scope.

    `reply` is the body of a reply 200; None for a reply 204 without one.
    """

    id: str
    service: Service
    version: str
    path: str
    scope: str
    body: type[shapes.Body]
    reply: type[shapes.Body] | None
    refusals: tuple[Refusal, ...]
    summary: str

    @property
    def address(self) -> str:
        """Where it is, under the root of the operator's APIs."""
        return f"/{self.service.value}/{self.version}/{self.path}"


_BY_NUMBER: Final = (
    Refusal.RANGE,
    Refusal.NOT_OURS,
    Refusal.NOT_APPLICABLE,
    Refusal.MISSING,
    Refusal.UNNECESSARY,
)
_WRITE: Final = "abonent-records:write"

TENURE: Final = Operation(
    id="checkTenure",
    service=Service.TENURE,
    version="v0.2",
    path="check-tenure",
    scope="kyc-tenure:check-tenure",
    body=shapes.Tenure,
    reply=shapes.TenureInfo,
    refusals=(*_BY_NUMBER, Refusal.NOT_HELD, Refusal.TIMEOUT),
    summary="Whether information about a subscriber is held, and since when (kyc-tenure 0.2.0)",
)
RECORD: Final = Operation(
    id="recordCode",
    service=Service.RECORDS,
    version="v1",
    path="record",
    scope=_WRITE,
    body=shapes.Recording,
    reply=None,
    refusals=(Refusal.OTHER_MESSENGER, Refusal.REUSED),
    summary="Record messenger and identification code beside a subscriber (not of CAMARA)",
)
WITHDRAW: Final = Operation(
    id="withdrawCode",
    service=Service.RECORDS,
    version="v1",
    path="withdraw",
    scope=_WRITE,
    body=shapes.Withdrawal,
    reply=None,
    refusals=(Refusal.OTHER_MESSENGER,),
    summary="Remove a record (not of CAMARA)",
)

OPERATIONS: Final = (TENURE, RECORD, WITHDRAW)
SCOPES: Final = frozenset(each.scope for each in OPERATIONS)
"""What a token may be asked for."""
EVERYWHERE: Final = (
    Refusal.ARGUMENT,
    Refusal.UNAUTHENTICATED,
    Refusal.DENIED,
    Refusal.METHOD,
    Refusal.TOO_LARGE,
    Refusal.MEDIA_TYPE,
    Refusal.TOO_MANY,
    Refusal.FAILED,
    Refusal.UNAVAILABLE,
)
"""What every operation may reply besides its own refusals."""
