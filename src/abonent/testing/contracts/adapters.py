"""What the contracts of all ports over a link share: how one is called, fails and keeps secrets.

Knows failures, and what nobody may read. Refuses to know a port.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import pytest

from abonent.core.numbers import SubscriberNumber
from abonent.errors import AdapterError, Misconfigured, Unavailable
from abonent.simulation import Reply
from abonent.testing.contracts.contract import Contract, needs
from abonent.testing.contracts.stage import AsyncCalls, Calls, Heard, Stage, running_loop

Test = TypeVar("Test", bound=Callable[..., Any])
Work: TypeAlias = Callable[[str], tuple[Any, ...]]
"""A call of an adapter under an id: the bound method, and its arguments."""

FAULTS: Final = (
    Reply.UNAVAILABLE,
    Reply.SLOW,
    Reply.HANGS,
    Reply.MISCONFIGURED,
    Reply.MALFORMED,
)
ANY_FAULT: Final = (Unavailable, Misconfigured)
_ID: Final = "call-1"
_SEPARATORS: Final = re.compile(r"[\s().\-]")


def shown(reply: Reply) -> Callable[[Test], Test]:
    """Mark a shared test as one for other sides that can show this."""
    return needs(f"shown {reply.value}")


class AdapterContract(Contract, shared_tests=True):
    """What holds for every call over a link. Inherit from the contract of a port, not from this.

    Such a contract gives a fixture `work`: each call of its port in turn, under any id.
    """

    number: ClassVar[SubscriberNumber] = SubscriberNumber("+79161234567")
    """Who is asked about and sent to. Override it if your other side knows other numbers only."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """The codes that are part of the work."""

    @pytest.fixture
    def features(self, stage: Stage[Any]) -> SimpleNamespace:
        """What the other side can be told to show."""
        return SimpleNamespace(**{f"shown {each.value}": each in stage.shows for each in Reply})

    @pytest.fixture
    def calls(self, stage: Stage[Any]) -> Calls:
        """How the adapter is called."""
        return Calls(stage.patience)

    # --- a call that fails --------------------------------------------------------------

    @shown(Reply.UNAVAILABLE)
    def test_out_of_reach_is_unavailable(self, stage: Stage[Any], calls: Calls, work: Work) -> None:
        """Who cannot be reached is Unavailable: nothing was answered, nothing is acknowledged."""
        stage.tell(Reply.UNAVAILABLE)
        error_of(calls, Unavailable, *work(_ID))

    @shown(Reply.SLOW)
    def test_too_slow_is_unavailable(self, stage: Stage[Any], calls: Calls, work: Work) -> None:
        """What takes too long is not waited for: Unavailable, in bounded time (I2)."""
        stage.tell(Reply.SLOW)
        error_of(calls, Unavailable, *work(_ID))

    @shown(Reply.HANGS)
    def test_silence_is_unavailable(self, stage: Stage[Any], calls: Calls, work: Work) -> None:
        """Silence says nothing and stalls nobody: Unavailable, in bounded time (P26)."""
        stage.tell(Reply.HANGS)
        error_of(calls, Unavailable, *work(_ID))

    @shown(Reply.MISCONFIGURED)
    def test_refused_credentials_are_misconfigured(
        self, stage: Stage[Any], calls: Calls, work: Work
    ) -> None:
        """Who refuses *us* says nothing of the subscriber: Misconfigured, an alarm (S11)."""
        stage.tell(Reply.MISCONFIGURED)
        error_of(calls, Misconfigured, *work(_ID))

    @shown(Reply.MALFORMED)
    def test_a_malformed_reply_is_an_error(
        self, stage: Stage[Any], calls: Calls, work: Work
    ) -> None:
        """A reply that cannot be read is Unavailable or Misconfigured, never an answer (P21)."""
        stage.tell(Reply.MALFORMED)
        error_of(calls, ANY_FAULT, *work(_ID))

    # --- what nobody may see ------------------------------------------------------------

    def _errors(self, stage: Stage[Any], calls: Calls, work: Work) -> Iterator[AdapterError]:
        """Every error that the other side can bring about."""
        for reply in FAULTS:
            if reply in stage.shows:
                stage.tell(reply)
                try:
                    calls(*work(f"call-{reply.value}"))
                except AdapterError as error:
                    yield error

    def test_errors_show_nobody(self, stage: Stage[Any], calls: Calls, work: Work) -> None:
        """No error shows a number or code: in its text, its attributes or its traceback (I9)."""
        for each in self._errors(stage, calls, work):
            assert not shows(rendered(each), self.number, *self.secrets)

    def test_errors_name_instants_with_a_time_zone(
        self, stage: Stage[Any], calls: Calls, work: Work
    ) -> None:
        """`retry_at` of an error is an aware datetime, or None (P16)."""
        for each in self._errors(stage, calls, work):
            assert each.retry_at is None or each.retry_at.utcoffset() is not None

    def test_nothing_shows_anybody(
        self,
        stage: Stage[Any],
        calls: Calls,
        work: Work,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """No number or code is logged at any level, printed, or in the adapter's repr (P7)."""
        caplog.set_level(logging.DEBUG)
        calls(*work(_ID))
        list(self._errors(stage, calls, work))
        text = "".join((caplog.text, *capsys.readouterr(), repr(stage.adapter), str(stage.adapter)))
        assert not shows(text, self.number, *self.secrets)


class Awaited:
    """Makes a contract one of adapters that are awaited, with the same tests."""

    @pytest.fixture
    def calls(self, stage: Stage[Any]) -> Iterator[Calls]:
        """How the adapter is called: as coroutines, in one event loop."""
        with running_loop() as loop:
            yield AsyncCalls(stage.patience, loop)


def error_of(
    calls: Calls,
    expected: type[AdapterError] | tuple[type[AdapterError], ...],
    function: Callable[..., Any],
    *arguments: Any,
) -> AdapterError:
    """Return the error in which a call must end."""
    kinds = expected if isinstance(expected, tuple) else (expected,)
    wanted = " or ".join(each.__name__ for each in kinds)
    try:
        outcome = calls(function, *arguments)
    except kinds as error:
        return error
    except Exception as error:
        # Its text may hold a number, and its traceback leads to what raised it.
        pytest.fail(f"it raised {type(error).__name__}, where {wanted} belongs")
    pytest.fail(f"it returned {type(outcome).__name__}, where {wanted} belongs", pytrace=False)


def heard(stage: Stage[Any]) -> list[Heard]:
    """Return what reached the other side."""
    return list(stage.heard())


def rendered(error: BaseException) -> str:
    """Return all that anybody sees of an error: texts, arguments, attributes, its traceback.

    What it was raised from shows in the traceback, unless it was raised `from None`.
    """
    trace = "".join(traceback.format_exception(error))
    return f"{error} {error!r} {error.args!r} {vars(error)!r} {trace}"


def shows(text: str, *secrets: str | SubscriberNumber) -> bool:
    """Tell whether a text shows any of these numbers and codes, however it is grouped."""
    dense = _SEPARATORS.sub("", text)
    digits = [each.e164[-10:] if isinstance(each, SubscriberNumber) else each for each in secrets]
    return any(each in dense or each in text for each in digits)
