"""`OperatorGateway` for an operator that exchanges files.

Knows what stands in a line, and that an answer comes later. Refuses to know how files travel.

All files are UTF-8 with a JSON object in each line, and readable by their owner only. Ours are
`questions-….jsonl` with `{"id": …, "number": …}`, `records-….jsonl` with `id`, `messenger`,
`number` and `code`, and `withdrawals-….jsonl` with `id`, `messenger` and `code`. The operator's are
`answers-….jsonl` with `{"id": …, "outcome": "held"}` (or `not_held`, `not_ours`, `undetermined`),
and at the end `{"end": 2}`, the number of lines before it. A line that comes again, under the same
id, counts once. Files appear whole, by a rename, and whoever took one up removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from abonent.core.events import Outcome
from abonent.core.parties import check_id
from abonent.gateways.files.inbox import Inbox, Settled, Taken
from abonent.gateways.files.outbox import Outbox
from abonent.ports import Answer, GatewayFeatures, LateAnswer, Query, RecordEntry, WithdrawEntry

_KINDS: Final = ("questions", "records", "withdrawals")


class FilesGateway:
    """Writes questions and records to files, and reads answers from files.

    A question that was asked is on disk, and its answer comes by `collect`. A record counts as
    acknowledged when it is on disk: by agreement, the operator takes all files.

    Call `dispatch` and `collect` now and then, well within the operator's time; `close` at the end.

    Args:
        operator: its id, by which it is known to the identifier.
        outgoing: the folder from which the operator takes files.
        incoming: the folder where its files arrive.
        aside: the folder for files that cannot be read, on the same file system. None of the three
            may be open to everybody.
        batch: how many lines a file takes at most.
        every: how long a file that has begun may stay hidden.
        keep_questions: after which time a question that nobody took is removed: its answer would
            come too late, and its number should not lie about.
        torn_after: after which time an answer file that is not whole is put aside.

    Raises:
        InvalidValue: a folder that is not there or is open to everybody, or a figure below 1.
    """

    features = GatewayFeatures(concurrency=4)

    def __init__(
        self,
        operator: str,
        *,
        outgoing: Path,
        incoming: Path,
        aside: Path,
        batch: int = 1_000,
        every: timedelta = timedelta(seconds=30),
        keep_questions: timedelta = timedelta(hours=1),
        torn_after: timedelta = timedelta(minutes=10),
    ) -> None:
        check_id(None, None, operator)
        self._operator = operator
        self._keep = keep_questions.total_seconds()
        self._outbox = Outbox(outgoing, _KINDS, most=batch, every=every.total_seconds())
        self._inbox = Inbox(incoming, aside, operator, torn_after=torn_after.total_seconds())

    def __repr__(self) -> str:
        return f"FilesGateway(operator={self._operator!r})"

    # --- the port ---------------------------------------------------------------------------

    def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`. The answer comes later."""
        self._outbox.put("questions", query.id, {"id": query.id, "number": query.number.e164})
        return Answer(outcome=Outcome.LATER)

    def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        line = {
            "id": entry.id,
            "messenger": entry.messenger,
            "number": entry.number.e164,
            "code": entry.code,
        }
        self._outbox.put("records", entry.id, line)

    def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        line = {"id": entry.id, "messenger": entry.messenger, "code": entry.code}
        self._outbox.put("withdrawals", entry.id, line)

    # --- files --------------------------------------------------------------------------------

    def dispatch(self, *, at_once: bool = False) -> int:
        """Show the files whose time has come (`at_once`: all), and return how many.

        What a process that died had written is shown as well, and old questions are removed.

        Raises:
            Unavailable, Misconfigured: the folder cannot be used.
        """
        shown = self._outbox.show(all_of_them=at_once)
        self._outbox.remove_older("questions", self._keep)
        return shown

    def close(self) -> None:
        """Show all that was written. Closing twice is allowed."""
        self._outbox.show(all_of_them=True)

    def take(self) -> Taken:
        """Read the answers that are there: for `receive_many`, and then for `settle`.

        Raises:
            Unavailable, Misconfigured: the folder cannot be read.
        """
        return self._inbox.take()

    def settle(self, taken: Taken, results: Sequence[object]) -> Settled:
        """Remove the files whose answers were judged.

        Raises:
            InvalidValue: not as many results as answers.
            Unavailable, Misconfigured: the folder cannot be used.
        """
        return self._inbox.settle(taken, results)

    def collect(self, receive_many: Callable[[Sequence[LateAnswer]], Sequence[object]]) -> Settled:
        """Take the answers that are there, have each judged on its own, and settle.

        Args:
            receive_many: of an `Identifier`. With an `AsyncIdentifier`, await it between `take`
                and `settle`.

        Raises:
            Unavailable, Misconfigured: the folder cannot be used.
        """
        taken = self.take()
        return self.settle(taken, receive_many(taken.items))
