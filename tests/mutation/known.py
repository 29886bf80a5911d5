"""The survivors that are known: mutants that no test can kill, each with the reason.

Knows how an entry names a mutant: by what changed and in which function, never by a line number.
An entry whose mutant was killed, or does not exist any more, is out of date and has to go.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from attrs import field, frozen

from tests.mutation.mutants import Mutant

FILE = Path(__file__).with_name("equivalent.toml")


@frozen(kw_only=True)
class Known:
    """One entry of the file. `was` and `now` are what a survivor is listed with."""

    path: str
    where: str
    operator: str
    was: str
    now: str = ""
    reason: str = field(eq=False)

    def names(self, mutant: Mutant) -> bool:
        """Tell whether the entry names this mutant."""
        one = (self.path, self.where, self.operator, self.was, self.now)
        return one == (mutant.path, mutant.where, mutant.operator, mutant.was, mutant.now)


def load(section: str, file: Path = FILE) -> tuple[Known, ...]:
    """Read the entries of a section, `suite` or `guards`.

    Raises:
        ValueError: an entry has no reason, or unknown or missing keys.
    """
    entries = tomllib.loads(file.read_text("utf-8")).get(section, [])
    found: list[Known] = []
    for entry in entries:
        try:
            known = Known(**entry)
        except TypeError as error:
            raise ValueError(f"{file.name}, {section} {entry.get('was')!r}: {error}") from None
        if not known.reason.strip():
            raise ValueError(f"{file.name}, {section} {known.was!r}: no reason is given")
        found.append(known)
    return tuple(found)


def reason_for(mutant: Mutant, known: Iterable[Known]) -> str | None:
    """Return why a mutant is known to survive, or None."""
    return next((each.reason for each in known if each.names(mutant)), None)


def out_of_date(
    known: Iterable[Known], mutants: Iterable[Mutant], judged: Iterable[tuple[Mutant, bool]]
) -> list[tuple[Known, str]]:
    """Return the entries that name no mutant, or none that survived; `judged` says who died.

    One entry may name several mutants, where a function says the same thing twice.
    """
    everyone, verdicts = list(mutants), list(judged)
    stale: list[tuple[Known, str]] = []
    for each in known:
        died = [killed for mutant, killed in verdicts if each.names(mutant)]
        if not any(map(each.names, everyone)):
            stale.append((each, "no such mutant"))
        elif died and all(died):
            stale.append((each, "killed"))
    return stale
