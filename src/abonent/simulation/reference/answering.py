"""What each operation does: a token and a body in, a reply out.

Knows which of the desk's answers is which reply. Refuses to know HTTP beyond status and body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, Final, TypeAlias

from msgspec import UnsetType

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.rules import MOSCOW
from abonent.errors import IdReused
from abonent.ports import Query, RecordEntry, WithdrawEntry
from abonent.sealing import new_id
from abonent.simulation.reference import operations, shapes
from abonent.simulation.reference.operations import Operation
from abonent.simulation.reference.operator import ReferenceOperator
from abonent.simulation.reference.refusals import JSON, Refusal
from abonent.simulation.reference.subscribers import Subscriber, SubscriberState
from abonent.simulation.reference.tokens import Granted
from abonent.wire import HttpReply

Answers: TypeAlias = Callable[[ReferenceOperator, Granted, Any, str], Awaitable[HttpReply]]
"""Does what is asked; the last argument is the correlator of the call."""

_QUESTION: Final = re.compile(r"([A-Za-z0-9_-]{32,128})/[0-9a-f]{8}-[0-9a-f-]{27}", re.ASCII)
"""A correlator of abonent's gateway: the id of the question, and one of the call."""
_WAIT: Final = timedelta(minutes=20)
_REFUSED: Final = {
    Outcome.NOT_HELD: Refusal.NOT_HELD,
    Outcome.NOT_OURS: Refusal.NOT_OURS,
    Outcome.UNDETERMINED: Refusal.NOT_APPLICABLE,
    Outcome.LATER: Refusal.TIMEOUT,
}
DONE: Final = HttpReply(204, {}, b"")


def ok(body: shapes.Body) -> HttpReply:
    """Return the reply that holds what was asked for."""
    return HttpReply(200, {"Content-Type": JSON}, shapes.written(body))


# --- the subscriber ---------------------------------------------------------------------


async def tenure(
    operator: ReferenceOperator, token: Granted, body: shapes.Tenure, correlator: str
) -> HttpReply:
    """Answer whether information is held: by the desk, so that it is owed, kept and journaled.

    An answer that comes later goes to the messenger's inbox, under the id of its question; who asks
    again meanwhile has it at once.
    """
    number = _number(token, body.phone_number)
    _check_past(operator, body.tenure_date)
    question = _QUESTION.fullmatch(correlator)
    outcome = await _asked(operator, token, number, new_id() if question is None else question[1])
    if outcome is not Outcome.HELD:
        raise _REFUSED[outcome].error()
    found = operator.subscribers.find(number) or Subscriber(since=operator.clock.now())
    since = found.since.astimezone(MOSCOW).date()
    return ok(
        shapes.TenureInfo(tenure_date_check=since <= body.tenure_date, contract_type=found.contract)
    )


async def _asked(
    operator: ReferenceOperator, token: Granted, number: SubscriberNumber, question: str
) -> Outcome:
    now = operator.clock.now()
    query = Query(
        id=question,
        messenger=token.client.messenger,
        number=number,
        asked_at=now,
        due=now + _WAIT,
    )
    try:
        return (await operator.desk.ask(query)).outcome
    except IdReused:  # a correlator that looks like one of ours, and is not
        return await _asked(operator, token, number, new_id())


async def recycling(
    operator: ReferenceOperator, token: Granted, body: shapes.Recycling, _: str
) -> HttpReply:
    """Answer whether a number has changed hands since a day, or is nobody's now."""
    number = _number(token, body.phone_number)
    _check_past(operator, body.specified_date)
    found = operator.subscribers.find(number)
    if found is None or found.state is SubscriberState.PORTED:
        raise Refusal.NOT_OURS.error()
    if found.state is SubscriberState.UNDETERMINED:
        raise Refusal.NOT_APPLICABLE.error()
    began = found.since.astimezone(MOSCOW).date()
    changed = found.state is SubscriberState.ENDED or began > body.specified_date
    return ok(shapes.RecyclingInfo(phone_number_recycled=changed))


# --- possession -------------------------------------------------------------------------


async def send_code(
    operator: ReferenceOperator, token: Granted, body: shapes.SendCode, _: str
) -> HttpReply:
    """Send a code to a subscriber of ours."""
    number = SubscriberNumber(body.phone_number)
    found = operator.subscribers.find(number)
    if found is None or found.state is SubscriberState.PORTED:
        raise Refusal.NOT_HERE.error()
    if found.state is SubscriberState.BARRED:
        raise Refusal.BLOCKED.error()
    if found.state is not SubscriberState.ACTIVE:
        raise Refusal.NO_MESSAGE.error()
    attempt = operator.phones.send(token.client.messenger, number)
    return ok(shapes.SentCode(authentication_id=attempt))


async def validate_code(
    operator: ReferenceOperator, token: Granted, body: shapes.ValidateCode, _: str
) -> HttpReply:
    """Compare a code."""
    operator.phones.check(token.client.messenger, body.authentication_id, body.code)
    return DONE


async def verify(
    operator: ReferenceOperator, token: Granted, body: shapes.Verification, _: str
) -> HttpReply:
    """Compare the number of a device with the one that is claimed, or with its digest."""
    plain, hashed = body.phone_number, body.hashed_phone_number
    if isinstance(plain, str) == isinstance(hashed, str):
        raise Refusal.ARGUMENT.error()
    if isinstance(plain, str):
        hashed = _digest(SubscriberNumber(plain))
    if token.number is None or not token.by_network:
        raise Refusal.NOT_BY_NETWORK.error()
    same = hmac.compare_digest(str(hashed).lower().encode(), _digest(token.number).encode())
    return ok(shapes.VerificationMatch(device_phone_number_verified=same))


def _digest(number: SubscriberNumber) -> str:
    return hashlib.sha256(number.e164.encode()).hexdigest()


# --- records ----------------------------------------------------------------------------


async def record(
    operator: ReferenceOperator, token: Granted, body: shapes.Recording, _: str
) -> HttpReply:
    """Record a code."""
    _check_messenger(token, body.messenger)
    await operator.desk.record(
        RecordEntry(
            id=body.id,
            messenger=body.messenger,
            number=SubscriberNumber(body.phone_number),
            code=body.identification_code,
        )
    )
    operator.look()  # the subscription may be over by now
    return DONE


async def withdraw(
    operator: ReferenceOperator, token: Granted, body: shapes.Withdrawal, _: str
) -> HttpReply:
    """Remove a record."""
    _check_messenger(token, body.messenger)
    await operator.desk.withdraw(
        WithdrawEntry(id=body.id, messenger=body.messenger, code=body.identification_code)
    )
    return DONE


# --- what several of them need ----------------------------------------------------------


def _number(token: Granted, given: str | UnsetType) -> SubscriberNumber:
    """Return the number that a call is about: the token's or the body's, and never both."""
    if token.number is not None:
        if isinstance(given, str):
            raise Refusal.UNNECESSARY.error()
        return token.number
    if not isinstance(given, str):
        raise Refusal.MISSING.error()
    return SubscriberNumber(given)


def _check_past(operator: ReferenceOperator, day: date) -> None:
    if day > operator.clock.now().astimezone(MOSCOW).date():
        raise Refusal.RANGE.error()


def _check_messenger(token: Granted, messenger: str) -> None:
    if messenger != token.client.messenger:
        raise Refusal.OTHER_MESSENGER.error()


ANSWERED_BY: Final[dict[Operation, Answers]] = {
    operations.TENURE: tenure,
    operations.RECYCLING: recycling,
    operations.SEND_CODE: send_code,
    operations.VALIDATE_CODE: validate_code,
    operations.VERIFY: verify,
    operations.RECORD: record,
    operations.WITHDRAW: withdraw,
}
