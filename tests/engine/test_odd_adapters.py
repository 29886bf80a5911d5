"""Adapters that answer with something that is none of the answers there are."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from abonent import AlarmKind, Ignored, MessengerKind, Status
from abonent.core.events import LateAnswerIgnored
from abonent.errors import NoAgreement
from abonent.ports import Answer, GatewayFeatures, LateAnswer, Outcome, Query
from abonent.records import decode_entry
from abonent.simulation import SimulatedOperator, SimulatedRouter
from tests.properties.parts import N1, M, World


@frozen
class Answering:
    """An operator that answers every question with one thing, whatever it is."""

    answer: Any
    prompt: bool = True

    @property
    def features(self) -> GatewayFeatures:
        return GatewayFeatures(prompt=self.prompt)

    def ask(self, query: Query) -> Any:
        return self.answer


def opaque(value: Any) -> Answer:
    made = Answer(outcome=Outcome.LATER)
    object.__setattr__(made, "opaque", value)
    return made


def outcome(value: Any) -> Answer:
    made = Answer(outcome=Outcome.LATER)
    object.__setattr__(made, "outcome", value)
    return made


@pytest.mark.parametrize(
    "answer",
    [None, True, Outcome.HELD, opaque("text"), opaque(b"x" * 5000), outcome("held"), outcome(1)],
    ids=["None", "True", "outcome", "text", "too long", "its value", "a number"],
)
def test_an_answer_that_is_none(answer):
    """What is no answer identifies nobody; the alarm names the operator (I1)."""
    with World(operators={M: Answering(answer)}) as world:
        standing = world.identify("alice")
        world.flush()
        assert Status.AWAITING_ANSWER is standing.status
        (alarm,) = world.alarms
        assert (AlarmKind.ADAPTER_FAULT, M) == (alarm.kind, alarm.adapter)


def test_a_router_that_names_a_stranger():
    """A foreign messenger has no agreement with an operator it does not know (I5)."""
    with (
        World(router=SimulatedRouter("elsewhere")) as world,
        pytest.raises(NoAgreement, match="elsewhere"),
    ):
        world.identifier.claim("alice", N1.e164)


def test_a_domestic_messenger_asks_no_stranger():
    """A domestic messenger identifies by itself and records with nobody it does not know."""
    with World(kind=MessengerKind.DOMESTIC, router=SimulatedRouter("elsewhere")) as world:
        assert Status.IDENTIFIED is world.identify("alice").status
        world.flush()
        assert [] == world.alarms
        kept = world.kept("alice")
        assert kept is not None
        assert () == kept.debts


def test_the_operator_is_asked_whole():
    """An operator hears the number, the messenger, when it was asked and until when."""
    heard: list[Query] = []

    class Listening(SimulatedOperator):
        def ask(self, query: Query) -> Answer:
            heard.append(query)
            return super().ask(query)

    with World(operators={M: Listening(M)}) as world:
        world.identify("alice")
        world.flush()
        now = world.clock.now()
    (query,) = heard
    assert (N1, "m", now, b"") == (query.number, query.messenger, query.asked_at, query.opaque)
    assert query.due > now


def test_what_an_adapter_raised_is_named_by_its_type():
    """The alarm says of what type the stray exception was, and nothing of its text (I9)."""

    class Raising(SimulatedOperator):
        def ask(self, query: Query) -> Answer:
            raise LookupError(query.number.e164)

    with World(operators={M: Raising(M)}) as world:
        world.identify("alice")
        world.flush()
        (alarm,) = world.alarms
    assert (AlarmKind.ADAPTER_FAULT, M, "LookupError") == (alarm.kind, alarm.adapter, alarm.cause)


def test_an_answer_that_was_not_asked_for_is_dated():
    """An answer to nobody's question is journaled when it came, without the id it gave (S9)."""
    with World() as world:
        late = LateAnswer(query_id="not-ours", operator=M, outcome=Outcome.HELD)
        received = world.identifier.receive(late)
        assert (Ignored.NOT_ASKED, ()) == (received.ignored, received.users)
        ((entry,), now) = world.everything()[1], world.clock.now()
        key = world.keyring.stranger_key()
        (event,) = decode_entry(world.keyring.open_entry(key, entry.number, entry.body)).events
        assert (
            LateAnswerIgnored(
                at=now, query_id="", operator=M, outcome=Outcome.HELD, why=Ignored.NOT_ASKED
            )
            == event
        )
