"""What every `PossessionCheck` must do, and every asynchronous one.

Knows that only who holds the number can prove it. Refuses to know by what action.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import attrs
import pytest

from abonent.core.states import EffectKind
from abonent.errors import Unavailable
from abonent.ports import Begun, OneTimeCode, PossessionClaim, PossessionFeatures, Verdict
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import (
    AdapterContract,
    Awaited,
    Work,
    error_of,
    heard,
    shown,
)
from abonent.testing.contracts.contract import to_provide
from abonent.testing.contracts.stage import Calls, Stage

_CODE: Final = "493817"
_LONGEST_OPAQUE: Final = 4096


class PossessionCheckContract(AdapterContract, shared_tests=True):
    """The library begins a check, again after a failure, and has each proof judged once.

    Give it a fixture `stage`: the check, and the handle to the user's phone: what `heard` says of
    the kind SEND_CODE is what the user could type.
    """

    secrets: ClassVar[tuple[str, ...]] = (_CODE,)
    stage = to_provide(
        "Stage",
        "your check, and what moves the other side of it",
        """
        @pytest.fixture
        def stage(self, server):
            return Stage(adapter=MyCheck(server.url), tell=server.show, heard=server.heard)
        """,
    )

    @pytest.fixture
    def claim(self) -> PossessionClaim:
        """A claim that waits for its proof."""
        code = OneTimeCode(_CODE)
        return PossessionClaim(id="claim-1.1", number=self.number, code=code, locale="ru")

    @pytest.fixture
    def begun(self, stage: Stage[Any], calls: Calls, claim: PossessionClaim) -> PossessionClaim:
        """The claim after its check began, as the library hands it back."""
        return attrs.evolve(claim, opaque=calls(stage.adapter.begin, claim).opaque)

    @pytest.fixture(params=["begin", "check"])
    def work(
        self, request: pytest.FixtureRequest, stage: Stage[Any], claim: PossessionClaim
    ) -> Work:
        """Each call of the port that goes out."""
        if request.param == "begin":
            return lambda name: (stage.adapter.begin, attrs.evolve(claim, id=name))
        if stage.adapter.features.local:
            # Its `check` goes nowhere, so that nothing out there can fail.
            pytest.skip("the adapter says that it judges by itself")
        begun: PossessionClaim = request.getfixturevalue("begun")
        proof = _typed(stage)
        return lambda name: (stage.adapter.check, proof, begun)

    def test_its_features_are_data(self, stage: Stage[Any]) -> None:
        """Features can be read at any time and stay the same."""
        assert isinstance(stage.adapter.features, PossessionFeatures)
        assert stage.adapter.features == stage.adapter.features

    def test_the_user_gets_something_to_prove_with(
        self, stage: Stage[Any], calls: Calls, claim: PossessionClaim
    ) -> None:
        """Beginning reaches the number, once, also when it comes again under its id (P14)."""
        assert isinstance(calls(stage.adapter.begin, claim), Begun)
        assert isinstance(calls(stage.adapter.begin, claim), Begun)
        assert [(EffectKind.SEND_CODE, self.number.e164)] == [
            (each.kind, each.number) for each in heard(stage)
        ]

    def test_what_it_hands_back_is_few_bytes(self, begun: PossessionClaim) -> None:
        """`opaque` is bytes, not a view or an alias of some, and at most 4 KiB."""
        assert bytes is type(begun.opaque)
        assert len(begun.opaque) <= _LONGEST_OPAQUE

    def test_who_has_the_code_has_the_number(
        self, stage: Stage[Any], calls: Calls, begun: PossessionClaim
    ) -> None:
        """The code that the user got is PROVEN, with what was handed back."""
        assert Verdict.PROVEN is calls(stage.adapter.check, _typed(stage), begun)

    def test_any_other_code_fails(
        self, stage: Stage[Any], calls: Calls, begun: PossessionClaim
    ) -> None:
        """Any other code is FAILED: shorter, longer, or one digit beside it."""
        right = _typed(stage).digits
        beside = right[:-1] + str((int(right[-1]) + 1) % 10)
        for wrong in (beside, right[:-1], right + "0", "0" + right):
            assert Verdict.FAILED is calls(stage.adapter.check, OneTimeCode(wrong), begun)

    def test_a_code_of_another_issue_fails(
        self, stage: Stage[Any], calls: Calls, begun: PossessionClaim
    ) -> None:
        """A code proves the issue for which it was sent, and no other (P3)."""
        first = _typed(stage)
        other = attrs.evolve(begun, id="claim-2.1", code=OneTimeCode("274056"), opaque=b"")
        other = attrs.evolve(other, opaque=calls(stage.adapter.begin, other).opaque)
        assert Verdict.FAILED is calls(stage.adapter.check, first, other)

    @shown(Reply.UNAVAILABLE)
    def test_a_check_that_failed_to_begin_begins_when_it_comes_again(
        self, stage: Stage[Any], calls: Calls, claim: PossessionClaim
    ) -> None:
        """After a failure the same claim reaches the user, once."""
        stage.tell(Reply.UNAVAILABLE)
        error_of(calls, Unavailable, stage.adapter.begin, claim)
        stage.tell(Reply.HELD)
        calls(stage.adapter.begin, claim)
        (arrived,) = heard(stage)
        assert arrived.kind is EffectKind.SEND_CODE


def _typed(stage: Stage[Any]) -> OneTimeCode:
    """What the user can type."""
    return OneTimeCode(heard(stage)[-1].code)


class AsyncPossessionCheckContract(Awaited, PossessionCheckContract, shared_tests=True):
    """The same behaviours, awaited, in one event loop. Give it the same fixture `stage`."""
