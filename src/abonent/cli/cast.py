"""Who plays in the demo: three operators, the users' phones, and where numbers are served.

Knows how each of them behaves: a function of seed and number, whatever order they are asked in.
Refuses to keep time and to know the story.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from itertools import accumulate
from random import Random
from typing import Final

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.ports import CodeMessage, OneTimeCode, Query, Unrouted
from abonent.routing import NumberingPlan
from abonent.simulation import Reply, SimulatedOperator

OPERATORS: Final = ("alpha", "beta", "gamma")
_OF_ONE: Final = 2.0**64
_TRIES_IN_VAIN: Final = 2


class Chance:
    """Draws that depend on the seed and on what is asked about, and on nothing else."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, topic: str, number: SubscriberNumber) -> float:
        """Return a figure in [0, 1) for a number and a topic."""
        text = f"{self._seed}\0{topic}\0{number.e164}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / _OF_ONE

    def stream(self, topic: str) -> Random:
        """Return a generator of draws for a topic, to be used by one thread."""
        return Random(f"{self._seed}/{topic}")


class PresentOperators:
    """A `NumberRouter`: the sample of the numbering plan, corrected by what was ported."""

    test_double = True

    def __init__(self) -> None:
        # The carriers of the sample are dealt out to three operators that nobody knows: what they
        # do here says nothing of any real one.
        names = sorted({each.name for each in NumberingPlan.sample(operators=()).ranges()})
        self._plan = NumberingPlan.sample(
            operators=[
                Operator(id=each, names=tuple(names[place :: len(OPERATORS)]))
                for place, each in enumerate(OPERATORS)
            ]
        )
        self._ported: dict[SubscriberNumber, str] = {}
        ranges = list(self._plan.ranges())
        self._starts = [int(f"7{each.code}{each.first:07d}") for each in ranges]
        self._counts = list(accumulate(each.last - each.first + 1 for each in ranges))

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """Name the operator that serves a number now."""
        return self._ported.get(number) or self._plan.serving(number)

    def ported(self, number: SubscriberNumber) -> bool:
        """Tell whether a number is known to have been ported."""
        return number in self._ported

    def port(self, number: SubscriberNumber, donor: str) -> None:
        """Take a number to the operator after its donor, and let it be known."""
        self._ported[number] = OPERATORS[(OPERATORS.index(donor) + 1) % len(OPERATORS)]

    def draw(self, random: Random) -> SubscriberNumber:
        """Draw a number from the plan, each as likely as any other."""
        place = random.randrange(self._counts[-1])
        at = bisect_right(self._counts, place)
        offset = place - (self._counts[at - 1] if at else 0)
        return SubscriberNumber(f"+{self._starts[at] + offset}")


class Phones:
    """A `CodeSender`: keeps the last code that came to each number, as the users' phones do."""

    test_double = True

    def __init__(self) -> None:
        self._codes: dict[SubscriberNumber, OneTimeCode] = {}

    def send(self, message: CodeMessage) -> None:
        """Deliver a code."""
        self._codes[message.number] = message.code

    def read(self, number: SubscriberNumber) -> OneTimeCode:
        """Return the last code that came to a number."""
        return self._codes[number]


def operators(chance: Chance, present: PresentOperators) -> dict[str, SimulatedOperator]:
    """Return the three operators by id. Most numbers are held; the others are what demos need."""
    return {
        each: SimulatedOperator(each, answers=_habits(each, chance, present)) for each in OPERATORS
    }


def _habits(operator: str, chance: Chance, present: PresentOperators) -> Callable[[Query], Reply]:
    tries: Counter[str] = Counter()  # the operator asks for one reply at a time

    def reply(query: Query) -> Reply:
        draw = chance.of("answer", query.number)
        if draw < 0.03:
            return Reply.SILENCE
        if draw < 0.07:
            return Reply.NOT_HELD
        if draw < 0.08:
            return Reply.UNDETERMINED
        if draw < 0.12 and not present.ported(query.number):
            present.port(query.number, operator)
            return Reply.NOT_OURS
        if 0.12 <= draw < 0.20:
            tries[query.id] += 1
            if tries[query.id] <= _TRIES_IN_VAIN:
                return Reply.UNAVAILABLE
        return Reply.HELD

    return reply


def spelled(number: SubscriberNumber, random: Random) -> str:
    """Write a number in one of the ways in which people do."""
    digits = number.e164[2:]
    code, one, two, three = digits[:3], digits[3:6], digits[6:8], digits[8:]
    return random.choice(
        (
            number.e164,
            f"8{digits}",
            f"8 ({code}) {one}-{two}-{three}",
            f"+7 {code} {one}-{two}-{three}",
            f"8-{code}-{one}-{two}-{three}",
            f"tel:{number.e164}",
            digits,
        )
    )
