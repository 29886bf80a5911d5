"""What comes from operators by itself: notices and late answers.

Knows how to find whom it is about. Refuses to know how it arrived or was verified.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from attrs import frozen

from abonent.core.commands import HearNotice
from abonent.core.events import Ignored, LateAnswerIgnored, Outcome, StaleNoticeIgnored
from abonent.core.states import AwaitingAnswer
from abonent.engine.archive import micros
from abonent.engine.drafts import Draft
from abonent.engine.effects import Flow, Read, Submit
from abonent.engine.loop import Done, Loop
from abonent.engine.once import Once, once
from abonent.errors import InvalidValue, UnknownOperator, UnknownQuery
from abonent.ports import LateAnswer, Notice

_LONGEST_NOTICE_ID: Final = 128
REPEATED: Final = Ignored.REPEATED
"""What a task returns whose message was taken before."""


@frozen(kw_only=True)
class Received:
    """What became of a notice or late answer.

    `users` are those whose record it moved; `ignored` says why it moved none.
    """

    users: tuple[str, ...]
    ignored: Ignored | None


class Inbound:
    """Judges what operators send by themselves."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def receive(
        self, item: Notice | LateAnswer, received_at: datetime, event_id: str | None = None
    ) -> Flow[Received]:
        """Judge a notice or late answer that arrived at an instant of our clock."""
        if not isinstance(item, Notice | LateAnswer):
            raise InvalidValue("what arrives is a Notice or a LateAnswer")
        if item.operator not in self._loop.operators:
            raise UnknownOperator(f"operator {item.operator!r} is not configured")
        known = None if event_id is None else once(self._loop.keyring, item, event_id)
        if isinstance(item, Notice):
            return (yield from self._hear(item, received_at, known))
        return (yield from self._hear_answer(item, received_at, known))

    def _hear_answer(
        self, item: LateAnswer, received_at: datetime, known: Once | None
    ) -> Flow[Received]:
        try:
            key = self._loop.keyring.row_of_query(item.query_id)
            serving = None
            if item.outcome is Outcome.NOT_OURS:
                serving = yield from self._route_of(key)
            judge = partial(
                self._loop.give_answer,
                key=key,
                at=received_at,
                query_id=item.query_id,
                operator=item.operator,
                outcome=item.outcome,
                opaque=b"",
                serving=serving,
            )
            done = yield from self._submit_once((key,), judge, known, received_at)
        except UnknownQuery:
            done = yield from self._note_stranger(item, received_at, known)
            why = Ignored.REPEATED if done is REPEATED else Ignored.NOT_ASKED
            return Received(users=(), ignored=why)
        if done is REPEATED:
            return Received(users=(), ignored=Ignored.REPEATED)
        held = yield from self._loop.perform(done)
        ignored = next((e.why for e in done.events if isinstance(e, LateAnswerIgnored)), None)
        moved = ignored is None and held.row.user_id is not None
        users = (held.row.user_id,) if moved and held.row.user_id else ()
        return Received(users=users, ignored=ignored)

    def _submit_once(
        self,
        keys: tuple[bytes, ...],
        work: Callable[[Draft], Any],
        known: Once | None,
        at: datetime,
    ) -> Flow[Any]:
        """Settle a task, or return `REPEATED` if its message was taken before."""
        if known is None:
            return (yield Submit(keys, work))

        def work_once(draft: Draft) -> Any:
            if known.heard(draft, at):
                return REPEATED
            result = work(draft)
            known.note(draft, at)
            return result

        return (yield Submit((*keys, *known.keys), work_once))

    def _route_of(self, key: bytes) -> Flow[str | None]:
        (held,) = yield Read(self._loop.archive.load, ((key,),))
        if held is None or not isinstance(held.aggregate.state, AwaitingAnswer):
            return None
        return (yield from self._loop.route(held.aggregate.state.number))

    def _note_stranger(self, item: LateAnswer, at: datetime, known: Once | None) -> Flow[Any]:
        # The id of a question that we did not ask is not ours to keep.
        event = LateAnswerIgnored(
            at=at, query_id="", operator=item.operator, outcome=item.outcome, why=Ignored.NOT_ASKED
        )

        def work(draft: Draft) -> None:
            draft.note_stranger(event, micros(at))

        return (yield from self._submit_once((), work, known, at))

    def _hear(self, notice: Notice, received_at: datetime, known: Once | None) -> Flow[Received]:
        if not 0 < len(notice.id) <= _LONGEST_NOTICE_ID:
            raise InvalidValue(f"a notice id has 1 to {_LONGEST_NOTICE_ID} characters")
        serving = None
        if not self._loop.terrain.needs_agreement:
            # Of a number that we determined by ourselves, the serving operator may speak.
            serving = yield from self._loop.route(notice.number)
        command = HearNotice(
            at=received_at,
            notice_id=notice.id,
            operator=notice.operator,
            kind=notice.kind,
            number=notice.number,
            happened_at=notice.happened_at,
            serving=serving,
        )

        def work(draft: Draft) -> list[Done]:
            found: list[Done] = []
            for held in draft.concerned(notice.number):
                after, step = draft.apply(held, command)
                found.append(Done(after, step.effects, step.events))
            return found

        several = yield from self._submit_once((), work, known, received_at)
        if several is REPEATED:
            return Received(users=(), ignored=Ignored.REPEATED)
        users: list[str] = []
        ignored: Ignored | None = None if several else Ignored.STALE
        for done in several:
            yield from self._loop.perform(done)
            why = next((e.why for e in done.events if isinstance(e, StaleNoticeIgnored)), None)
            if why is not None:
                ignored = ignored or why
            elif done.held.row.user_id is not None:
                users.append(done.held.row.user_id)
        return Received(users=tuple(users), ignored=None if users else ignored)
