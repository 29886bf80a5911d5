"""Identification agreements: between one messenger and one operator, for a time.

Knows which one is in force at an instant. Refuses to know what becomes of users when one ends:
an identification once passed stays (S33).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise

from attrs import field, frozen

from abonent.core.parties import check_id, check_instant_field
from abonent.errors import InvalidAgreement, UnknownMessenger


@frozen(kw_only=True)
class Agreement:
    """An agreement in force in `[starts, ends)`; `ends=None` has no end yet.

    Raises:
        NaiveInstant: a date without a time zone.
        InvalidAgreement: it ends before or when it begins.
    """

    id: str = field(validator=check_id)
    messenger: str = field(validator=check_id)
    operator: str = field(validator=check_id)
    starts: datetime = field(validator=check_instant_field)
    ends: datetime | None = field(default=None, validator=check_instant_field)

    def __attrs_post_init__(self) -> None:
        if self.ends is not None and self.ends <= self.starts:
            raise InvalidAgreement(f"agreement {self.id} ends before it begins")

    def in_force(self, at: datetime) -> bool:
        """Tell whether it is in force at this instant."""
        return self.starts <= at and (self.ends is None or at < self.ends)


class Agreements:
    """The agreements of one messenger.

    Raises:
        UnknownMessenger: one of them is another messenger's.
        InvalidAgreement: two with the same operator overlap, or two bear the same id.
    """

    __slots__ = ("_by_operator",)

    def __init__(self, messenger: str, agreements: Iterable[Agreement] = ()) -> None:
        by_operator: defaultdict[str, list[Agreement]] = defaultdict(list)
        seen: set[str] = set()
        for each in agreements:
            if each.messenger != messenger:
                raise UnknownMessenger(f"agreement {each.id} is not one of {messenger}")
            if each.id in seen:
                raise InvalidAgreement(f"two agreements bear the id {each.id}")
            seen.add(each.id)
            by_operator[each.operator].append(each)
        for several in by_operator.values():
            several.sort(key=lambda each: each.starts)
            for earlier, later in pairwise(several):
                if earlier.ends is None or later.starts < earlier.ends:
                    raise InvalidAgreement(f"agreements {earlier.id} and {later.id} overlap")
        self._by_operator = {name: tuple(several) for name, several in by_operator.items()}

    def in_force(self, operator: str, at: datetime) -> Agreement | None:
        """Return the agreement with this operator that is in force at this instant."""
        for each in self._by_operator.get(operator, ()):
            if each.in_force(at):
                return each
        return None

    def __iter__(self) -> Iterator[Agreement]:
        for several in self._by_operator.values():
            yield from several
