"""The statutory rules as data: each figure with the clause it comes from.

Knows dates and figures. Refuses to know procedures: those are in `identification`.
Dates begin at 00:00 Moscow time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Generic, TypeVar

from attrs import field, frozen

from abonent.core.parties import check_instant, check_instant_field
from abonent.errors import InvalidValue, NoRulesInForce

T = TypeVar("T")

# Moscow has kept UTC+3 all year since 26 October 2014, before the earliest date below.
MOSCOW: Final = timezone(timedelta(hours=3), "MSK")
_LAW: Final = "Federal Law 149-FZ, art. 10.1"


@frozen
class Cited(Generic[T]):
    """A figure and the document or clause that gives it. `value=None`: the document is silent."""

    value: T
    source: str


@frozen(kw_only=True)
class Rules:
    """One rule set. In force in `[starts, ends)`; both None for a draft that never was."""

    id: str
    title: str
    starts: datetime | None = field(validator=check_instant_field)
    ends: datetime | None = field(validator=check_instant_field)
    consent_needed: Cited[bool]
    domestic_by_itself: Cited[bool]
    agreement_needed: Cited[bool]
    confirmed_by_action: Cited[bool | None]
    answer_within: Cited[timedelta | None]
    silence_is_not_passed: Cited[bool | None]
    not_passed_cannot_send: Cited[bool | None]
    operator_records: Cited[bool | None]
    notice_within: Cited[timedelta]
    reidentify_within: Cited[timedelta | None]
    kept_only_in: Cited[str | None]
    disclosure_needs_consent: Cited[bool | None]

    def in_force(self, at: datetime) -> bool:
        """Tell whether this rule set is in force at this instant."""
        if self.starts is None or at < self.starts:
            return False
        return self.ends is None or at < self.ends


def _moscow(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=MOSCOW).astimezone(UTC)


_DRAFT: Final = "draft of September 2017"
_R1279: Final = "Resolution No. 1279 of 2018-10-27"
_R1801: Final = "Resolution No. 1801 of 2021-10-20"

DRAFT_2017: Final = Rules(
    id="draft-2017",
    title=_DRAFT,
    starts=None,
    ends=None,
    consent_needed=Cited(False, _DRAFT),
    domestic_by_itself=Cited(True, _DRAFT),
    agreement_needed=Cited(True, _DRAFT),
    confirmed_by_action=Cited(None, _DRAFT),
    answer_within=Cited(None, _DRAFT),
    silence_is_not_passed=Cited(None, _DRAFT),
    not_passed_cannot_send=Cited(None, _DRAFT),
    operator_records=Cited(None, _DRAFT),
    notice_within=Cited(timedelta(hours=24), _DRAFT),
    reidentify_within=Cited(None, _DRAFT),
    kept_only_in=Cited(None, _DRAFT),
    disclosure_needs_consent=Cited(None, _DRAFT),
)


def _resolution(
    rules_id: str, title: str, starts: datetime, ends: datetime, *, domestic_source: str
) -> Rules:
    """Both resolutions give the same figures; each is cited as its own source."""
    return Rules(
        id=rules_id,
        title=title,
        starts=starts,
        ends=ends,
        consent_needed=Cited(False, title),
        domestic_by_itself=Cited(True, domestic_source),
        agreement_needed=Cited(True, f"{_LAW} part 4.2, item 1"),
        confirmed_by_action=Cited(True, title),
        answer_within=Cited(timedelta(minutes=20), title),
        silence_is_not_passed=Cited(True, title),
        not_passed_cannot_send=Cited(True, title),
        operator_records=Cited(True, title),
        notice_within=Cited(timedelta(hours=24), title),
        reidentify_within=Cited(timedelta(minutes=20), title),
        kept_only_in=Cited("RU", f"{_LAW} part 4.3 ff."),
        disclosure_needs_consent=Cited(True, title),
    )


RESOLUTION_1279: Final = _resolution(
    "1279",
    _R1279,
    _moscow(2019, 5, 5),
    _moscow(2022, 3, 1),
    domestic_source=f"{_LAW} part 4.3",
)
RESOLUTION_1801: Final = _resolution(
    "1801", _R1801, _moscow(2022, 3, 1), _moscow(2028, 3, 1), domestic_source=_R1801
)

RULE_SETS: Final[tuple[Rules, ...]] = (DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801)
_BY_ID: Final = {each.id: each for each in RULE_SETS}


def rules_in_force(on: datetime) -> Rules:
    """Return the rule set in force at this instant.

    Raises:
        NaiveInstant: no time zone.
        NoRulesInForce: none is.
    """
    check_instant(on)
    for each in reversed(RULE_SETS):
        if each.in_force(on):
            return each
    raise NoRulesInForce(f"no rule set is in force on {on:%Y-%m-%d}")


def rules_by_id(rules_id: str) -> Rules:
    """Return the rule set with this id, in force or not.

    Raises:
        InvalidValue: there is none.
    """
    try:
        return _BY_ID[rules_id]
    except KeyError:
        raise InvalidValue(f"there is no rule set {rules_id!r}") from None
