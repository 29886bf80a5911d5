"""The docket: what every judge of events needs to know.

Knows who asks whom, under which agreement, and what came right before an event.
Refuses to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from abonent.core import events as told
from abonent.core.events import Event, Ignored
from abonent.core.parties import MessengerKind
from abonent.core.states import EffectKind
from abonent.simulation.world.ledger import Account, Holding, Question, Trial

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book
    from abonent.simulation.world.watch import Watch

ANSWER_TIME: Final = timedelta(minutes=20)
ANEW_TIME: Final = timedelta(minutes=20)
MICROSECOND: Final = timedelta(microseconds=1)
_MIDNIGHT_MOSCOW: Final = timedelta(hours=-3)
_RULES: Final = tuple(
    (name, datetime(*starts, tzinfo=UTC) + _MIDNIGHT_MOSCOW)
    for name, starts in (
        (None, (1, 1, 2)),
        ("1279", (2019, 5, 5)),
        ("1801", (2022, 3, 1)),
        (None, (2028, 3, 1)),
    )
)
Passes = Sequence[tuple[Account, told.Passed]]


def rules_at(at: datetime) -> str | None:
    """Return the rule set in force at an instant, by its id."""
    return next(name for name, starts in reversed(_RULES) if starts <= at)


def words(why: Ignored) -> str:
    """Return the words for why an answer or notice changed nothing."""
    return why.value.replace("_", " ")


class Docket:
    """What a judge has before it."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._insist = watch.insist
        self._last: Event | None = None
        self._account: Account | None = None
        self._right = False

    def asks(self, book: Book) -> bool:
        """Tell whether the messenger asks the operator about a proven number."""
        return self.needs(book) or book.service.policy.ask_operator_too

    def needs(self, book: Book) -> bool:
        """Tell whether it may do so under an agreement only."""
        return book.service.messenger.kind is MessengerKind.FOREIGN

    def agreement(self, book: Book, operator: str | None, at: datetime) -> str | None:
        """Return the agreement in force with an operator."""
        for each in book.service.agreements:
            begun = each.starts <= at and (each.ends is None or at < each.ends)
            if each.operator == operator and begun:
                return each.id
        return None

    def _question(self, account: Account, query_id: str) -> Question | None:
        trial = account.trial
        question = None if trial is None else trial.question
        return question if question is not None and question.query_id == query_id else None

    def _drop_send(self, account: Account, trial: Trial) -> None:
        account.owed.pop((EffectKind.SEND_CODE, f"{trial.claim}.{trial.issued}"), None)

    def _rival(self, book: Book, account: Account, trial: Trial) -> Holding | None:
        return self._watch.rival(book, trial.number, account)
