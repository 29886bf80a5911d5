"""Write the numbering sample from what phonenumbers knows of Russian carriers.

Knows how prefixes become ranges. Refuses to invent: a range is written only where the data names
its carrier in Russian and in English, and only numbers that phonenumbers knows to be mobile.

    python scripts/make_numbering_sample.py src/abonent/routing/numbering-sample.csv
"""

# ruff: noqa: INP001 - a script is run, never imported

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import phonenumbers
from phonenumbers.carrierdata import CARRIER_DATA

HEAD = """\
# A sample in the layout of the Russian numbering plan, for demos and tests. NOT the official plan.
# Drawn from the carrier-by-prefix facts in phonenumbers {version} (Apache License 2.0): each range
# is a prefix, or adjoining prefixes, of one carrier, named in Russian as it is there. No range is
# invented; those that the data does not name in both Russian and English are left out. Regions,
# territories and taxpayer numbers are not in that data, so those columns are empty here.
# Made by scripts/make_numbering_sample.py.
АВС/ DEF;От;До;Емкость;Оператор;Регион;Территория ГАР;ИНН
"""
SIZE = 10_000_000
LONGEST = max(map(len, CARRIER_DATA))


def carrier(digits: str) -> str | None:
    """Return the carrier of a number given as 7XXXXXXXXXX, if it is mobile and has one."""
    number = phonenumbers.PhoneNumber(country_code=7, national_number=int(digits[1:]))
    if phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.MOBILE:
        return None
    for length in range(LONGEST, 1, -1):
        names = CARRIER_DATA.get(digits[:length])
        if names is not None:
            return names["ru"] if "ru" in names and "en" in names else None
    return None


def ranges(code: int) -> Iterator[tuple[int, int, str]]:
    """Return the ranges of a code as first, last and carrier; adjoining ones are joined."""
    # Which numbers are mobile is told by six digits; the last four never matter to it.
    cuts = set(range(0, SIZE + 1, 10_000))
    for prefix in CARRIER_DATA:
        if prefix.startswith(f"7{code}"):
            first = int(prefix[4:].ljust(7, "0"))
            cuts |= {first, first + 10 ** (11 - len(prefix))}
    edges = sorted(cuts)
    start, name = 0, carrier(f"7{code}{0:07d}")
    for edge in edges[1:]:
        following = carrier(f"7{code}{edge:07d}") if edge < SIZE else None
        if edge == SIZE or following != name:
            if name is not None:
                yield start, edge - 1, name
            start, name = edge, following


def sample() -> str:
    """Return the whole file as text."""
    rows = [
        f"{code};{first:07d};{last:07d};{last - first + 1};{name};-;-;\n"
        for code in range(900, 1000)
        for first, last, name in ranges(code)
    ]
    return HEAD.format(version=phonenumbers.__version__) + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(sample(), encoding="utf-8", newline="\n")
