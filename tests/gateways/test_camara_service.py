"""A messenger identifies its users over CAMARA, from the claim to the withdrawal."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from abonent import (
    AlarmKind,
    AsyncIdentifier,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Reason,
    Status,
)
from abonent.gateways.camara import (
    AsyncCamaraGateway,
    AsyncCamaraRecycling,
    CamaraGateway,
    CamaraRecycling,
    Grant,
)
from abonent.possession.camara import AsyncCamaraCodes, CamaraCodes, CamaraVerification
from abonent.simulation import Reply, SimulatedClock, SimulatedRouter
from tests.camara.agreed import Hands, agreed, async_link_to, link_to
from tests.camara.operator import CamaraOperator, Subscriber
from tests.possession.test_camara import MESSAGE, device
from tests.properties.parts import KEYS, N1, START, World, agreement

M = "operator"


class Serviced:
    """A messenger and an operator that speaks CAMARA, on one clock."""

    def __init__(self, **profile) -> None:
        self.clock = SimulatedClock(START)
        self.hands = Hands()
        self.operator = CamaraOperator(self.clock.now)
        self.link = link_to(self.operator, agreed(**profile), self.hands, clock=self.clock)
        gateway = CamaraGateway(self.link)
        self.world = World(
            operators={M: gateway},
            router=SimulatedRouter(M),
            clock=self.clock,
            possession=CamaraCodes(self.link, message=MESSAGE),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.identifier.close()

    def advance(self, by):
        self.clock.advance(by)
        self.hands.now += by

    def identify(self, user="alice"):
        self.world.identifier.claim(user, N1.e164)
        self.world.flush()
        return self.world.identifier.prove(user, self.operator.sent_code(N1.e164))


@pytest.mark.parametrize("grant", Grant)
def test_from_claim_to_withdrawal(grant):
    """The operator sends and checks the code, holds the subscriber, records, and forgets (S3)."""
    with Serviced(grant=grant) as on:
        assert Status.IDENTIFIED is on.identify().status
        on.world.flush()
        (recorded,) = on.operator.recorded.values()
        standing = on.world.identifier.standing("alice")
        assert standing.identification_code == recorded["identificationCode"]
        assert N1.e164 == recorded["phoneNumber"]
        on.world.identifier.forget("alice")
        on.advance(60)
        on.world.identifier.sweep()
        assert {} == on.operator.recorded


def test_an_operator_that_is_away_is_asked_again_and_answers_in_time():
    """Under the same id, by the engine's own schedule (S10)."""
    with Serviced() as on:
        on.world.identifier.claim("alice", N1.e164)
        on.world.flush()
        proof = on.operator.sent_code(N1.e164)
        asked = on.operator.send

        def away(request):
            if "check-tenure" in request.url and on.operator.reply is Reply.HELD and away.left:
                away.left -= 1
                on.operator.reply = Reply.UNAVAILABLE
                try:
                    return asked(request)
                finally:
                    on.operator.reply = Reply.HELD
            return asked(request)

        away.left = 4
        on.operator.send = away
        on.world.identifier.prove("alice", proof)
        for _ in range(40):
            on.advance(30)
            on.world.identifier.sweep()
        assert Status.IDENTIFIED is on.world.identifier.standing("alice").status
        ids = {each.id for each in on.operator.heard() if each.id and each.code == ""}
        assert 1 == len(ids)


def test_an_operator_that_refuses_us_is_an_alarm_and_says_nothing_of_the_user():
    """Retried, and in the end no answer, never "not held" (S11)."""
    with Serviced() as on:
        on.world.identifier.claim("alice", N1.e164)
        on.world.flush()
        proof = on.operator.sent_code(N1.e164)
        on.operator.show(Reply.HELD)
        serve = on.operator.send

        def refusing(request):
            if "check-tenure" in request.url:
                on.operator.reply = Reply.MISCONFIGURED
            try:
                return serve(request)
            finally:
                on.operator.reply = Reply.HELD

        on.operator.send = refusing
        on.world.identifier.prove("alice", proof)
        for _ in range(45):
            on.advance(30)
            on.world.identifier.sweep()
        standing = on.world.identifier.standing("alice")
        assert (Status.NOT_PASSED, Reason.NO_ANSWER) == (standing.status, standing.reason)
        assert {AlarmKind.MISCONFIGURED} == {each.kind for each in on.world.alarms}
        assert {M} == {each.adapter for each in on.world.alarms}


def test_a_number_of_nobody_is_not_held():
    """Not ours, the router knows no other, so not held (S8)."""
    with Serviced() as on:
        on.world.identifier.claim("alice", N1.e164)
        on.world.flush()
        proof = on.operator.sent_code(N1.e164)
        on.operator.subscribers[N1.e164] = None
        standing = on.world.identifier.prove("alice", proof)
        assert Reason.NOT_HELD is standing.reason


def test_a_number_that_changed_hands_is_found_behind_the_notices():
    """Nobody told us; the walk asks (P19)."""
    with Serviced() as on:
        on.identify()
        check = CamaraRecycling(on.link)
        on.advance(3 * 86_400)
        assert 0 == on.world.identifier.reconcile(M, check, after=b"").changed
        on.operator.subscribers[N1.e164] = Subscriber(recycled_at=date(2026, 6, 3))
        assert 1 == on.world.identifier.reconcile(M, check, after=b"").changed
        assert not on.world.identifier.gate("alice")


def test_a_device_proves_itself():
    """Without a code, by the operator's network."""
    clock = SimulatedClock(datetime.now(UTC))
    operator = CamaraOperator(clock.now)
    link = link_to(operator, clock=clock)
    with World(
        operators={M: CamaraGateway(link)},
        router=SimulatedRouter(M),
        clock=clock,
        possession=CamaraVerification(link),
    ) as world:
        world.identifier.claim("alice", N1.e164)
        proof, _ = device(operator, N1)
        assert Status.IDENTIFIED is world.identifier.prove("alice", proof).status


def test_the_same_awaited():
    """One event loop, everything awaited."""

    async def run():
        clock, hands = SimulatedClock(START), Hands()
        operator = CamaraOperator(clock.now)
        link = async_link_to(operator, agreed(), hands, clock=clock)
        identifier = AsyncIdentifier(
            messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
            storage=MemoryStorage(),
            keys=KEYS,
            possession=AsyncCamaraCodes(link, message=MESSAGE),
            agreements=[agreement(M)],
            gateways={M: AsyncCamaraGateway(link)},
            router=SimulatedRouter(M),
            clock=clock,
            unsafe_test_doubles=True,
        )
        async with identifier:
            await identifier.claim("alice", N1.e164)
            await identifier.sweep()
            standing = await identifier.prove("alice", operator.sent_code(N1.e164))
            clock.advance(timedelta(days=3))
            operator.subscribers[N1.e164] = Subscriber(recycled_at=date(2026, 6, 3))
            check = AsyncCamaraRecycling(link)
            found = await identifier.reconcile(M, check, after=b"")
            return standing.status, found.changed, operator.recorded

    status, changed, recorded = asyncio.run(run())
    assert (Status.IDENTIFIED, 1, 1) == (status, changed, len(recorded))
