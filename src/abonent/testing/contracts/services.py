"""What every `KeyService` must do.

Knows that what is wrapped opens again, under its own id and unchanged, and tells nothing. Refuses
to know whose service it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, Final

import pytest

from abonent.errors import Misconfigured
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import AdapterContract, Work, error_of
from abonent.testing.contracts.contract import needs, to_provide
from abonent.testing.contracts.keys import written_forms
from abonent.testing.contracts.stage import Calls, Stage

_SECRET: Final = bytes(range(32))
_OTHER: Final = bytes(range(100, 132))
_LONGEST: Final = 16_384


class KeyServiceContract(AdapterContract, shared_tests=True):
    """The library asks once for each key when it is started, and when a key is added.

    Give it a fixture `stage`: the adapter, and the handle to the service at its other end. Where
    that can be told to turn its own key, override `turn`.
    """

    secrets: ClassVar[tuple[str, ...]] = tuple(written_forms(_SECRET))
    stage = to_provide(
        "Stage",
        "your adapter, and what moves the service at its other end",
        """
        @pytest.fixture
        def stage(self, service):
            return Stage(adapter=MyService(service.url), tell=service.show)
        """,
    )

    @pytest.fixture
    def turn(self) -> Callable[[], object] | None:
        """Has the service wrap under a new version of its own key from now on."""
        return None

    @pytest.fixture
    def features(self, stage: Stage[Any], turn: Callable[[], object] | None) -> SimpleNamespace:
        """What the service can be told to show, and whether it can be told to turn its key."""
        told = {f"shown {each.value}": each in stage.shows for each in Reply}
        return SimpleNamespace(**told, **{"told to turn its key": turn is not None})

    @pytest.fixture(params=["wrap", "unwrap"])
    def work(self, request: pytest.FixtureRequest, stage: Stage[Any], calls: Calls) -> Work:
        """Each call that goes over the link; `wrapped_by` may need none."""
        call = getattr(stage.adapter, request.param)
        if request.param == "wrap":
            return lambda _: (call, "k1", _SECRET)
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        return lambda _: (call, "k1", wrapped)

    # --- what is wrapped ----------------------------------------------------------------

    def test_what_is_wrapped_unwraps(self, stage: Stage[Any], calls: Calls) -> None:
        """What a key is wrapped into unwraps to the same 32 bytes, as often as it is asked."""
        for secret in (_SECRET, _OTHER, bytes(32), b"\xff" * 32):
            wrapped = calls(stage.adapter.wrap, "k1", secret)
            assert type(wrapped) is bytes, "wrap returns bytes"
            assert 0 < len(wrapped) <= _LONGEST
            assert secret == calls(stage.adapter.unwrap, "k1", wrapped)
            assert secret == calls(stage.adapter.unwrap, "k1", wrapped)

    def test_what_was_wrapped_before_still_unwraps(self, stage: Stage[Any], calls: Calls) -> None:
        """Wrapping another key, or the same one again, does not spoil what was wrapped before."""
        first = calls(stage.adapter.wrap, "k1", _SECRET)
        calls(stage.adapter.wrap, "k1", _SECRET)
        other = calls(stage.adapter.wrap, "k2", _OTHER)
        assert calls(stage.adapter.unwrap, "k1", first) == _SECRET
        assert calls(stage.adapter.unwrap, "k2", other) == _OTHER

    def test_a_wrapped_key_tells_nothing(self, stage: Stage[Any], calls: Calls) -> None:
        """What is stored holds no key in clear: not as it is, in hexadecimal, or in base 64."""
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        assert _SECRET not in wrapped
        text = wrapped.decode("latin-1")
        assert not any(each in text for each in written_forms(_SECRET))

    def test_a_wrapped_key_is_bound_to_its_id(self, stage: Stage[Any], calls: Calls) -> None:
        """Under another id it does not unwrap: who can write the file cannot swap two keys."""
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        error_of(calls, Misconfigured, stage.adapter.unwrap, "k2", wrapped)

    def test_what_was_changed_does_not_unwrap(self, stage: Stage[Any], calls: Calls) -> None:
        """What is damaged, cut or made up is Misconfigured, and gives no key."""
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        middle = len(wrapped) // 2
        for changed in (
            _flipped(wrapped, middle),
            _flipped(wrapped, 3 * len(wrapped) // 4),
            wrapped[:middle],
            wrapped + wrapped,
            b"\0" * len(wrapped),
            b"",
        ):
            error_of(calls, Misconfigured, stage.adapter.unwrap, "k1", changed)

    # --- under what it is wrapped -------------------------------------------------------

    def test_the_service_s_key_is_named(self, stage: Stage[Any], calls: Calls) -> None:
        """`wrapped_by` gives 1 to 200 printable characters, the same each time, and no secret."""
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        name = calls(stage.adapter.wrapped_by, "k1", wrapped)
        assert isinstance(name, str)
        assert 0 < len(name) <= 200
        assert name.isprintable()
        assert name == calls(stage.adapter.wrapped_by, "k1", wrapped)
        assert not any(each in name for each in written_forms(_SECRET))

    @needs("told to turn its key")
    def test_a_service_that_turns_its_key_unwraps_what_it_wrapped(
        self, stage: Stage[Any], calls: Calls, turn: Callable[[], object]
    ) -> None:
        """After the service's own key turned, older ones unwrap, and are told from newer ones."""
        old = calls(stage.adapter.wrap, "k1", _SECRET)
        before = calls(stage.adapter.wrapped_by, "k1", old)
        turn()
        new = calls(stage.adapter.wrap, "k1", _SECRET)
        assert calls(stage.adapter.unwrap, "k1", old) == _SECRET
        assert calls(stage.adapter.unwrap, "k1", new) == _SECRET
        assert before == calls(stage.adapter.wrapped_by, "k1", old)
        assert before != calls(stage.adapter.wrapped_by, "k1", new)

    # --- what nobody may see ------------------------------------------------------------

    def test_nothing_shows_a_wrapped_key_either(
        self,
        stage: Stage[Any],
        calls: Calls,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Neither a key nor what it is wrapped into is logged or printed."""
        caplog.set_level(logging.DEBUG)
        wrapped = calls(stage.adapter.wrap, "k1", _SECRET)
        calls(stage.adapter.unwrap, "k1", wrapped)
        text = "".join((caplog.text, *capsys.readouterr()))
        for each in (_SECRET, wrapped):
            assert not any(form in text for form in written_forms(each))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
