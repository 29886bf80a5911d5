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
from abonent.simulation.reference import shapes
from abonent.simulation.reference.answering import ok
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


async def move(operator: ReferenceOperator, body: shapes.Moved) -> HttpReply:
    """End a subscription. Repeat it with its id until it is replied to: twice does nothing more."""
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
    after = changed(before, since=happened_at, state=_AFTER[body.kind])
    await operator.put(number, after)
    operator.look()
    return ok(shapes.MovedReply(id=movement.id, notices=owed))
