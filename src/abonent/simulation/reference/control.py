"""The control endpoints: what the operator's own systems do, and what a tester looks at.

Knows what may be changed and seen while a reference operator runs. A testing aid: whoever is on
this machine may use it, and nobody else (`app.py` sees to that). A number is in bodies only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from msgspec.structs import replace as changed

from abonent.core.numbers import SubscriberNumber
from abonent.core.states import NoticeKind
from abonent.operator import Movement
from abonent.sealing import new_id
from abonent.simulation.reference import operations, shapes
from abonent.simulation.reference.answering import DONE, ok
from abonent.simulation.reference.operations import Control
from abonent.simulation.reference.operator import ReferenceOperator
from abonent.simulation.reference.subscribers import Subscriber, SubscriberState
from abonent.wire import HttpReply

Acts: TypeAlias = Callable[[ReferenceOperator, Any], Awaitable[HttpReply]]
_AFTER: Final = {
    NoticeKind.TERMINATED: SubscriberState.ENDED,
    NoticeKind.NUMBER_CHANGED: SubscriberState.ENDED,
    NoticeKind.PORTED: SubscriberState.PORTED,
    NoticeKind.REASSIGNED: SubscriberState.ACTIVE,
}


# --- what changes -----------------------------------------------------------------------


async def move(operator: ReferenceOperator, body: shapes.Moved) -> HttpReply:
    """End a subscription."""
    number = SubscriberNumber(body.phone_number)
    happened_at = body.happened_at or operator.clock.now()
    movement = Movement(
        id=body.id or new_id(),
        number=number,
        kind=body.kind,
        happened_at=happened_at,
    )
    # The desk first: it believes its systems while the base is behind, and not the other way.
    owed = await operator.desk.subscription_moved(movement)
    before = operator.subscribers.find(number) or Subscriber(since=happened_at)
    await operator.put(number, changed(before, since=happened_at, state=_AFTER[body.kind]))
    operator.look()
    return ok(shapes.MovedReply(id=movement.id, notices=owed))


async def change(operator: ReferenceOperator, body: shapes.SubscriberChange) -> HttpReply:
    """Change what is known of a number: what the base then shows is for the desk to find out."""
    subscriber = Subscriber(
        since=body.since or operator.clock.now(), state=body.state, contract=body.contract_type
    )
    await operator.put(SubscriberNumber(body.phone_number), subscriber)
    return DONE


async def authorize(operator: ReferenceOperator, body: shapes.Authorizing) -> HttpReply:
    """Give a device an authorization code."""
    number = SubscriberNumber(body.phone_number)
    code = operator.network.authorize(number, body.code_challenge, body.redirect_uri)
    return ok(shapes.AuthorizationReply(code=code))


async def give_token(operator: ReferenceOperator, body: shapes.OfNumber) -> HttpReply:
    """Give a device a token from its SIM."""
    token = operator.network.give_token(SubscriberNumber(body.phone_number))
    return ok(shapes.OperatorTokenReply(operator_token=token))


async def set_faults(operator: ReferenceOperator, body: shapes.FaultList) -> HttpReply:
    """Ask for faults."""
    operator.faults.set(body.faults)
    return DONE


# --- what is looked at ------------------------------------------------------------------


async def read_codes(operator: ReferenceOperator, body: shapes.OfNumber) -> HttpReply:
    """Read a phone's codes."""
    return ok(shapes.PhoneCodes(codes=operator.phones.read(SubscriberNumber(body.phone_number))))


async def get_faults(operator: ReferenceOperator, _: None) -> HttpReply:
    """Tell which faults may still happen."""
    return ok(shapes.FaultList(faults=operator.faults.now()))


async def get_owed(operator: ReferenceOperator, _: None) -> HttpReply:
    """Tell which notices are owed."""
    owed = [
        shapes.OwedNotice(
            id=each.id,
            messenger=each.messenger,
            kind=each.kind,
            happened_at=each.happened_at,
            due=each.due,
            tries=each.tries,
        )
        for each in await operator.desk.owed_notices()
    ]
    return ok(shapes.OwedList(notices=owed))


async def get_figures(operator: ReferenceOperator, _: None) -> HttpReply:
    """Tell how often what happened."""
    return ok(
        shapes.Figures(
            requests=dict(sorted(operator.requests.items())),
            deliveries=dict(sorted(operator.carrier.deliveries.items())),
            faults=dict(sorted(operator.faults.met.items())),
            subscribers=len(operator.subscribers),
        )
    )


async def replay(operator: ReferenceOperator, _: None) -> HttpReply:
    """Replay the desk's journal."""
    report = await operator.desk.replay()
    return ok(
        shapes.ReplayReply(
            ok=report.ok, records=report.records, entries=report.entries, events=report.events
        )
    )


ACTED_BY: Final[dict[Control, Acts]] = {
    operations.MOVE: move,
    operations.CHANGE: change,
    operations.READ_CODES: read_codes,
    operations.AUTHORIZE: authorize,
    operations.GIVE_TOKEN: give_token,
    operations.SET_FAULTS: set_faults,
    operations.GET_FAULTS: get_faults,
    operations.GET_OWED: get_owed,
    operations.GET_FIGURES: get_figures,
    operations.REPLAY: replay,
}
