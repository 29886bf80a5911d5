"""What the messenger chooses within the rules, and the terms that follow from both.

Knows defaults and bounds. Refuses to overrule a statutory figure: a policy fills gaps only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen

from abonent.core.rules import Rules
from abonent.errors import InvalidValue, PolicyIncomplete

DAY: Final = timedelta(hours=24)
_SHORTEST_WAIT: Final = timedelta(seconds=1)


def _positive(_: object, attribute: Attribute[Any], value: timedelta | None) -> None:
    if value is not None and value <= timedelta(0):
        raise InvalidValue(f"Policy.{attribute.name} must be longer than nothing")


def _within(least: Any, most: Any) -> Callable[[object, Attribute[Any], Any], None]:
    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if not least <= value <= most:
            raise InvalidValue(f"Policy.{attribute.name} is from {least} to {most}")

    return check


@frozen(kw_only=True)
class Policy:
    """The messenger's own choices. Every default is safe; each figure gives its unit and range."""

    regions: frozenset[str] = frozenset({"RU"})
    """ISO 3166 codes of the countries whose numbers are accepted."""
    default_region: str = "RU"
    """The country whose national spellings are understood."""
    ask_operator_too: bool = False
    """For a domestic messenger. After the proof, ask the serving operator as well (S2)."""
    code_length: int = field(default=6, validator=_within(6, 10))
    """Digits of a one-time code, 6 to 10 (NIST SP 800-63B-4, 3.1.3.2)."""
    code_valid: timedelta = field(
        default=timedelta(minutes=10), validator=_within(_SHORTEST_WAIT, timedelta(minutes=10))
    )
    """How long a code may be used, inclusive, at most 10 minutes (NIST SP 800-63B-4, 3.1.3.2)."""
    tries_per_code: int = field(default=5, validator=_within(1, 10))
    """Tries that one code takes."""
    failures_per_day: int = field(default=15, validator=_within(1, 100))
    """Failed tries by (user, number) in any 24 hours; resending does not reset them (P4)."""
    claim_valid: timedelta = field(default=DAY, validator=_positive)
    """How long a claim may wait for its proof."""
    resend_after: timedelta = field(
        default=timedelta(seconds=60), validator=_within(_SHORTEST_WAIT, DAY)
    )
    """How long a repeated claim sends nothing new."""
    sends_per_user: int = field(default=10, validator=_within(1, 1000))
    """Codes sent to one user in any 24 hours (P20)."""
    sends_per_number: int = field(default=10, validator=_within(1, 1000))
    """Codes sent to one number in any 24 hours, whoever claims it (P20)."""
    answer_within: timedelta | None = field(default=None, validator=_positive)
    """The operator's time, for rule sets that give none (the draft of 2017)."""
    reidentify_within: timedelta | None = field(default=None, validator=_positive)
    """The time to identify anew, for rule sets that give none."""
    inline_wait: timedelta = field(default=timedelta(seconds=2), validator=_positive)
    """How long a caller waits for an adapter before a sweep takes over."""
    lease: timedelta = field(default=timedelta(seconds=30), validator=_positive)
    """How long a try may run before it counts as lost and is made again."""
    retry_first: timedelta = field(default=timedelta(seconds=5), validator=_positive)
    """The wait after the first failed try; it doubles each time."""
    retry_longest: timedelta = field(default=timedelta(minutes=5), validator=_positive)
    """The longest wait between two tries of what has a deadline."""
    debt_kept: timedelta = field(default=timedelta(days=30), validator=_positive)
    """How long a record or withdrawal is retried before it is given up with an alarm (P15)."""
    settle_after: timedelta = field(default=timedelta(seconds=1), validator=_positive)
    """How long after a deadline a sweep settles it, so that an answer in time is not overtaken."""
    flush_within: timedelta | None = field(default=timedelta(milliseconds=200), validator=_positive)
    """How long an outcome that nobody waits for may stay uncommitted; a thread of the identifier
    sees to it. None: it rides with the next call or sweep, and no such thread is started."""


@frozen(kw_only=True)
class Terms:
    """What rules and policy give together, with no figure left open."""

    rules: str
    answer_within: timedelta
    reidentify_within: timedelta


def terms(rules: Rules, policy: Policy) -> Terms:
    """Fill the gaps of a rule set from the policy.

    Raises:
        PolicyIncomplete: neither gives a figure; the error names it (S31).
    """
    return Terms(
        rules=rules.id,
        answer_within=_figure(rules, "answer_within", policy),
        reidentify_within=_figure(rules, "reidentify_within", policy),
    )


def _figure(rules: Rules, name: str, policy: Policy) -> timedelta:
    statutory: timedelta | None = getattr(rules, name).value
    chosen: timedelta | None = getattr(policy, name)
    value = statutory if statutory is not None else chosen
    if value is None:
        raise PolicyIncomplete(f"{rules.title} gives no {name}; Policy.{name} must", figure=name)
    return value
