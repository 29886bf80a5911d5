"""Every event in every state: what may follow what, and that nothing else may.

Knows a table of its own, a letter a cell. Refuses to read the core's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace

from abonent.core import events as told
from abonent.core import states
from abonent.core.evolution import evolve
from abonent.core.states import Aggregate
from abonent.core.transitions import TRANSITIONS
from abonent.errors import TransitionRefused
from tests.search import core

_LETTERS: Final = {
    "U": states.Unidentified,
    "P": states.ProvingPossession,
    "A": states.AwaitingAnswer,
    "I": states.Identified,
    "R": states.ReidentificationDue,
    "N": states.NotPassed,
    "F": states.Forgotten,
}
_COLUMNS: Final = ("U", "P", "Pi", "Pr", "A", "Ai", "Ar", "I", "R", "N", "F")
"""A state, and for an attempt what stands behind it: identified or due anew."""

CELLS: Final = {
    told.NumberClaimed: "PPPPPPPPPPP",
    told.CodeIssued: ".PPP.......",
    told.AttemptStarted: ".PPPAAAIRNF",
    told.AttemptFailed: ".PPPAAAIRNF",
    told.CodeSent: ".PPP.......",
    told.CodeExpired: ".PPP.......",
    told.ProofTried: ".PPP.......",
    told.ProofFailed: ".PPP.......",
    told.PossessionProven: ".PPP.......",
    told.OperatorAsked: ".AAAAAA....",
    told.AnswerDeferred: "....AAA....",
    told.AnswerReceived: "....AAA....",
    told.Passed: ".IIIIII....",
    told.IdentificationNotPassed: ".NIRNIR....",
    told.CodeRecorded: ".PPPAAAIRN.",
    told.RecordWithdrawn: ".PPPAAAIRNF",
    told.DebtGivenUp: ".PPPAAAIRNF",
    told.NoticeReceived: ".PPPAAAIR..",
    told.ReidentificationRequired: "..PP.AARR..",
    told.Displaced: "..PP.AANN..",
    told.Lapsed: "...P..A.N..",
    told.LateAnswerIgnored: "UPPPAAAIRNF",
    told.StaleNoticeIgnored: ".PPPAAAIRN.",
    told.NumberDisclosed: ".PPPAAAIR..",
    told.Declared: "I..........",
    told.UserForgotten: "FFFFFFFFFF.",
    told.TombstoneCleared: "..........F",
}
"""For each event, the state after it in each column; a dot where it must be refused."""


def broken() -> Iterator[str]:
    """Say which cells are not as they must be."""
    yield from disobeyed()
    yield from passed_over()
    if set(CELLS) != set(told.EVENTS):
        yield f"cells: events without a row: {set(told.EVENTS) ^ set(CELLS)}"
    samples = _samples()
    for event_type, row in CELLS.items():
        event = _event(event_type)
        for column, letter in zip(_COLUMNS, row, strict=True):
            aggregate = Aggregate(state=samples[column])
            try:
                after: Any = type(evolve(aggregate, event).state)
            except TransitionRefused as refused:
                after = None
                if (refused.state, refused.event) != (
                    type(aggregate.state).__name__,
                    event_type.__name__,
                ):
                    yield f"cells: {event_type.__name__} in {column} is refused by a wrong name"
            except Exception as error:
                after = type(error)
            if after is not _LETTERS.get(letter):
                yield f"cells: {event_type.__name__} in {column} leads to {after}, not {letter}"


def disobeyed() -> Iterator[str]:
    """Say where table and record disagree and nothing is raised: with one cell made wrong."""
    samples = _samples()
    attempts = (told.CodeIssued, told.CodeSent, told.CodeExpired, told.ProofTried)
    wrong: list[tuple[str, type[Any], type[states.State]]] = [
        ("P", told.CodeIssued, states.Identified),
        ("A", told.Passed, states.NotPassed),
        *(("U", each, states.Unidentified) for each in attempts),
        ("U", told.PossessionProven, states.Unidentified),
        ("U", told.AnswerDeferred, states.Unidentified),
    ]
    for column, event_type, after in wrong:
        row: Any = TRANSITIONS[_LETTERS[column]]
        with patch.dict(row, {event_type: (after,)}):
            try:
                evolve(Aggregate(state=samples[column]), _event(event_type))
                came = "nothing"
            except Exception as error:
                came = type(error).__name__
        if came != "TransitionRefused":
            yield f"cells: a wrong cell of {event_type.__name__} in {column} raises {came}"


def passed_over() -> Iterator[str]:
    """Say which events about what is not owed any more change something all the same."""
    found = _samples()
    proving: Any = found["P"]
    code = states.LiveCode(
        issue=2,
        key_id="k1",
        issued_at=core.ORIGIN,
        expires_at=core.ORIGIN,
        tries=0,
        sending=None,
        opaque=b"",
    )
    waiting = replace(code, sending=states.Attempt(tries=1, next_try=core.ORIGIN))
    started, failed = _event(told.AttemptStarted), _event(told.AttemptFailed)
    send, ask = states.EffectKind.SEND_CODE, states.EffectKind.ASK_OPERATOR
    for state, event in (
        (replace(proving, code=waiting), _event(told.CodeSent)),  # of issue 1
        (proving, _event(told.CodeSent)),
        *((proving, replace(each, kind=send)) for each in (started, failed)),
        *((replace(proving, code=code), replace(each, kind=send)) for each in (started, failed)),
        *((found["A"], replace(each, kind=send)) for each in (started, failed)),
        *((found["A"], replace(each, kind=ask)) for each in (started, failed)),
        *((proving, replace(each, kind=ask)) for each in (started, failed)),
    ):
        aggregate = Aggregate(state=state)
        try:
            came = "something" if evolve(aggregate, event) != aggregate else ""
        except Exception as error:
            came = type(error).__name__
        if came:
            yield f"cells: {type(event).__name__} of what is not owed leads to {came}"


def count() -> int:
    return len(CELLS) * len(_COLUMNS)


def _samples() -> dict[str, states.State]:
    now, number = core.ORIGIN, core.NUMBERS["X"]
    identified = states.Identified(
        number=number,
        proven_at=now,
        asked_at=now,
        since=now,
        operator="m",
        agreement="with-m",
        code="i1",
        basis=states.Basis.OPERATOR_ANSWER,
        rules="1801",
    )
    due = states.ReidentificationDue(
        was=identified, cause=states.NoticeKind.PORTED, happened_at=None, noticed_at=now, due=now
    )
    found: dict[str, states.State] = {
        "U": states.Unidentified(),
        "I": identified,
        "R": due,
        "N": states.NotPassed(reason=states.Reason.NO_ANSWER, at=now, due=now, retry_at=None),
        "F": states.Forgotten(at=now),
    }
    behind: dict[str, states.Before] = {"": None, "i": identified, "r": due}
    for suffix, before in behind.items():
        found[f"P{suffix}"] = states.ProvingPossession(
            number=number,
            tag=b"X",
            claim="c1",
            operator="m",
            rules="1801",
            locale="ru",
            expires_at=now,
            issued=0,
            issued_at=now,
            code=None,
            before=before,
        )
        found[f"A{suffix}"] = states.AwaitingAnswer(
            number=number,
            proven_at=now,
            operator="m",
            agreement="with-m",
            query_id="q1",
            asked_at=now,
            due=now,
            asking=None,
            rerouted=False,
            rules="1801",
            opaque=b"",
            before=before,
        )
    return found


_VALUES: Final[dict[str, Any]] = {
    "unlisted": False,
    "rerouted": False,
    "issue": 1,
    "tag": b"X",
    "opaque": b"",
    "operator": "m",
    "rules": "1801",
    "code": "i9",
    "number": core.NUMBERS["X"],
    "debts": (),
    "failures": (),
    "sends": (),
    "older_tags": (),
    "reason": states.Reason.NO_ANSWER,
    "outcome": told.Outcome.HELD,
    "why": told.Ignored.LATE,
    "basis": states.Basis.OPERATOR_ANSWER,
    "cause": states.NoticeKind.PORTED,
}


def _event(event_type: type[Any]) -> Any:
    """An event of this type whose contents are of no weight."""
    values: dict[str, Any] = {}
    for name in event_type.__struct_fields__:
        if name == "kind":
            notice = event_type in (told.NoticeReceived, told.StaleNoticeIgnored)
            values[name] = states.NoticeKind.PORTED if notice else states.EffectKind.RECORD
        elif name.endswith("_at") or name in ("at", "due", "next_try"):
            values[name] = core.ORIGIN
        else:
            values[name] = _VALUES.get(name, "c1")
    return event_type(**values)
