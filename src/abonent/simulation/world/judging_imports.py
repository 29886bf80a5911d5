"""Judging imports: was a user taken over rightly, and a row that was not, rightly rejected?

Knows what the messenger had in its old table, and what was known when it was read.
Refuses to know whether the table was right: a declared number may be anybody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from abonent.core import events as told
from abonent.core.states import Basis
from abonent.engine.importing import ImportReport
from abonent.simulation.world.docket import Docket, rules_at
from abonent.simulation.world.ground import OPERATORS
from abonent.simulation.world.ledger import Account, Holding

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book, Call, Listed
    from abonent.simulation.world.watch import Watch


class ImportsJudge(Docket):
    """Judges who was taken over."""

    def _declared(self, book: Book, account: Account, event: told.Declared) -> None:
        call = self._watch.call
        self._insist("I1", call.name == "import", "a user is declared whom nobody declared")
        rows = [
            (each.row.proven_at, speaker)
            for each in call.rows
            if (each.row.user_id, each.number) == (account.user, event.number)
            for speaker in self._speakers(book, call, each)
        ]
        self._insist("I1", (event.proven_at, event.operator) in rows, "another row is declared")
        self._insist("I1", account.fresh, "a user is declared who has a history")
        self._insist("I1", event.proven_at <= event.at, "proven later than now")
        self._insist("I1", event.rules == rules_at(event.at), "not the rules in force")
        for other in book.accounts.values():
            same = other.holding is not None and other.holding.number == event.number
            self._insist("I3", other is account or not same, "a number is declared that is taken")
        self._insist("I11", event.code not in book.codes, "an identification code came twice")
        book.codes.add(event.code)
        account.forgotten = False
        account.holding = Holding(
            number=event.number,
            proven_at=event.proven_at,
            asked_at=None,
            operator=event.operator,
            agreement=None,
            code=event.code,
            basis=Basis.DECLARED,
            rules=event.rules,
        )
        self._watch.saw("a user declared")

    def _speakers(self, book: Book, call: Call, listed: Listed) -> Iterable[str | None]:
        """Return who may be on record: the one given, or for a foreign messenger the routed.

        Of a row that is there twice the router may have said this and then that.
        """
        if listed.row.operator is not None or not self.needs(book) or listed.number is None:
            return (listed.row.operator,)
        return call.routes.get(listed.number, set()) - {None}


def judge_import(watch: Watch, book: Book, call: Call, report: ImportReport, at: datetime) -> None:
    """Insist that every row was counted, that the rejected deserved it and the others are there."""
    rejected = Counter(each.code for each in call.rejected)
    watch.insist("I1", report.rejected == rejected, "other rows are counted than were rejected")
    counted = report.imported + report.known + sum(rejected.values())
    watch.insist("I1", counted == len(call.rows), "a row was not counted")
    if report.known and call.again:
        watch.saw("an import that went on where it was ended")
    bad = {each.position: each for each in call.rejected}
    for position, listed in enumerate(call.rows, 1):
        account = book.users.get(listed.row.user_id)
        if position in bad:
            watch.shown(repr(bad[position]), random=listed.row.user_id)
            code = bad[position].code
            mine = bad[position].user_id == listed.row.user_id
            deserved = mine and _deserves(watch, book, call, listed, code, at=at)
            watch.insist("I1", deserved, f"a row was rejected by {code} without a cause")
            watch.saw(f"a row not taken over: {code}")
            continue
        holding = None if account is None else account.holding
        there = holding is not None and holding.number == listed.number
        watch.insist("I1", there and not listed.mistyped, "a row was taken over that is not there")


def _deserves(
    watch: Watch, book: Book, call: Call, listed: Listed, code: str, *, at: datetime
) -> bool:
    if listed.mistyped:
        return code == listed.mistyped
    cause = _CAUSES.get(code)
    return cause is not None and cause(watch, book, call, listed, at)


# --- what justifies each rejection ----------------------------------------------------

Cause = Callable[["Watch", "Book", "Call", "Listed", datetime], bool]


def _known(_w: Watch, book: Book, call: Call, listed: Listed, _at: datetime) -> bool:
    """They have a history, or had one when the rows were read."""
    account = book.users.get(listed.row.user_id)
    return listed.row.user_id in call.knew or (account is not None and not account.gone)


def _taken(_w: Watch, book: Book, call: Call, listed: Listed, _at: datetime) -> bool:
    """Another holds the number, or did when the rows were read."""
    if listed.number is None:
        return False
    holder = book.holder(listed.number)
    now = None if holder is None else holder.user
    return any(
        user not in (None, listed.row.user_id) for user in (now, call.held.get(listed.number))
    )


def _unrouted(w: Watch, book: Book, call: Call, listed: Listed, _at: datetime) -> bool:
    asked = listed.row.operator is None and w.judge.needs(book) and listed.number in call.routes
    return asked and listed.number is not None and None in call.routes[listed.number]


_CAUSES: Final[Mapping[str, Cause]] = {
    "USER_KNOWN": _known,
    "NUMBER_TAKEN": _taken,
    "NUMBER_UNROUTED": _unrouted,
    "INVALID_VALUE": lambda w, book, call, listed, at: listed.row.proven_at > at,
    "UNKNOWN_OPERATOR": lambda w, book, call, listed, at: listed.row.operator not in OPERATORS,
    "NO_RULES_IN_FORCE": lambda w, book, call, listed, at: rules_at(at) is None,
}
