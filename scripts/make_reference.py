"""Write the parts of docs/reference that are drawn from the code.

Knows the tables and docstrings of the library and how they become a picture and Markdown. Refuses
to know anything that the code does not say: the picture is placed by hand, but an arrow that is
not in the table of transitions, or is missing, ends the run.

    python scripts/make_reference.py docs/reference
"""

# ruff: noqa: INP001 - a script is run, never imported

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Final

from attrs import frozen

import abonent
from abonent import errors
from abonent.compliance import due
from abonent.compliance.proceeding import events as case_events
from abonent.compliance.proceeding import states as case_states
from abonent.compliance.proceeding.transitions import TRANSITIONS as CASE_TRANSITIONS
from abonent.core import events, states
from abonent.core.events import EVENTS
from abonent.core.states import (
    STATES,
    AwaitingAnswer,
    Forgotten,
    Identified,
    NotPassed,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    State,
    Unidentified,
)
from abonent.core.transitions import TRANSITIONS
from abonent.operator.core import events as desk_events
from abonent.operator.core import states as desk_states
from abonent.operator.core.transitions import TRANSITIONS as DESK_TRANSITIONS
from abonent.wire.refusals import Refusal

MADE: Final = "<!-- Made by scripts/make_reference.py; change the code it reads, then run it. -->"

# --- the picture --------------------------------------------------------------------

Kinds = tuple[type[Any], ...]
Edge = tuple[type[Any], type[Any], type[Any]]
Table = Mapping[type[Any], Mapping[type[Any], Kinds]]
Point = tuple[int, int]

LEFT, TOP, WIDTH, HEIGHT = 4, 12, 432, 572
ATTEMPT: Final[Kinds] = (ProvingPossession, AwaitingAnswer)
STANDING: Final[Kinds] = (Identified, ReidentificationDue)


@frozen
class Box:
    """A state, or a group of states, at its place."""

    left: int
    top: int
    width: int
    height: int
    look: str
    title: str
    note: str = ""


@frozen
class Arrow:
    """An event that leads from each of some states to each of some others."""

    sources: Kinds
    event: type[Any]
    targets: Kinds
    path: tuple[Point, ...]
    label: Point
    anchor: str = "start"
    note: str = ""

    def edges(self) -> Iterator[Edge]:
        """Yield what the arrow says, one by one; what stays in its state is not drawn."""
        for source in self.sources:
            for target in self.targets:
                if source is not target:
                    yield source, self.event, target


@frozen
class Drawing:
    """A picture as it is placed, and the table that it must agree with."""

    title: str
    table: Table
    frames: tuple[Box, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: int = WIDTH
    height: int = HEIGHT


def _box(kind: type[Any], at: Point, width: int, look: str, note: str) -> Box:
    return Box(*at, width, 46, look, kind.__name__, note)


FRAMES: Final = (
    Box(10, 112, 420, 96, "frame", "An attempt"),
    Box(10, 304, 200, 192, "frame", "What stands"),
)
BOXES: Final = (
    _box(Unidentified, (24, 20), 160, "shut", "gate closed"),
    _box(ProvingPossession, (24, 130), 160, "asis", "gate as before"),
    _box(AwaitingAnswer, (294, 130), 130, "asis", "gate as before"),
    _box(Identified, (24, 324), 160, "open", "gate open"),
    _box(ReidentificationDue, (24, 420), 160, "half", "open until due if ported"),
    _box(NotPassed, (290, 324), 134, "shut", "gate closed"),
    _box(Forgotten, (290, 524), 134, "shut", "gate closed"),
    Box(290, 26, 134, 34, "any", "any other state"),
    Box(24, 530, 134, 34, "any", "any other state"),
)


def _others(*but: type[State]) -> Kinds:
    return tuple(each for each in STATES if each not in but)


ARROWS: Final = (
    Arrow(
        sources=(Unidentified,),
        event=events.NumberClaimed,
        targets=(ProvingPossession,),
        path=((80, 66), (80, 130)),
        label=(87, 83),
    ),
    Arrow(
        sources=(Unidentified,),
        event=events.Declared,
        targets=(Identified,),
        path=((24, 43), (16, 43), (16, 347), (24, 347)),
        label=(20, 102),
    ),
    Arrow(
        sources=_others(Unidentified, ProvingPossession),
        event=events.NumberClaimed,
        targets=(ProvingPossession,),
        path=((357, 60), (357, 90), (172, 90), (172, 130)),
        label=(265, 83),
        anchor="middle",
    ),
    Arrow(
        sources=(ProvingPossession,),
        event=events.OperatorAsked,
        targets=(AwaitingAnswer,),
        path=((184, 153), (294, 153)),
        label=(238, 146),
        anchor="middle",
    ),
    Arrow(
        sources=ATTEMPT,
        event=events.Passed,
        targets=(Identified,),
        path=((44, 208), (44, 324)),
        label=(51, 236),
    ),
    Arrow(
        sources=ATTEMPT,
        event=events.IdentificationNotPassed,
        targets=STANDING,
        path=((180, 208), (180, 304)),
        label=(180, 253),
        anchor="over",
        note="back to what stood",
    ),
    Arrow(
        sources=ATTEMPT,
        event=events.IdentificationNotPassed,
        targets=(NotPassed,),
        path=((352, 208), (352, 324)),
        label=(352, 253),
        anchor="over",
        note="if nothing is left standing",
    ),
    Arrow(
        sources=(Identified,),
        event=events.ReidentificationRequired,
        targets=(ReidentificationDue,),
        path=((38, 370), (38, 420)),
        label=(45, 399),
    ),
    Arrow(
        sources=STANDING,
        event=events.Displaced,
        targets=(NotPassed,),
        path=((210, 347), (290, 347)),
        label=(247, 340),
        anchor="middle",
    ),
    Arrow(
        sources=(ReidentificationDue,),
        event=events.Lapsed,
        targets=(NotPassed,),
        path=((184, 443), (352, 443), (352, 370)),
        label=(346, 436),
        anchor="end",
    ),
    Arrow(
        sources=_others(Forgotten),
        event=events.UserForgotten,
        targets=(Forgotten,),
        path=((158, 547), (290, 547)),
        label=(221, 540),
        anchor="middle",
    ),
)

ROLE: Final = 'role="img" aria-labelledby="title desc"'
STYLE: Final = """\
text { font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1d2530 }
.name { font-weight: 600; font-size: 13.5px; text-anchor: middle }
.note { font-size: 11.5px; fill: #4a5563 }
.mid { text-anchor: middle }
.end { text-anchor: end }
.card { fill: #ffffff }
.frame { fill: #f3f5f8; stroke: #c3cad4 }
.open { fill: #d8f0dd; stroke: #2e7d46 }
.half { fill: #fdf0cd; stroke: #a57a12 }
.shut { fill: #ececef; stroke: #6b7280 }
.asis { fill: #e0ebfa; stroke: #3b6ea8 }
.any { fill: none; stroke: #6b7280; stroke-dasharray: 4 3 }
.line { fill: none; stroke: #39434f; stroke-width: 1.4 }
.head { fill: #39434f }"""


def identification() -> Drawing:
    """Return the drawing of an identification's states."""
    title = "The states of an identification"
    return Drawing(title, TRANSITIONS, FRAMES, BOXES, ARROWS)


def picture(drawing: Drawing | None = None) -> str:
    """Return a diagram, after comparing its arrows with the table."""
    drawn = drawing or identification()
    _compare(drawn)
    size = f'width="{drawn.width * 5 // 4}" height="{drawn.height * 5 // 4}"'
    box = f'viewBox="{LEFT} {TOP} {drawn.width} {drawn.height}"'
    place = f'x="{LEFT}" y="{TOP}" width="{drawn.width}" height="{drawn.height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} {size} {ROLE}>',
        f'<title id="title">{drawn.title}</title>',
        f'<desc id="desc">{escape(_in_words(drawn))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" {place} rx="8"/>',
    ]
    for each in drawn.frames:
        parts += [
            _rect(each),
            _text(each.left + 14, each.top + each.height - 9, each.title, "note"),
        ]
    for arrow in drawn.arrows:
        parts += _arrow(arrow)
    for each in drawn.boxes:
        parts += _state(each)
    return "\n".join([*parts, "</svg>", ""])


def _compare(drawing: Drawing) -> None:
    """End the run where the picture and the table differ."""
    drawn = {edge for arrow in drawing.arrows for edge in arrow.edges()}
    told = {
        (state, event, target)
        for state, row in drawing.table.items()
        for event, targets in row.items()
        for target in targets
        if target is not state
    }
    if drawn != told:
        raise ValueError(
            f"the picture lacks {_listed(told - drawn)}; the table lacks {_listed(drawn - told)}"
        )


def _listed(edges: Iterable[Edge]) -> str:
    found = (f"{a.__name__} -{event.__name__}-> {b.__name__}" for a, event, b in edges)
    return ", ".join(sorted(found)) or "nothing"


def _in_words(drawing: Drawing) -> str:
    sentences = []
    for arrow in drawing.arrows:
        sources = ", ".join(each.__name__ for each in arrow.sources)
        targets = " or ".join(each.__name__ for each in arrow.targets)
        sentences.append(f"{arrow.event.__name__}: from {sources} to {targets}.")
    return " ".join(sentences)


def _rect(box: Box) -> str:
    radius = 17 if box.look == "any" else 7
    return (
        f'<rect class="{box.look}" x="{box.left}" y="{box.top}" '
        f'width="{box.width}" height="{box.height}" rx="{radius}"/>'
    )


def _text(x: int, y: int, text: str, look: str = "") -> str:
    named = f' class="{look}"' if look else ""
    return f'<text{named} x="{x}" y="{y}">{escape(text)}</text>'


def _state(box: Box) -> Iterator[str]:
    middle = box.left + box.width // 2
    yield _rect(box)
    if box.look == "any":
        yield _text(middle, box.top + 21, box.title, "mid")
    else:
        yield _text(middle, box.top + 20, box.title, "name")
        yield _text(middle, box.top + 37, box.note, "note mid")


def _arrow(arrow: Arrow) -> Iterator[str]:
    *_, (x0, y0), (x1, y1) = arrow.path
    dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
    back = (x1 - 8 * dx, y1 - 8 * dy)
    route = " L".join(f"{x} {y}" for x, y in (*arrow.path[:-1], back))
    side = (4 * dy, 4 * dx)
    corners = (
        (x1, y1),
        (back[0] - side[0], back[1] - side[1]),
        (back[0] + side[0], back[1] + side[1]),
    )
    x, y = arrow.label
    yield f'<path class="line" d="M{route}"/>'
    if arrow.anchor == "over":  # the line is hidden behind its label
        yield f'<rect class="card" x="{x - 60}" y="{y - 14}" width="120" height="34"/>'
    yield f'<path class="head" d="M{" L".join(f"{a} {b}" for a, b in corners)} Z"/>'
    if arrow.anchor == "unsaid":  # its label stands at the arrow that it joins
        return
    look = {"start": "", "middle": "mid", "end": "end", "over": "mid"}[arrow.anchor]
    yield _text(x, y, arrow.event.__name__, look)
    if arrow.note:
        yield _text(x, y + 15, arrow.note, f"note {look}")


# --- the picture of a desk ------------------------------------------------------------

DESK_LETTERS: Final[Mapping[type[Any], str]] = {
    desk_states.Blank: "–",
    desk_states.Asked: "A",
    desk_states.AnswerOwed: "O",
    desk_states.Answered: "G",
    desk_states.Lapsed: "X",
    desk_states.Recorded: "R",
    desk_states.NoticeOwed: "N",
    desk_states.Told: "T",
    desk_states.Withdrawn: "W",
    desk_states.Line: "L",
}


def _from(
    source: Kinds | type[Any],
    event: type[Any],
    target: type[Any],
    path: tuple[Point, ...],
    label: Point,
    *,
    anchor: str = "start",
) -> Arrow:
    sources = source if isinstance(source, tuple) else (source,)
    return Arrow(sources, event, (target,), path, label, anchor)


def desk() -> Drawing:
    """Return the drawing of what an operator keeps: of a question, of a record, of a number."""
    of, on = desk_states, desk_events
    asking, recorded = (of.Asked, of.AnswerOwed), (of.Recorded, of.NoticeOwed)
    none = "nothing kept"
    return Drawing(
        title="The states of what an operator keeps",
        table=DESK_TRANSITIONS,
        width=446,
        height=852,
        frames=(
            Box(10, 96, 230, 168, "frame", "A question"),
            Box(10, 306, 230, 80, "frame", "Kept for a while"),
            Box(10, 560, 196, 168, "frame", "An open record"),
        ),
        boxes=(
            Box(24, 24, 150, 34, "any", none),
            _box(of.Asked, (24, 110), 150, "half", "the base is asked"),
            _box(of.AnswerOwed, (24, 190), 150, "half", "until due"),
            _box(of.Answered, (20, 316), 100, "open", "in time"),
            _box(of.Lapsed, (130, 316), 100, "shut", "an alarm"),
            Box(50, 414, 150, 34, "any", none),
            Box(280, 24, 150, 34, "any", none),
            _box(of.Line, (280, 190), 150, "asis", "ends, holds, records"),
            Box(280, 350, 150, 34, "any", none),
            Box(24, 488, 150, 34, "any", none),
            _box(of.Recorded, (24, 574), 160, "open", "it stands"),
            _box(of.NoticeOwed, (24, 654), 160, "half", "until acknowledged"),
            _box(of.Told, (90, 800), 100, "shut", "for ever"),
            _box(of.Withdrawn, (210, 800), 104, "shut", "for ever"),
        ),
        arrows=(
            _from(of.Blank, on.QuestionReceived, of.Asked, ((50, 58), (50, 110)), (57, 86)),
            _from(of.Asked, on.AnswerFound, of.AnswerOwed, ((50, 156), (50, 190)), (57, 178)),
            _from(asking, on.AnswerGiven, of.Answered, ((50, 264), (50, 316)), (57, 292)),
            _from(asking, on.AnswerLapsed, of.Lapsed, ((160, 264), (160, 316)), (167, 292)),
            _from(
                (of.Answered, of.Lapsed),
                on.QuestionCleared,
                of.Blank,
                ((80, 386), (80, 414)),
                (87, 404),
            ),
            _from(of.Blank, on.CodeRecorded, of.Recorded, ((50, 522), (50, 574)), (57, 550)),
            _from(of.Recorded, on.NoticeRequired, of.NoticeOwed, ((50, 620), (50, 654)), (57, 642)),
            _from(
                of.NoticeOwed,
                on.NoticeAcknowledged,
                of.Told,
                ((156, 700), (156, 800)),
                (149, 768),
                anchor="end",
            ),
            _from(
                of.Blank,
                on.RecordWithdrawn,
                of.Withdrawn,
                ((174, 505), (262, 505), (262, 800)),
                (182, 498),
            ),
            _from(
                recorded,
                on.RecordWithdrawn,
                of.Withdrawn,
                ((206, 644), (262, 644), (262, 800)),
                (182, 498),
                anchor="unsaid",
            ),
            # What leads the same way shares an arrow, and has a label each.
            _from(of.Blank, on.HoldingTold, of.Line, ((304, 58), (304, 190)), (311, 104)),
            _from(of.Blank, on.SubscriptionEnded, of.Line, ((304, 58), (304, 190)), (311, 124)),
            _from(of.Blank, on.RecordListed, of.Line, ((304, 58), (304, 190)), (311, 144)),
            _from(of.Line, on.RecordUnlisted, of.Blank, ((304, 236), (304, 350)), (311, 286)),
            _from(of.Line, on.LineCleared, of.Blank, ((304, 236), (304, 350)), (311, 306)),
        ),
    )


# --- the picture of the register ------------------------------------------------------

CASE_LETTERS: Final[Mapping[type[Any], str]] = {
    case_states.Blank: "–",
    case_states.Registered: "R",
    case_states.Struck: "S",
    case_states.NoticeDrawn: "N",
    case_states.Ordered: "O",
    case_states.OrderUnmet: "U",
    case_states.Restricted: "X",
    case_states.Lifted: "L",
    case_states.Remedied: "M",
    case_states.Closed: "C",
}


def register() -> Drawing:
    """Return the drawing of an entry in the register, and below it of a proceeding."""
    of, on = case_states, case_events
    under_order = (of.Ordered, of.OrderUnmet)
    none = "nothing known"
    return Drawing(
        title="The states of an entry in the register and of a proceeding",
        table=CASE_TRANSITIONS,
        width=446,
        height=726,
        frames=(Box(10, 330, 158, 184, "frame", "The order"),),
        boxes=(
            Box(24, 24, 130, 34, "any", none),
            _box(of.Registered, (24, 96), 130, "open", "it stands"),
            _box(of.Struck, (296, 96), 130, "shut", "until entered again"),
            Box(24, 176, 130, 34, "any", none),
            _box(of.NoticeDrawn, (24, 248), 130, "half", "nothing is ordered"),
            _box(of.Ordered, (24, 344), 130, "half", "until the day due"),
            _box(of.OrderUnmet, (24, 436), 130, "half", "restriction possible"),
            _box(of.Remedied, (296, 399), 130, "open", "in time or late"),
            _box(of.Restricted, (24, 566), 130, "shut", "no access"),
            _box(of.Lifted, (296, 566), 130, "open", "access again"),
            _box(of.Closed, (296, 676), 130, "asis", "for ever"),
        ),
        arrows=(
            _from(of.Blank, on.EnteredInRegister, of.Registered, ((44, 58), (44, 96)), (51, 82)),
            _from(
                of.Registered,
                on.StruckFromRegister,
                of.Struck,
                ((154, 108), (296, 108)),
                (221, 101),
                anchor="middle",
            ),
            _from(
                of.Struck,
                on.EnteredInRegister,
                of.Registered,
                ((296, 130), (154, 130)),
                (228, 146),
                anchor="middle",
            ),
            _from(of.Blank, on.NoticeDrawnUp, of.NoticeDrawn, ((44, 210), (44, 248)), (51, 234)),
            _from(of.NoticeDrawn, on.RemedyOrdered, of.Ordered, ((44, 294), (44, 344)), (51, 318)),
            _from(of.Ordered, on.OrderLapsed, of.OrderUnmet, ((44, 390), (44, 436)), (51, 418)),
            _from(
                under_order,
                on.ViolationRemedied,
                of.Remedied,
                ((168, 422), (296, 422)),
                (230, 415),
                anchor="middle",
            ),
            _from(
                of.OrderUnmet,
                on.AccessRestricted,
                of.Restricted,
                ((140, 482), (140, 566)),
                (133, 546),
                anchor="end",
            ),
            _from(
                of.Restricted,
                on.RestrictionLifted,
                of.Lifted,
                ((154, 589), (296, 589)),
                (223, 582),
                anchor="middle",
            ),
            _from(
                of.NoticeDrawn,
                on.CaseClosed,
                of.Closed,
                ((154, 271), (440, 271), (440, 699), (426, 699)),
                (230, 264),
                anchor="middle",
            ),
            _from(
                under_order,
                on.CaseClosed,
                of.Closed,
                ((168, 358), (440, 358), (440, 699), (426, 699)),
                (230, 351),
                anchor="middle",
            ),
            _from(
                of.Remedied,
                on.CaseClosed,
                of.Closed,
                ((426, 422), (440, 422), (440, 699), (426, 699)),
                (0, 0),
                anchor="unsaid",
            ),
            _from(
                of.Lifted,
                on.CaseClosed,
                of.Closed,
                ((360, 612), (360, 676)),
                (353, 648),
                anchor="end",
            ),
        ),
    )


# --- tables -------------------------------------------------------------------------


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = tuple(head)
    lines = [_row(names), _row("---" for _ in names)]
    return [*lines, *(_row(each) for each in rows)]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


def _page(lines: Iterable[str]) -> str:
    return "\n".join([MADE, "", *lines, ""])


def _first(kind: type[object]) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _link(kind: type[object]) -> str:
    return f"{{py:class}}`~{kind.__module__}.{kind.__name__}`"


def states_table() -> str:
    """Return the list of states, and what each event leads to in each of them."""
    letters = {state: state.__name__[0] for state in STATES}
    return _states_table(letters, EVENTS, TRANSITIONS)


def desk_states_table() -> str:
    """Return the same of the states of an operator's desk."""
    return _states_table(DESK_LETTERS, desk_events.EVENTS, DESK_TRANSITIONS)


def register_states_table() -> str:
    """Return the same of the register and its proceedings."""
    return _states_table(CASE_LETTERS, case_events.EVENTS, CASE_TRANSITIONS)


def due_kinds_table() -> str:
    """Return every kind of line of a calendar."""
    told = member_docstrings(due.__file__, due.DueKind)
    rows = ((f"`{each.value}`", f"`{each.name}`", told[each.name]) for each in due.DueKind)
    return _page(_table(("Kind", "`DueKind`", "It says"), rows))


def _states_table(letters: Mapping[type[Any], str], happens: Kinds, table: Table) -> str:
    if len(set(letters.values())) != len(table):
        raise ValueError("two states have the same letter, or one has none")
    legend = _table(
        ("", "State", "It says"),
        ((f"**{letters[each]}**", _link(each), _first(each)) for each in table),
    )
    cells = _table(
        ("Event", *(letters[each] for each in table)),
        (
            (
                _link(event),
                *(
                    " ".join(letters[each] for each in table[state].get(event, ())) or "·"
                    for state in table
                ),
            )
            for event in happens
        ),
    )
    said = (
        "A column is the state in which the event happens; the cell names the states that may "
        "follow. The letter of the column itself means that the state stays, with other contents; "
        "a dot means that the event is refused there."
    )
    return _page([*legend, "", said, "", *cells])


def reasons_table() -> str:
    """Return every reason with its stable code."""
    told = member_docstrings(states.__file__, Reason)
    rows = ((f"`{each.value}`", f"`{each.name}`", told[each.name]) for each in Reason)
    return _page(_table(("Code", "`Reason`", "It says"), rows))


def member_docstrings(file: str | None, kind: type[Enum]) -> dict[str, str]:
    """Return what stands in the source below each member of an enumeration.

    Raises:
        ValueError: a member has no docstring.
    """
    tree = ast.parse(Path(file or "").read_text("utf-8"))
    body = next(
        each.body
        for each in tree.body
        if isinstance(each, ast.ClassDef) and each.name == kind.__name__
    )
    found: dict[str, str] = {}
    name = ""
    for each in body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            name = each.targets[0].id
        elif name and isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            found[name] = " ".join(str(each.value.value).split())
            name = ""
    if lacking := [each.name for each in kind if each.name not in found]:
        raise ValueError(f"{kind.__name__} says nothing of {', '.join(lacking)}")
    return found


def refusals_table() -> str:
    """Return every refusal of an inbox, as it is replied."""
    rows = (
        (str(each.status), f"`{each.code}`", f"`{each.name}`", f"{each.text}") for each in Refusal
    )
    return _page(_table(("Status", "`code`", "`Refusal`", "`message`"), rows))


def errors_table() -> str:
    """Return every class of error, sorted by who has to act."""
    to_act = member_docstrings(errors.__file__, errors.Fault)
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.AbonentError)
    ]
    lines: list[str] = []
    for fault in errors.Fault:
        rows = (_error(each, _link(each)) for each in kinds if each.fault is fault)
        lines += [f"## {fault.value}", "", f"Who has to act: {_lowered(to_act[fault.name])}", ""]
        lines += [*_table(("Code", "Error", "It says", "Remedy", "Retryable"), rows), ""]
    return _page(lines[:-1])


def command_errors_table() -> str:
    """Return the errors of what runs by itself: the command, and what it simulates."""
    for each in walk_packages(abonent.__path__, "abonent."):
        if not each.name.endswith(".__main__"):
            import_module(each.name)
    kinds = [each for each in _kinds_of(errors.AbonentError) if each.__module__ != errors.__name__]
    rows = (
        (*_error(each, f"`{each.__name__}`")[:-1], each.fault.value)
        for each in sorted(kinds, key=lambda each: (each.code, each.__module__))
    )
    return _page(_table(("Code", "Error", "It says", "Remedy", "Who has to act"), rows))


def _kinds_of(root: type[errors.AbonentError]) -> Iterator[type[errors.AbonentError]]:
    for each in root.__subclasses__():
        if each.__module__.startswith("abonent."):
            yield each
            yield from _kinds_of(each)


def _error(kind: type[errors.AbonentError], name: str) -> tuple[str, ...]:
    retryable = "yes" if kind.retryable else "no"
    return f"`{kind.code}`", name, _first(kind), kind.remedy, retryable


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def names_table() -> str:
    """Return the names of the façade, each with where it is described."""
    return _page(_table(("Name", "Room"), map(_name, abonent.__all__)))


def home_of(name: str) -> str:
    """Return the room where a name of the façade is described.

    Raises:
        ValueError: it is not there.
    """
    value = getattr(abonent, name)
    described = inspect.isclass(value) or inspect.isfunction(value)
    home: str = value.__module__ if described else abonent._HOMES[name]
    if not hasattr(import_module(home), name):
        raise ValueError(f"{home} has no {name}")
    return home


def _name(name: str) -> tuple[str, str]:
    value, home = getattr(abonent, name), home_of(name)
    role = "class" if inspect.isclass(value) else "data"
    if inspect.isfunction(value):
        role = "func"
    return f"{{py:{role}}}`{name} <{home}.{name}>`", f"`{home}`"


# --- all of it ----------------------------------------------------------------------

PARTS: Final[dict[str, Callable[[], str]]] = {
    "states.svg": picture,
    "_states_table.md": states_table,
    "desk.svg": lambda: picture(desk()),
    "_desk_states_table.md": desk_states_table,
    "register.svg": lambda: picture(register()),
    "_register_states_table.md": register_states_table,
    "_due_kinds_table.md": due_kinds_table,
    "_reasons_table.md": reasons_table,
    "_errors_table.md": errors_table,
    "_command_errors_table.md": command_errors_table,
    "_refusals_table.md": refusals_table,
    "_names_table.md": names_table,
}


def main() -> None:
    """Write every part into the folder named on the command line."""
    folder = Path(sys.argv[1])
    for name, make in PARTS.items():
        (folder / name).write_text(make(), "utf-8")


if __name__ == "__main__":
    main()
