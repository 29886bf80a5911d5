"""Taking over the users that a messenger had before.

Knows rows, and what is wrong with one. Refuses to take a messenger's word for a proof: whoever is
taken over is listed as declared until they are identified anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final

from attrs import field, frozen

from abonent.core.commands import Declare
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.parties import check_instant, check_user_id
from abonent.core.states import identified_in, standing_identification
from abonent.engine.archive import holder_aliases
from abonent.engine.drafts import Draft
from abonent.engine.effects import Flow, Submit, SubmitAll
from abonent.engine.loop import Loop
from abonent.errors import (
    AbonentError,
    CallerError,
    InvalidValue,
    NumberUnrouted,
    RecordDamaged,
    Refused,
    UnknownOperator,
    UserInputError,
)
from abonent.sealing import new_id

_BATCH: Final = 512
_OF_A_ROW: Final = (CallerError, UserInputError, Refused, RecordDamaged)
"""What is wrong with one row. Everything else would be wrong with the next one, too."""


@frozen(kw_only=True)
class DeclaredUser:
    """A user whom the messenger had before it used this library.

    Args:
        user_id: the messenger's own opaque id, 1–128 characters.
        number: in any spelling.
        proven_at: when possession was proven to the messenger; notices about earlier are stale.
        operator: the id of the operator that serves the number, if the messenger knows it: only
            that one may give notice then. None: for a foreign messenger, whichever the router names
            now; for a domestic one, whichever serves the number when a notice comes.
    """

    user_id: str
    number: str = field(repr=False)
    proven_at: datetime
    operator: str | None = None


@frozen(kw_only=True)
class RejectedUser:
    """A row that was not taken over: which, counted from 1, whose, and why, by a stable code."""

    position: int
    user_id: str
    code: str


@frozen(kw_only=True)
class ImportReport:
    """What became of the rows: taken over; known here with the same number; rejected, by code."""

    imported: int
    known: int
    rejected: Mapping[str, int]


class Importer:
    """Takes over users, batch by batch."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def run(
        self,
        rows: Iterable[DeclaredUser],
        rejected: Callable[[RejectedUser], object] | None,
        progress: Callable[[int], object] | None,
    ) -> Flow[ImportReport]:
        """Take over rows, each judged on its own."""
        counted: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        source, position = iter(rows), 0
        while batch := list(islice(source, _BATCH)):
            judged: list[Submit | AbonentError] = []
            for row in batch:
                try:
                    judged.append((yield from self._task(row)))
                except _OF_A_ROW as error:
                    judged.append(error)
            tasks = tuple(each for each in judged if isinstance(each, Submit))
            results = iter((yield SubmitAll(tasks)))
            for row, each in zip(batch, judged, strict=True):
                position += 1
                outcome: Any = next(results) if isinstance(each, Submit) else each
                if isinstance(outcome, _OF_A_ROW):
                    refused[outcome.code] += 1
                    if rejected is not None:
                        code = outcome.code
                        rejected(RejectedUser(position=position, user_id=row.user_id, code=code))
                elif isinstance(outcome, BaseException):
                    raise outcome  # what was taken over stays; the same rows again go on from here
                else:
                    counted["imported" if outcome else "known"] += 1
            if progress is not None:
                progress(position)
        return ImportReport(
            imported=counted["imported"], known=counted["known"], rejected=dict(refused)
        )

    def _task(self, row: DeclaredUser) -> Flow[Submit]:
        loop = self._loop
        policy = loop.policy
        check_user_id(row.user_id)
        number = parse_number(
            row.number, default_region=policy.default_region, regions=policy.regions
        ).number
        at = loop.clock.now()
        if check_instant(row.proven_at) > at:
            raise InvalidValue("possession cannot have been proven later than now")
        if row.operator is not None and row.operator not in loop.operators:
            raise UnknownOperator(f"no gateway is configured for operator {row.operator}")
        operator = row.operator
        if operator is None and loop.terrain.needs_agreement:
            operator = yield from loop.route(number)
            if operator is None:
                raise NumberUnrouted("no operator is known to serve this number")
        tags = loop.keyring.number_tags(number)
        work = partial(self._take_over, row, number=number, operator=operator, tags=tags, at=at)
        return Submit(loop.keyring.user_tags(row.user_id), work, holder_aliases(tags))

    def _take_over(
        self,
        row: DeclaredUser,
        draft: Draft,
        *,
        number: SubscriberNumber,
        operator: str | None,
        tags: tuple[bytes, ...],
        at: datetime,
    ) -> bool:
        draft.know(number, tags)
        held = draft.newcomer(self._loop.keyring.user_tags(row.user_id), row.user_id)
        identified = identified_in(standing_identification(held.aggregate.state))
        if identified is not None and identified.number == number:
            return False
        command = Declare(
            at=at,
            number=number,
            proven_at=row.proven_at,
            operator=operator,
            code=new_id(),
            taken=any(other.key != held.key for other in draft.holders(number)),
        )
        draft.apply(held, command)
        return True
