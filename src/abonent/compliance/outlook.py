"""What is to be done now: agreements that end, users whom nobody watches, feeds that are silent.

Knows the present: whose users stand identified, and who was heard when. Refuses to judge the past.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum

from attrs import frozen

from abonent.core.agreements import Agreement
from abonent.core.commands import Terrain
from abonent.core.states import Basis


class Unwatched(Enum):
    """Why nobody sends notices about some users any more. The values are stable."""

    NO_GATEWAY = "no_gateway"
    """No gateway is configured for their operator: what it sends is refused."""
    AGREEMENT_ENDED = "agreement_ended"
    """The agreement with their operator has ended (S33)."""
    NO_AGREEMENT = "no_agreement"
    """There is no agreement with their operator, and none is known to have been."""


@frozen(kw_only=True)
class AgreementEnd:
    """An agreement that ends soon. `followed_by` is the one that goes on without a gap, if any."""

    agreement: str
    operator: str
    ends: datetime
    users: int
    followed_by: str | None


@frozen(kw_only=True)
class UnwatchedUsers:
    """Identified users whose operator sends no notices. `since`: when the agreement ended."""

    operator: str
    users: int
    why: Unwatched
    since: datetime | None


@frozen(kw_only=True)
class FeedHeard:
    """When an operator's last notice about one of our users came; `silent`: too long ago.

    `heard_at` None: none ever did. `users` stand identified with it.
    """

    operator: str
    heard_at: datetime | None
    silent: bool
    users: int


@frozen(kw_only=True)
class Outlook:
    """What is to be done now.

    `own` counts identified users with no operator on record: the journal does not say who is to
    give notice of their numbers.
    """

    agreements: tuple[AgreementEnd, ...]
    unwatched: tuple[UnwatchedUsers, ...]
    feeds: tuple[FeedHeard, ...]
    own: int

    @property
    def silent(self) -> tuple[FeedHeard, ...]:
        """The feeds that were not heard for too long."""
        return tuple(each for each in self.feeds if each.silent)


def outlook(
    terrain: Terrain,
    operators: frozenset[str],
    standing: Counter[tuple[Basis, str | None]],
    heard: Mapping[str, datetime],
    *,
    as_of: datetime,
    ends_within: timedelta,
    silent_after: timedelta,
) -> Outlook:
    """Look at agreements, users and feeds at an instant.

    Args:
        terrain: the agreements, and whether they are needed.
        operators: those with a gateway.
        standing: users whose gate is open, by basis and operator on record.
        heard: when each operator last gave notice.
        as_of: the present.
        ends_within: how soon an end is soon.
        silent_after: from what age silence is too long.
    """
    users: Counter[str | None] = Counter()
    for (_, operator), count in standing.items():
        users[operator] += count
    named = sorted(each for each in users if each is not None)
    agreements = list(terrain.agreements)
    watched = {each.operator for each in agreements if each.in_force(as_of)} & operators
    unwatched = tuple(
        UnwatchedUsers(operator=each, users=users[each], why=why, since=since)
        for each in named
        for why, since in _unwatched(terrain, each, each in operators, as_of)
    )
    # Of an operator that owes no notices, silence is no news.
    expected = watched | {*named} - {each.operator for each in unwatched}
    return Outlook(
        agreements=tuple(_ending(agreements, users, as_of, as_of + ends_within)),
        unwatched=unwatched,
        feeds=tuple(
            _feed(each, agreements, heard.get(each), users[each], as_of - silent_after)
            for each in sorted(expected)
        ),
        own=users[None],
    )


def _ending(
    agreements: Iterable[Agreement], users: Counter[str | None], now: datetime, until: datetime
) -> Iterator[AgreementEnd]:
    found = sorted(
        (each.ends, each.operator, each)
        for each in agreements
        if each.ends is not None and now < each.ends <= until
    )
    for ends, operator, agreement in found:
        later = (it.id for it in agreements if it.operator == operator and it.starts == ends)
        yield AgreementEnd(
            agreement=agreement.id,
            operator=operator,
            ends=ends,
            users=users[operator],
            followed_by=next(later, None),
        )


def _unwatched(
    terrain: Terrain, operator: str, has_gateway: bool, now: datetime
) -> Iterator[tuple[Unwatched, datetime | None]]:
    """Say why an operator sends no notices, if it does not."""
    if not has_gateway:
        yield Unwatched.NO_GATEWAY, None
        return
    if terrain.agreements.in_force(operator, now) is not None:
        return
    ended = [
        each.ends
        for each in terrain.agreements
        if each.operator == operator and each.ends is not None and each.ends <= now
    ]
    if ended:
        yield Unwatched.AGREEMENT_ENDED, max(ended)
    elif terrain.needs_agreement:
        yield Unwatched.NO_AGREEMENT, None


def _feed(
    operator: str,
    agreements: Iterable[Agreement],
    heard_at: datetime | None,
    users: int,
    silent_since: datetime,
) -> FeedHeard:
    """An operator that was never heard is silent since its agreement began.

    One with none of our users has nothing to tell.
    """
    starts = [each.starts for each in agreements if each.operator == operator]
    since = heard_at or min(starts, default=None)
    silent = users > 0 and since is not None and since <= silent_since
    return FeedHeard(operator=operator, heard_at=heard_at, silent=silent, users=users)
