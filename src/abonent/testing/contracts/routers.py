"""What every `NumberRouter` must do, and every asynchronous one.

Knows that numbers are ported and that plans have gaps. Refuses to know where a router looks.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import pytest
from attrs import frozen

from abonent.core.numbers import SubscriberNumber
from abonent.ports import Unrouted
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import AdapterContract, Awaited, Work
from abonent.testing.contracts.contract import needs, to_provide
from abonent.testing.contracts.stage import Calls, Stage

_AT_ONCE: Final = 8


@frozen(kw_only=True)
class Route:
    """Who serves a number. `left` is the operator that its range was given to, if it was ported."""

    number: SubscriberNumber
    operator: str | Unrouted
    left: str | None = None


class NumberRouterContract(AdapterContract, shared_tests=True):
    """The library asks from several threads who serves a number, and asks again when told so.

    Give it a fixture `stage`: a router whose source says what the fixture `routes` says. Where
    you cannot choose what the source says, override `routes` too, and say what it does.
    """

    stage = to_provide(
        "Stage",
        "your router, over a source that says what `routes` says",
        """
        @pytest.fixture
        def stage(self, routes):
            return Stage(adapter=MyRouter(source_of(routes)), shows=frozenset())
        """,
    )

    @pytest.fixture
    def routes(self) -> tuple[Route, ...]:
        """A number in a range, one that was ported out of it, and two that no operator serves."""
        return (
            Route(number=self.number, operator="mts"),
            Route(number=SubscriberNumber("+79161234568"), operator="beeline", left="mts"),
            Route(number=SubscriberNumber("+79998887766"), operator=Unrouted.UNKNOWN_RANGE),
            Route(number=SubscriberNumber("+79001112233"), operator=Unrouted.UNKNOWN_OPERATOR),
        )

    @pytest.fixture
    def features(self, stage: Stage[Any], routes: tuple[Route, ...]) -> SimpleNamespace:
        """What the source can be told to show, and what the routes cover."""
        shown = {f"shown {each.value}": each in stage.shows for each in Reply}
        told = {
            f"told of an {why.value}": any(each.operator is why for each in routes)
            for why in Unrouted
        }
        return SimpleNamespace(**shown, **told)

    @pytest.fixture(params=["serving"])
    def work(self, request: pytest.FixtureRequest, stage: Stage[Any]) -> Work:
        """The one call of the port."""
        call = getattr(stage.adapter, request.param)
        return lambda name: (call, self.number)

    def test_the_routes_cover_enough(self, routes: tuple[Route, ...]) -> None:
        """The source knows at least `number`, in a range, and another that was ported away."""
        assert any(each.number == self.number for each in routes)
        assert any(each.left not in (None, each.operator) for each in routes)

    def test_a_number_is_served_by_the_operator_of_its_range(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """A number that was not ported is with the operator that its range was given to."""
        for each in routes:
            if each.left is None and isinstance(each.operator, str):
                assert each.operator == calls(stage.adapter.serving, each.number)

    def test_a_ported_number_is_served_by_the_operator_it_went_to(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """What is known of a ported number wins over its range (P18)."""
        for each in routes:
            if each.left is not None:
                assert each.operator == calls(stage.adapter.serving, each.number)

    @needs("told of an unknown_range")
    def test_a_number_in_no_range_is_unrouted(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """A number that the source has not heard of is UNKNOWN_RANGE; it is no error."""
        self._is_unrouted(stage, calls, routes, Unrouted.UNKNOWN_RANGE)

    @needs("told of an unknown_operator")
    def test_a_number_of_a_stranger_is_unrouted(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """A number of an operator that was not configured is UNKNOWN_OPERATOR."""
        self._is_unrouted(stage, calls, routes, Unrouted.UNKNOWN_OPERATOR)

    def _is_unrouted(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...], why: Unrouted
    ) -> None:
        for each in routes:
            if each.operator is why:
                assert why is calls(stage.adapter.serving, each.number)

    def test_an_operator_is_named_by_plain_text(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """An operator is named by a `str`, nothing that derives from it; otherwise `Unrouted`."""
        for each in routes:
            assert type(calls(stage.adapter.serving, each.number)) in (str, Unrouted)

    def test_the_same_number_gets_the_same_answer(
        self, stage: Stage[Any], calls: Calls, routes: tuple[Route, ...]
    ) -> None:
        """Asked from several threads at once, a number is served by one operator."""
        for each in routes:
            begun = [calls.begin(stage.adapter.serving, each.number) for _ in range(_AT_ONCE)]
            assert len({calls.result(one) for one in begun}) == 1


class AsyncNumberRouterContract(Awaited, NumberRouterContract, shared_tests=True):
    """The same behaviours, awaited, in one event loop. Give it the same fixtures."""
