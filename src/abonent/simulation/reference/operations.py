"""What can be called at a reference operator: names, addresses, bodies and refusals, as tables.

Knows each operation once: the server routes by these tables and the published description is drawn
from them. Refuses to know what an operation does.
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
_CODES: Final = "one-time-password-sms:send-validate"
_RECORDS: Final = "abonent-records:write"

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
RECYCLING: Final = Operation(
    id="checkNumberRecycling",
    service=Service.RECYCLING,
    version="v0.2",
    path="check",
    scope="number-recycling:check",
    body=shapes.Recycling,
    reply=shapes.RecyclingInfo,
    refusals=_BY_NUMBER,
    summary="Whether a number has changed hands since a day (number-recycling 0.2.0)",
)
SEND_CODE: Final = Operation(
    id="sendCode",
    service=Service.CODES,
    version="v1",
    path="send-code",
    scope=_CODES,
    body=shapes.SendCode,
    reply=shapes.SentCode,
    refusals=(
        Refusal.TOO_MANY_CODES,
        Refusal.NO_MESSAGE,
        Refusal.BLOCKED,
        Refusal.NOT_HERE,
    ),
    summary="Send a code to a number; here a tester reads it (one-time-password-sms 1.1.1)",
)
VALIDATE_CODE: Final = Operation(
    id="validateCode",
    service=Service.CODES,
    version="v1",
    path="validate-code",
    scope=_CODES,
    body=shapes.ValidateCode,
    reply=None,
    refusals=(Refusal.CODE_WRONG, Refusal.CODE_EXPIRED, Refusal.CODE_SPENT, Refusal.NOT_HERE),
    summary="Compare a code with the one that was sent (one-time-password-sms 1.1.1)",
)
VERIFY: Final = Operation(
    id="phoneNumberVerify",
    service=Service.VERIFICATION,
    version="v2",
    path="verify",
    scope="number-verification:verify",
    body=shapes.Verification,
    reply=shapes.VerificationMatch,
    refusals=(Refusal.NOT_BY_NETWORK,),
    summary="Whether a number is that of the token's device (number-verification 2.1.0)",
)
RECORD: Final = Operation(
    id="recordCode",
    service=Service.RECORDS,
    version="v1",
    path="record",
    scope=_RECORDS,
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
    scope=_RECORDS,
    body=shapes.Withdrawal,
    reply=None,
    refusals=(Refusal.OTHER_MESSENGER,),
    summary="Remove a record (not of CAMARA)",
)

OPERATIONS: Final = (TENURE, RECYCLING, SEND_CODE, VALIDATE_CODE, VERIFY, RECORD, WITHDRAW)
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
    Refusal.TIMEOUT,
)
"""What every operation may reply besides its own refusals."""


@frozen(kw_only=True)
class Control:
    """A control endpoint: without a token, from this machine only.

    `body` is what has to be sent; None for a GET.
    """

    id: str
    path: str
    body: type[shapes.Body] | None
    reply: type[shapes.Body] | None
    summary: str
    method: str = "POST"

    @property
    def address(self) -> str:
        """Where it is, under the root of the operator's APIs."""
        return f"/_control/{self.path}"


MOVE: Final = Control(
    id="move",
    path="movements",
    body=shapes.Moved,
    reply=shapes.MovedReply,
    summary="End a subscription. Repeat it with its id until it is replied to; twice is harmless",
)
CHANGE: Final = Control(
    id="changeSubscriber",
    path="subscribers",
    body=shapes.SubscriberChange,
    reply=None,
    summary="Change what is known of a number, without telling the desk",
)
READ_CODES: Final = Control(
    id="readCodes",
    path="codes",
    body=shapes.OfNumber,
    reply=shapes.PhoneCodes,
    summary="Read the codes that a phone would show",
)
AUTHORIZE: Final = Control(
    id="authorizeDevice",
    path="authorization-codes",
    body=shapes.Authorizing,
    reply=shapes.AuthorizationReply,
    summary="Let a device in the operator's network have an authorization code",
)
GIVE_TOKEN: Final = Control(
    id="giveOperatorToken",
    path="operator-tokens",
    body=shapes.OfNumber,
    reply=shapes.OperatorTokenReply,
    summary="Let a device have a token from its SIM (GSMA TS.43)",
)
SET_FAULTS: Final = Control(
    id="setFaults",
    path="faults",
    method="PUT",
    body=shapes.FaultList,
    reply=None,
    summary="Ask for these faults in place of all others",
)
GET_FAULTS: Final = Control(
    id="getFaults",
    path="faults",
    method="GET",
    body=None,
    reply=shapes.FaultList,
    summary="Which faults may still happen",
)
GET_OWED: Final = Control(
    id="getOwedNotices",
    path="owed-notices",
    method="GET",
    body=None,
    reply=shapes.OwedList,
    summary="Which notices no messenger has acknowledged yet",
)
GET_FIGURES: Final = Control(
    id="getFigures",
    path="figures",
    method="GET",
    body=None,
    reply=shapes.Figures,
    summary="How often what happened",
)
REPLAY: Final = Control(
    id="replay",
    path="replay",
    method="GET",
    body=None,
    reply=shapes.ReplayReply,
    summary="Replay the journal of the desk and compare it with every stored row",
)
CONTROLS: Final = (
    MOVE,
    CHANGE,
    READ_CODES,
    AUTHORIZE,
    GIVE_TOKEN,
    SET_FAULTS,
    GET_FAULTS,
    GET_OWED,
    GET_FIGURES,
    REPLAY,
)
