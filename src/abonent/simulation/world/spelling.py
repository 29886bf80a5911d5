"""How people write numbers, and what they write that is none.

Knows texts. Refuses to know what is made of them.
"""

from __future__ import annotations

from random import Random
from typing import Final

from abonent.core.numbers import SubscriberNumber

MISTYPED: Final = (
    ("112", "NUMBER_NOT_MOBILE"),
    ("8 800 555-35-35", "NUMBER_NOT_MOBILE"),
    ("+7 495 123-45-67", "NUMBER_NOT_MOBILE"),
    ("+7 701 123 45 67", "NUMBER_REGION"),
    ("+44 7911 123456", "NUMBER_REGION"),
    ("8 916 123-45-67 доб. 12", "NUMBER_EXTENSION"),
    ("8 916 CALL-NOW", "NUMBER_UNPARSABLE"),
    ("+7 916 12", "NUMBER_UNPARSABLE"),
    ("", "NUMBER_UNPARSABLE"),
    ("9" * 65, "NUMBER_UNPARSABLE"),
)
"""What is no number that can be identified, and by which error it is refused."""

_FULL_WIDTH: Final = {ord("0") + i: ord("０") + i for i in range(10)}


def spelled(number: SubscriberNumber, draw: Random) -> str:
    """Write a number in one of the ways in which people do."""
    digits = number.e164[2:]
    code, one, two, three = digits[:3], digits[3:6], digits[6:8], digits[8:]
    return draw.choice(
        (
            number.e164,
            f"8{digits}",
            f"8 ({code}) {one}-{two}-{three}",
            f"+7 {code} {one} {two} {three}",
            f"tel:{number.e164}",
            digits,
            f"8{digits}".translate(_FULL_WIDTH),
        )
    )
