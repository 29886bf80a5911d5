"""What an operator chooses within the rules, and the ground on which its desk decides.

Knows defaults and bounds, agreements and figures. Refuses to overrule a statutory figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from attrs import field, frozen

from abonent.core.agreements import Agreement, Agreements
from abonent.core.policy import DAY, _positive, _within
from abonent.core.rules import RULE_SETS, Rules, rules_in_force
from abonent.errors import NoAgreement, NoRulesInForce, PolicyIncomplete, UnknownOperator

_MONTH: Final = 31 * DAY


@frozen(kw_only=True)
class DeskPolicy:
    """An operator's own choices. Every default is safe; each figure gives its unit and range."""

    answer_within: timedelta | None = field(default=None, validator=_positive)
    """The time to answer, for rule sets that give none (the draft of 2017)."""
    inline_wait: timedelta = field(default=timedelta(seconds=2), validator=_positive)
    """How long a caller waits for the base, or for messengers; then it goes on by itself."""
    lease: timedelta = field(default=timedelta(seconds=30), validator=_positive)
    """How long a try may run before it counts as lost and is made again."""
    retry_first: timedelta = field(default=timedelta(seconds=5), validator=_positive)
    """The wait after the first failed try; it doubles each time."""
    retry_longest: timedelta = field(default=timedelta(minutes=5), validator=_positive)
    """The longest wait between two tries."""
    settle_after: timedelta = field(default=timedelta(seconds=1), validator=_positive)
    """How long after a deadline a sweep settles it."""
    base_lag: timedelta = field(default=DAY, validator=_within(timedelta(0), 31 * DAY))
    """How long the subscriber base may still show a subscription that the operator's systems have
    told to be over; after that it is believed again."""
    kept: timedelta = field(default=3 * _MONTH, validator=_within(_MONTH, 3660 * DAY))
    """How long a settled question is kept, and what was said and learnt of a number for records
    that come late. At least 31 days, as messengers try to have a code recorded for a month."""


class Ground:
    """What stays the same between decisions: who the operator is, chose, and has agreed with.

    `rules=None` takes the rule set in force at the instant that is asked about.

    Raises:
        UnknownOperator: an agreement is with another operator.
        InvalidAgreement: two with the same messenger overlap, or two bear the same id.
        PolicyIncomplete: the rule set leaves a figure open that the policy does not give.
    """

    def __init__(
        self,
        operator: str,
        agreements: Iterable[Agreement],
        *,
        policy: DeskPolicy,
        rules: Rules | None = None,
    ) -> None:
        by_messenger: dict[str, list[Agreement]] = {}
        for each in agreements:
            if each.operator != operator:
                raise UnknownOperator(f"agreement {each.id} is not one of {operator}")
            by_messenger.setdefault(each.messenger, []).append(each)
        self.operator = operator
        self.policy = policy
        self._agreements = {name: Agreements(name, each) for name, each in by_messenger.items()}
        self._none = Agreements("nobody")
        self._rules = rules
        if rules is not None:
            self._answer_within(rules)

    def check_covered(self, messenger: str, at: datetime) -> None:
        """Refuse who has no agreement in force, known or not, in the same words.

        Raises:
            NoAgreement: no agreement with this messenger is in force at this instant.
        """
        if self._with(messenger).in_force(self.operator, at) is None:
            raise _refused()

    def check_begun(self, messenger: str, at: datetime) -> None:
        """Refuse who never had an agreement: whoever had one may take back what it left.

        Raises:
            NoAgreement: no agreement with this messenger has begun by this instant.
        """
        if not any(each.starts <= at for each in self._with(messenger)):
            raise _refused()

    def _with(self, messenger: object) -> Agreements:
        return self._agreements.get(messenger if isinstance(messenger, str) else "", self._none)

    def rules_at(self, at: datetime) -> Rules:
        """Return the rule set that counts at this instant.

        Raises:
            NoRulesInForce: there is none.
        """
        return self._rules or rules_in_force(at)

    def answer_due(self, received_at: datetime) -> datetime:
        """Return until when a question is to be answered, inclusive.

        Raises:
            NoRulesInForce, PolicyIncomplete: nothing says so.
        """
        return received_at + self._answer_within(self.rules_at(received_at))

    def _answer_within(self, rules: Rules) -> timedelta:
        within = rules.answer_within.value or self.policy.answer_within
        if within is None:
            raise PolicyIncomplete(
                f"{rules.title} gives no answer_within; DeskPolicy.answer_within must",
                figure="answer_within",
            )
        return within

    def basis_at(self, at: datetime) -> Rules:
        """Return the rule set that counts at this instant, or the last one that did.

        What began under a rule set is finished under it: records and notices outlive it (S30, S39).

        Raises:
            NoRulesInForce: none has begun by then.
        """
        try:
            return self.rules_at(at)
        except NoRulesInForce:
            begun = [each for each in RULE_SETS if each.starts is not None and each.starts <= at]
            if not begun:
                raise
            return begun[-1]

    def notice_due(self, happened_at: datetime, recorded_at: datetime) -> datetime:
        """Return until when a messenger is to be told what happened, inclusive.

        The time begins with what happened; where the record came only after that, with the record.
        """
        begins = max(happened_at, recorded_at)
        return begins + self.basis_at(begins).notice_within.value


def _refused() -> NoAgreement:
    return NoAgreement("no agreement with this messenger is in force")
