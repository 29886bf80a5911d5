"""What our client does: its calls through the specifications, and its word on every reply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from abonent import Outcome, SubscriberNumber
from abonent.core.states import EffectKind
from abonent.errors import Misconfigured, Unavailable
from abonent.gateways.camara import (
    CamaraGateway,
    CamaraLink,
    CamaraRecycling,
    Grant,
)
from abonent.gateways.camara.proving import Proving
from abonent.ports import OneTimeCode, PossessionClaim, Query, Verdict
from abonent.possession.camara import CamaraCodes, CamaraVerification, OperatorToken
from abonent.simulation import Reply
from abonent.transport import Request, Response
from tests.camara.agreed import agreed
from tests.camara.operator import CamaraOperator, Subscriber
from tests.camara.specs import Checked, Specs

NUMBER = SubscriberNumber("+79161234567")
NOW = datetime.now(UTC)
MESSAGE = "{{code}} — код для входа"


def question(query_id: str = "query-1") -> Query:
    return Query(
        id=query_id,
        messenger="messenger",
        number=NUMBER,
        asked_at=NOW,
        due=NOW + timedelta(minutes=20),
    )


def claim(issue: str, opaque: bytes = b"") -> PossessionClaim:
    code = OneTimeCode("000000")
    return PossessionClaim(id=issue, number=NUMBER, code=code, locale="ru", opaque=opaque)


def word(call: Callable[..., Any], *given: Any) -> object:
    """What a call returns, or the kind of what it raises."""
    try:
        return call(*given)
    except (Unavailable, Misconfigured) as error:
        return type(error)


# --- every call, through the specifications -----------------------------------------------------


def walk(specs: Specs) -> Iterator[tuple[str, Checked, object, object]]:
    """What was called, through what, what the client said, and what it should have."""
    for grant in Grant:
        for reply, expected in (
            (Reply.HELD, Outcome.HELD),
            (Reply.NOT_HELD, Outcome.NOT_HELD),
            (Reply.NOT_OURS, Outcome.NOT_OURS),
            (Reply.UNDETERMINED, Outcome.UNDETERMINED),
            (Reply.UNAVAILABLE, Unavailable),
            (Reply.MISCONFIGURED, Misconfigured),
        ):
            operator, checked, link = _link(specs, grant)
            operator.show(reply)
            said = word(lambda link=link: CamaraGateway(link).ask(question()).outcome)
            yield f"ask, {grant.name}, {reply.value}", checked, said, expected
        for changed in (True, False):
            operator, checked, link = _link(specs, grant)
            operator.subscribers[NUMBER.e164] = Subscriber(
                recycled_at=date(2025, 6, 1) if changed else None
            )
            check = CamaraRecycling(link)
            said = word(check.recycled, NUMBER, datetime(2025, 1, 1, tzinfo=UTC))
            yield f"recycled, {grant.name}, {changed}", checked, said, changed
    yield from _codes(specs)
    yield from _devices(specs)


def _link(
    specs: Specs, grant: Grant = Grant.CLIENT_CREDENTIALS
) -> tuple[CamaraOperator, Checked, CamaraLink]:
    operator = CamaraOperator()
    checked = Checked(operator, specs)
    return operator, checked, CamaraLink(agreed(grant=grant), transport=checked)


def _codes(specs: Specs) -> Iterator[tuple[str, Checked, object, object]]:
    operator, checked, link = _link(specs)
    check = CamaraCodes(link, message=MESSAGE)
    begun = claim("claim-1.1", check.begin(claim("claim-1.1")).opaque)
    for _ in range(6):
        said = word(check.check, OneTimeCode("0000"), begun)
        yield "a wrong code", checked, said, Verdict.FAILED
    begun = claim("claim-1.2", check.begin(claim("claim-1.2")).opaque)
    code = next(
        each.code for each in reversed(operator.heard()) if each.kind is EffectKind.SEND_CODE
    )
    yield "the right code", checked, word(check.check, OneTimeCode(code), begun), Verdict.PROVEN


def _devices(specs: Specs) -> Iterator[tuple[str, Checked, object, object]]:
    for number, expected in ((NUMBER.e164, Verdict.PROVEN), ("+79160000000", Verdict.FAILED)):
        operator, checked, link = _link(specs)
        token = OperatorToken(token=operator.authorize(number, "", ""))
        said = word(CamaraVerification(link).check, token, claim("claim-1.1"))
        yield f"a device, {expected.value}", checked, said, expected


# --- its word on the replies of scenarios -------------------------------------------------------


class _Scripted:
    """Gives a token to whoever wants one, and one reply to everything else."""

    test_double = True

    def __init__(self, response: Response) -> None:
        # The correlator of a scenario is not that of the client's request.
        headers = {key: each for key, each in response.headers.items() if key != "x-correlator"}
        self._response = Response(status=response.status, headers=headers, body=response.body)

    def send(self, request: Request) -> Response:
        if request.url.endswith("/token"):
            body = b'{"access_token": "t", "token_type": "Bearer", "expires_in": 60}'
            return Response(status=200, body=body)
        return self._response


def reaction(feature: str, response: Response) -> object:
    """What the client makes of a reply."""
    link = CamaraLink(agreed(), transport=_Scripted(response))
    if feature == "kyc-tenure":
        return word(lambda: CamaraGateway(link).ask(question()).outcome)
    if feature == "number-recycling":
        return word(CamaraRecycling(link).recycled, NUMBER, datetime(2025, 1, 1, tzinfo=UTC))
    if feature == "one-time-password-sms/validate-code":
        return word(lambda: link.run(Proving(link.asking).validate_code("attempt", "0000")))
    if feature == "one-time-password-sms":
        said = word(lambda: link.run(Proving(link.asking).send_code(NUMBER, MESSAGE)))
        return "sent" if isinstance(said, str) else said
    check = CamaraVerification(link)
    return word(check.check, OperatorToken(token="from-a-sim"), claim("claim-1.1"))


def expected_reaction(feature: str, response: Response, code: str, said: Any) -> object:
    """What it has to make of it, by the mapping that was agreed."""
    if response.status == 429 or response.status >= 500:
        return Unavailable
    own: dict[tuple[int, str], object] = {}
    if feature == "kyc-tenure":
        own = {
            (200, ""): Outcome.HELD,
            (404, "IDENTIFIER_NOT_FOUND"): Outcome.NOT_OURS,
            (422, "SERVICE_NOT_APPLICABLE"): Outcome.UNDETERMINED,
        }
    elif feature == "number-recycling":
        own = {(404, "IDENTIFIER_NOT_FOUND"): None, (422, "SERVICE_NOT_APPLICABLE"): None}
    elif feature == "one-time-password-sms/validate-code":
        wrong = ("INVALID_OTP", "VERIFICATION_FAILED", "VERIFICATION_EXPIRED")
        own = {(400, f"ONE_TIME_PASSWORD_SMS.{each}"): False for each in wrong}
    elif feature == "one-time-password-sms":
        prefix = "ONE_TIME_PASSWORD_SMS."
        own = {
            (200, ""): "sent",
            (403, f"{prefix}MAX_OTP_CODES_EXCEEDED"): Unavailable,
            (403, f"{prefix}PHONE_NUMBER_NOT_ALLOWED"): Unavailable,
            (403, f"{prefix}PHONE_NUMBER_BLOCKED"): Unavailable,
        }
    else:
        true = isinstance(said, dict) and said.get("devicePhoneNumberVerified") is True
        by_network = "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"
        own = {
            (200, ""): Verdict.PROVEN if true else Verdict.FAILED,
            (403, by_network): Verdict.FAILED,
        }
    return own.get((response.status, code), Misconfigured)
