"""What every `OperatorGateway` must do, and every asynchronous one.

Knows what an operator may answer and how a link to one may fail. Refuses to know a protocol.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

import attrs
import pytest

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import EffectKind
from abonent.errors import Unavailable
from abonent.ports import Answer, GatewayFeatures, Query, RecordEntry, WithdrawEntry
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import (
    FAULTS,
    AdapterContract,
    Awaited,
    Work,
    error_of,
    heard,
    shown,
)
from abonent.testing.contracts.contract import to_provide
from abonent.testing.contracts.stage import Calls, Heard, Stage

_CODE: Final = "kD3vXo9rQ1-mYw_7ZtB2Ng"
_ASKED_AT: Final = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
_LONGEST_OPAQUE: Final = 4096
_MOST_AT_ONCE: Final = 16
_LEAST: Final = {Reply.HELD, Reply.NOT_HELD, Reply.UNAVAILABLE}


class OperatorGatewayContract(AdapterContract, shared_tests=True):
    """The library asks, records and withdraws, from several threads, and again under the same id.

    Give it a fixture `stage`: the gateway, and the handle to the operator it is linked to.
    """

    secrets: ClassVar[tuple[str, ...]] = (_CODE,)
    stage = to_provide(
        "Stage",
        "your gateway, and what moves the operator at its other end",
        """
        @pytest.fixture
        def stage(self, server):
            return Stage(
                adapter=MyGateway(server.url), tell=server.show, heard=server.heard
            )
        """,
    )

    @pytest.fixture
    def query(self) -> Query:
        """A question."""
        return self.question("query-1", self.number)

    def question(self, query_id: str, number: SubscriberNumber) -> Query:
        """Return a question under this id."""
        return Query(
            id=query_id,
            messenger="messenger",
            number=number,
            asked_at=_ASKED_AT,
            due=_ASKED_AT + timedelta(minutes=20),
        )

    @pytest.fixture
    def entry(self) -> RecordEntry:
        """A record."""
        return RecordEntry(
            id=f"{_CODE}.record", messenger="messenger", number=self.number, code=_CODE
        )

    @pytest.fixture
    def removal(self) -> WithdrawEntry:
        """The withdrawal of that record."""
        return WithdrawEntry(id=f"{_CODE}.withdraw", messenger="messenger", code=_CODE)

    @pytest.fixture(params=["ask", "record", "withdraw"])
    def work(
        self,
        request: pytest.FixtureRequest,
        stage: Stage[Any],
        query: Query,
        entry: RecordEntry,
        removal: WithdrawEntry,
    ) -> Work:
        """Each call of the port."""
        call = getattr(stage.adapter, request.param)
        arguments: Any = {"ask": query, "record": entry, "withdraw": removal}[request.param]
        return lambda name: (call, attrs.evolve(arguments, id=name))

    # --- what it is -------------------------------------------------------------------

    def test_the_stage_shows_enough(self, stage: Stage[Any]) -> None:
        """The other side can be told at least to hold, not to hold and to be unavailable."""
        assert set() == _LEAST - stage.shows

    def test_its_features_are_data(self, stage: Stage[Any]) -> None:
        """Features can be read at any time, stay the same, and name 1 to 1,000 places."""
        features = stage.adapter.features
        assert isinstance(features, GatewayFeatures)
        assert features == stage.adapter.features
        assert 1 <= features.concurrency <= 1000

    # --- asking -----------------------------------------------------------------------

    def _outcome(self, stage: Stage[Any], calls: Calls, query: Query, reply: Reply) -> Outcome:
        stage.tell(reply)
        answer = calls(stage.adapter.ask, query)
        assert isinstance(answer, Answer)
        return answer.outcome

    @shown(Reply.HELD)
    def test_held_is_held(self, stage: Stage[Any], calls: Calls, query: Query) -> None:
        """An operator that holds the subscriber gives HELD."""
        assert Outcome.HELD is self._outcome(stage, calls, query, Reply.HELD)

    @shown(Reply.NOT_HELD)
    def test_not_held_is_not_held(self, stage: Stage[Any], calls: Calls, query: Query) -> None:
        """An operator that holds no information gives NOT_HELD."""
        assert Outcome.NOT_HELD is self._outcome(stage, calls, query, Reply.NOT_HELD)

    @shown(Reply.NOT_OURS)
    def test_not_ours_is_not_ours(self, stage: Stage[Any], calls: Calls, query: Query) -> None:
        """A number that the operator does not serve gives NOT_OURS, never NOT_HELD (P18)."""
        assert Outcome.NOT_OURS is self._outcome(stage, calls, query, Reply.NOT_OURS)

    @shown(Reply.UNDETERMINED)
    def test_undetermined_is_undetermined(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """An operator that cannot tell gives UNDETERMINED."""
        assert Outcome.UNDETERMINED is self._outcome(stage, calls, query, Reply.UNDETERMINED)

    @shown(Reply.LATER)
    def test_later_is_later(self, stage: Stage[Any], calls: Calls, query: Query) -> None:
        """An operator that took the question and answers by itself gives LATER."""
        assert Outcome.LATER is self._outcome(stage, calls, query, Reply.LATER)

    def test_the_question_arrives_as_asked(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """The operator hears the number, and the id of the question."""
        calls(stage.adapter.ask, query)
        asked = Heard(kind=EffectKind.ASK_OPERATOR, id=query.id, number=self.number.e164)
        assert [asked] == heard(stage)

    def test_the_same_question_again_is_one_question(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """A question that comes again goes out under the same id, and has the same answer."""
        once = calls(stage.adapter.ask, query)
        again = calls(stage.adapter.ask, query)
        assert once.outcome is again.outcome
        assert [query.id] == [each.id for each in heard(stage)]

    def test_another_question_is_another_question(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """The id makes the question: about the same number, another one is asked anew."""
        calls(stage.adapter.ask, query)
        calls(stage.adapter.ask, attrs.evolve(query, id="query-2"))
        assert [query.id, "query-2"] == [each.id for each in heard(stage)]

    def test_a_question_that_failed_is_the_same_when_it_comes_again(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """After a failure the question is asked again, under its id, and has its answer."""
        stage.tell(Reply.UNAVAILABLE)
        error_of(calls, Unavailable, stage.adapter.ask, query)
        assert Outcome.HELD is self._outcome(stage, calls, query, Reply.HELD)
        assert [query.id] == [each.id for each in heard(stage)]

    def test_as_many_at_once_as_it_says(self, stage: Stage[Any], calls: Calls) -> None:
        """As many questions as `concurrency` says are asked at once; each arrives, and is answered.

        Of more than sixteen, sixteen are tried.
        """
        places = min(stage.adapter.features.concurrency, _MOST_AT_ONCE)
        queries = [self.question(f"query-{each}", self.number) for each in range(places)]
        begun = [calls.begin(stage.adapter.ask, each) for each in queries]
        assert {Outcome.HELD} == {calls.result(each).outcome for each in begun}
        assert sorted(each.id for each in queries) == sorted(each.id for each in heard(stage))

    # --- what is handed back ----------------------------------------------------------

    def test_what_it_hands_back_is_few_bytes(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """`opaque` is bytes, not a view or an alias of some, and at most 4 KiB."""
        for reply in stage.shows - {*FAULTS}:
            stage.tell(reply)
            answer = calls(stage.adapter.ask, attrs.evolve(query, id=f"query-{reply.value}"))
            assert bytes is type(answer.opaque)
            assert len(answer.opaque) <= _LONGEST_OPAQUE

    @shown(Reply.LATER)
    def test_what_it_handed_back_is_taken_again(
        self, stage: Stage[Any], calls: Calls, query: Query
    ) -> None:
        """The same question with what was handed back is the same question."""
        stage.tell(Reply.LATER)
        first = calls(stage.adapter.ask, query)
        again = calls(stage.adapter.ask, attrs.evolve(query, opaque=first.opaque))
        assert isinstance(again, Answer)
        assert [query.id] == [each.id for each in heard(stage)]

    # --- recording and withdrawing ----------------------------------------------------

    def test_a_record_arrives_as_given(
        self, stage: Stage[Any], calls: Calls, entry: RecordEntry
    ) -> None:
        """The operator hears number, code and id; returning None means acknowledged."""
        recorded = Heard(
            kind=EffectKind.RECORD, id=entry.id, number=self.number.e164, code=entry.code
        )
        assert calls(stage.adapter.record, entry) is None
        assert [recorded] == heard(stage)

    def test_a_withdrawal_arrives_as_given(
        self,
        stage: Stage[Any],
        calls: Calls,
        entry: RecordEntry,
        removal: WithdrawEntry,
    ) -> None:
        """The operator hears code and id, and no number: the code names the record."""
        calls(stage.adapter.record, entry)
        assert calls(stage.adapter.withdraw, removal) is None
        withdrawn = Heard(kind=EffectKind.WITHDRAW, id=removal.id, code=removal.code)
        assert withdrawn == heard(stage)[-1]

    def test_withdrawing_what_is_not_there_succeeds(
        self, stage: Stage[Any], calls: Calls, removal: WithdrawEntry
    ) -> None:
        """A record that is not there counts as removed, also the second time."""
        assert calls(stage.adapter.withdraw, removal) is None
        assert calls(stage.adapter.withdraw, removal) is None

    def test_the_same_record_again_is_one_record(
        self, stage: Stage[Any], calls: Calls, entry: RecordEntry
    ) -> None:
        """A record that comes again goes out under the same id, and is acknowledged again."""
        assert calls(stage.adapter.record, entry) is None
        assert calls(stage.adapter.record, entry) is None
        assert [entry.id] == [each.id for each in heard(stage)]


class AsyncOperatorGatewayContract(Awaited, OperatorGatewayContract, shared_tests=True):
    """The same behaviours, awaited, in one event loop. Give it the same fixture `stage`."""
