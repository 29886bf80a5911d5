"""The numbering plan: which operator each range of Russian numbers was given to.

Knows the layout of the registry's files and a look-up by interval. Refuses to know whether a
number was ported, unless a second file says so, and to guess where files contradict themselves.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from importlib.resources import as_file, files
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Final, final

from attrs import define, field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.ports import Unrouted
from abonent.routing.lines import OnError, RejectedLine, Rejections, opened, rows
from abonent.routing.ported import PortedNumbers, read_ported
from abonent.routing.spelling import Roster

_SAMPLE: Final = "numbering-sample.csv"
_HEAD: Final = ("от", "до", "емкость", "оператор", "регион")
# Codes that begin with 6 or 7 are Kazakhstan's share of +7; 0 to 2 are nobody's.
_CODE: Final = re.compile(r"[34589][0-9]{2}", re.ASCII)
_ENDS: Final = re.compile(r"[0-9]{1,7}", re.ASCII)
_CAPACITY: Final = re.compile(r"[0-9]{1,8}", re.ASCII)
_CODE_SIZE: Final = 10_000_000
_NOT_GIVEN: Final = ("-", "–", "—")


@frozen(kw_only=True)
class NumberRange:
    """One range of the plan: the numbers `code` + `first` … `last`, both inclusive.

    `code` has three digits, `first` and `last` are 0 to 9,999,999 (the seven digits after it).
    `operator` is the id of a configured operator, or None; `name` is the plan's spelling of it.
    `region` is "" where the plan gives none.
    """

    code: str
    first: int
    last: int
    operator: str | None
    name: str
    region: str


@define(kw_only=True, repr=False)
class _Ranges:
    """Ranges in parallel columns, all of one length; ends are ten-digit national numbers."""

    starts: array[int] = field(factory=lambda: array("Q"))
    ends: array[int] = field(factory=lambda: array("Q"))
    operators: array[int] = field(factory=lambda: array("I"))
    regions: array[int] = field(factory=lambda: array("I"))
    lines: array[int] = field(factory=lambda: array("I"))
    region_names: list[str] = field(factory=list)

    def picked(self, order: Iterable[int]) -> _Ranges:
        """Return the ranges with these positions, in this order."""
        at = list(order)
        return _Ranges(
            starts=array("Q", map(self.starts.__getitem__, at)),
            ends=array("Q", map(self.ends.__getitem__, at)),
            operators=array("I", map(self.operators.__getitem__, at)),
            regions=array("I", map(self.regions.__getitem__, at)),
            lines=array("I", map(self.lines.__getitem__, at)),
            region_names=self.region_names,
        )


@final
class NumberingPlan:
    """A `NumberRouter` over a file of the numbering plan and a file of ported numbers.

    It is built once, by `load`, `read` or `sample`, and never changes: a newer file makes a new
    plan. Safe to share between threads. Its repr counts and shows no number.
    """

    __slots__ = ("_ported", "_ranges", "_rejected", "_roster")

    def __init__(
        self,
        ranges: _Ranges,
        ported: PortedNumbers,
        roster: Roster,
        rejected: tuple[RejectedLine, ...],
    ) -> None:
        self._ranges = ranges
        self._ported = ported
        self._roster = roster
        self._rejected = rejected

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        operators: Iterable[Operator],
        on_error: OnError = "raise",
        ported: str | PathLike[str] | None = None,
    ) -> NumberingPlan:
        """Read a plan, and ported numbers, from files in UTF-8 or cp1251.

        Args:
            path: a file of the registry, such as `DEF-9xx.csv`.
            operators: those to recognise, by their `names`.
            on_error: "raise" at the first bad line, or "skip" bad lines and list them in
                `rejected`.
            ported: a file with a ported number and its operator (id or name) on each line.

        Raises:
            NumberingPlanError: a file cannot be read, has a bad line (unless skipped), has other
                columns, or holds no range at all. `file` and `line` say where.
            InvalidValue: two operators share an id or a name.
        """
        with ExitStack() as stack:
            lines = stack.enter_context(opened(Path(path)))
            moved = None if ported is None else stack.enter_context(opened(Path(ported)))
            return cls.read(
                lines,
                operators=operators,
                on_error=on_error,
                ported=moved,
                name=str(path),
                ported_name="" if ported is None else str(ported),
            )

    @classmethod
    def read(
        cls,
        lines: Iterable[str | None],
        *,
        operators: Iterable[Operator],
        on_error: OnError = "raise",
        ported: Iterable[str | None] | None = None,
        name: str = "numbering plan",
        ported_name: str = "ported numbers",
    ) -> NumberingPlan:
        """Read a plan from lines of text; None stands for a line that could not be decoded.

        `name` and `ported_name` are what errors call the two sources. Otherwise as `load`.
        """
        roster = Roster(operators)
        plan, moved = Rejections(name, on_error), Rejections(ported_name, on_error)
        ranges = _without_overlaps(_read_ranges(lines, roster, plan), plan)
        if not ranges.starts:
            raise plan.error(None, "no range of numbers in it")
        numbers = read_ported(() if ported is None else ported, roster, moved)
        rejected = [*sorted(plan.lines, key=_place), *sorted(moved.lines, key=_place)]
        return cls(ranges, numbers, roster, tuple(rejected))

    @classmethod
    def sample(cls, *, operators: Iterable[Operator]) -> NumberingPlan:
        """Read the small plan that comes with the package, for demos and tests.

        Its ranges are carrier-by-prefix facts of phonenumbers, as its head says. It covers a part
        of the mobile codes and is not the official plan.
        """
        with as_file(files("abonent.routing") / _SAMPLE) as path:
            return cls.load(path, operators=operators)

    @property
    def rejected(self) -> tuple[RejectedLine, ...]:
        """The lines that were left out (with on_error="skip"), those of the plan first."""
        return self._rejected

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """Return the id of the operator that serves the number, or why none is known.

        A ported number is with the operator it was ported to, also if that one is unknown here.
        A number outside of Russia is in no range.
        """
        if not number.e164.startswith("+7") or len(number.e164) != 12:
            return Unrouted.UNKNOWN_RANGE
        national = int(number.e164[2:])
        index = self._ported.operator(national)
        if index is None:
            ranges = self._ranges
            at = bisect_right(ranges.starts, national) - 1
            if at < 0 or ranges.ends[at] < national:
                return Unrouted.UNKNOWN_RANGE
            index = ranges.operators[at]
        return self._roster.ids[index] or Unrouted.UNKNOWN_OPERATOR

    def ranges(self) -> Iterator[NumberRange]:
        """Return the ranges of the plan in ascending order; ported numbers do not show in it."""
        held = self._ranges
        for at, start in enumerate(held.starts):
            code, first = divmod(start, _CODE_SIZE)
            operator = held.operators[at]
            yield NumberRange(
                code=str(code),
                first=first,
                last=held.ends[at] % _CODE_SIZE,
                operator=self._roster.ids[operator],
                name=self._roster.names[operator],
                region=held.region_names[held.regions[at]],
            )

    def __repr__(self) -> str:
        return (
            f"NumberingPlan({len(self._ranges.starts)} ranges, {len(self._ported)} ported numbers,"
            f" {len(self._rejected)} rejected lines)"
        )


def _place(rejected: RejectedLine) -> int:
    return rejected.line


# --- reading ------------------------------------------------------------------------


def _read_ranges(lines: Iterable[str | None], roster: Roster, rejections: Rejections) -> _Ranges:
    ranges = _Ranges()
    regions: dict[str, int] = {}
    first_row = True
    for line, columns in rows(lines, rejections):
        head = first_row and not any(each.isdigit() for each in "".join(columns[:4]))
        first_row = False
        if head:
            _check_head(columns, line, rejections)
            continue
        fault = _fault(columns)
        if fault is not None:
            rejections.reject(line, fault)
            continue
        # Stripped as `_fault` does it: int() by itself leaves some separators of ASCII standing.
        code, first, last = (int(each.strip()) for each in columns[:3])
        base = code * _CODE_SIZE
        region = columns[5].strip()
        region = "" if region in _NOT_GIVEN else region
        ranges.starts.append(base + first)
        ranges.ends.append(base + last)
        ranges.operators.append(roster.index(columns[4].strip()))
        ranges.regions.append(regions.setdefault(region, len(regions)))
        ranges.lines.append(line)
    ranges.region_names = list(regions)
    return ranges


def _check_head(columns: list[str], line: int, rejections: Rejections) -> None:
    """Refuse a file in another order of columns: every line of it would be read amiss."""
    names = tuple(each.strip().casefold().replace("ё", "е") for each in columns[1:6])
    if names != _HEAD:
        reason = (
            "the columns are not code; from; to; capacity; operator; region, as in the registry"
        )
        raise rejections.error(line, reason)


def _fault(columns: list[str]) -> str | None:
    """Say what is wrong with the columns of a range, if anything is."""
    if len(columns) < 6:
        return f"{len(columns)} columns, where at least 6 are needed"
    code, first, last, capacity, operator = (each.strip() for each in columns[:5])
    if not _CODE.fullmatch(code):
        return "the code is not three digits beginning with 3, 4, 5, 8 or 9"
    if not _ENDS.fullmatch(first) or not _ENDS.fullmatch(last):
        return "from and to are not 1 to 7 digits each"
    if int(last) < int(first):
        return "the range ends before it begins"
    if not _CAPACITY.fullmatch(capacity) or int(capacity) != int(last) - int(first) + 1:
        return "the capacity is not the count of numbers from the first to the last"
    if not operator:
        return "no operator"
    return None


def _without_overlaps(ranges: _Ranges, rejections: Rejections) -> _Ranges:
    """Sort the ranges and reject all that overlap: which of two is right cannot be told."""
    starts = ranges.starts
    if any(after < before for before, after in pairwise(starts)):
        ranges = ranges.picked(sorted(range(len(starts)), key=starts.__getitem__))
    overlapping: set[int] = set()
    furthest = 0
    for at in range(1, len(ranges.starts)):
        if ranges.starts[at] <= ranges.ends[furthest]:
            # The later line goes first: it is the one that an error is raised for.
            later = ranges.lines[at] > ranges.lines[furthest]
            pairs = ((at, furthest), (furthest, at))
            for one, other in pairs if later else reversed(pairs):
                if one not in overlapping:
                    overlapping.add(one)
                    reason = f"the range overlaps that of line {ranges.lines[other]}"
                    rejections.reject(ranges.lines[one], reason)
        if ranges.ends[at] > ranges.ends[furthest]:
            furthest = at
    if not overlapping:
        return ranges
    return ranges.picked(at for at in range(len(ranges.starts)) if at not in overlapping)
