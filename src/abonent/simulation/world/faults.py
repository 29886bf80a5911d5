"""How much goes wrong in a simulated world: rates as data, and the file that gives them.

Knows names and ranges. Refuses a file with a key it does not know: a fault that is misspelt would
never happen, and nobody would notice.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import attrs
from attrs import Attribute, field, frozen

from abonent.errors import CallerError, InvalidValue

_DIGITS: Final = re.compile(r"[0-9]{5,}")
"""What may be somebody's number is not quoted so far."""


class FaultsFileError(CallerError):
    """A faults file that cannot be read, or says something that no fault is."""

    code: ClassVar[str] = "FAULTS_FILE"
    remedy: ClassVar[str] = "Give a TOML file of fault names and rates from 0 to 1."


def _is_rate(_: object, attribute: Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidValue(f"the rate of {attribute.name} is a number from 0 to 1")


def _rate(default: float) -> Any:
    return field(default=default, validator=_is_rate)


@frozen(kw_only=True)
class Faults:
    """How often each thing goes wrong: a rate from 0 (never) to 1 (always).

    Of answers, notices and codes it is the part of messages; of operators and the router, the part
    of calls; of outages, processes, clocks and keys, the chance a day.

    Raises:
        InvalidValue: a rate is no number from 0 to 1.
    """

    answer_later: float = _rate(0.2)
    """The operator says that it answers later."""
    answer_lost: float = _rate(0.04)
    """A later answer never arrives, or the operator falls silent."""
    answer_doubled: float = _rate(0.1)
    """A later answer arrives twice."""
    answer_contradicted: float = _rate(0.04)
    """A second later answer says something else."""
    answer_on_the_edge: float = _rate(0.15)
    """A later answer arrives in the very microsecond in which it is due, or in the next."""
    answer_misattributed: float = _rate(0.03)
    """An operator answers a question that another was asked."""
    answer_wrong: float = _rate(0.04)
    """The operator does not know its own subscribers."""
    answer_undetermined: float = _rate(0.02)
    """The operator cannot tell."""
    notice_lost: float = _rate(0.05)
    """A notice is not delivered the first time; the operator tries again hours later."""
    notice_doubled: float = _rate(0.15)
    """A notice arrives twice."""
    notice_delayed: float = _rate(0.2)
    """A notice takes hours, now and then more than the statutory 24."""
    notice_undated: float = _rate(0.1)
    """A notice does not say when it happened."""
    notice_misattributed: float = _rate(0.05)
    """A notice comes from an operator that the number is not with."""
    code_lost: float = _rate(0.03)
    """A one-time code never reaches the phone."""
    code_doubled: float = _rate(0.05)
    """A one-time code reaches the phone twice."""
    code_delayed: float = _rate(0.05)
    """A one-time code takes minutes."""
    operator_unavailable: float = _rate(0.08)
    """An operator is out of reach for a call."""
    operator_misconfigured: float = _rate(0.02)
    """An operator refuses our credentials."""
    operator_outage: float = _rate(0.03)
    """An operator acknowledges no records for days."""
    operator_slow: float = _rate(0.1)
    """A call to an operator takes seconds to minutes, while everything else goes on."""
    router_stale: float = _rate(0.1)
    """The router has not heard that a number was ported."""
    router_unavailable: float = _rate(0.02)
    """The router is out of reach, or knows no operator."""
    process_crash: float = _rate(0.5)
    """A process dies between two steps."""
    process_preempted: float = _rate(0.5)
    """Another process commits while one is about to."""
    clock_step: float = _rate(0.2)
    """A clock is set forward or back."""
    store_outage: float = _rate(0.1)
    """The store is out of reach for a while."""
    key_rotation: float = _rate(0.05)
    """All processes start anew with a new current key."""

    @classmethod
    def none(cls) -> Faults:
        """Return a world in which nothing goes wrong."""
        return cls(**dict.fromkeys((each.name for each in attrs.fields(cls)), 0.0))

    @classmethod
    def read(cls, path: Path) -> Faults:
        """Read a TOML file of rates by name; what it does not name keeps its default.

        Raises:
            FaultsFileError: it cannot be read, names no fault, or gives no rate.
        """
        try:
            rates: Mapping[str, Any] = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise FaultsFileError(f"cannot read {path.name}: {error.strerror}") from None
        except ValueError:
            raise FaultsFileError(f"{path.name} is not TOML") from None
        known = {each.name for each in attrs.fields(cls)}
        unknown = [name for name in rates if name not in known]
        if unknown:
            shown = ", ".join(_DIGITS.sub("…", name) for name in unknown)
            raise FaultsFileError(f"{path.name} names what is no fault: {shown}")
        try:
            return cls(**rates)
        except InvalidValue as error:
            raise FaultsFileError(f"{path.name}: {error.args[0]}") from None
