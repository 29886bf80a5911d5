"""What is held about a person, said to a person in plain words and to a program as JSON.

Knows how to say it. Refuses to show a whole number unless it is told to (I9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from abonent.cli.telling import words
from abonent.core.events import NumberDisclosed
from abonent.core.numbers import SubscriberNumber
from abonent.holding import Counted, Grounds, HeldFact, Holding

# --- in plain words -----------------------------------------------------------------------


def lines(holding: Holding, show_number: bool = False) -> Iterator[str]:
    """Tell a holding line by line."""
    if holding.status is None:
        yield "Nothing is held about this user."
        return
    yield f"Held about this user on {_at(holding.at)}: {_words(holding.status.value)}"
    gate = "open" if holding.gate.open else "closed"
    why = "" if holding.gate.reason is None else f", {_words(holding.gate.reason.value)}"
    yield f"  the gate is {gate}{why}"
    yield from _section("The record", (_fact(each, show_number) for each in holding.facts))
    yield from _section("Under", (line for each in holding.grounds for line in _ground(each)))
    counts = [f"failed proofs: {_count(each, show_number)}" for each in holding.failures]
    counts += [f"codes sent: {_count(each, show_number)}" for each in holding.sends]
    yield from _section("Counted for 24 hours", counts)
    yield from _section("Notices heard", holding.notices)
    yield from _section("By itself", (f"{_at(at)}: {words}" for at, words in holding.deadlines))
    yield from _section("Given to others", (_disclosed(each) for each in holding.disclosures))
    yield from _section("Numbers in the journal", (_shown(n, show_number) for n in holding.numbers))
    yield from _section(_journal_title(holding), _events(holding))


def _section(title: str, told: Iterable[str]) -> Iterator[str]:
    found = list(told)
    if found:
        yield title
        yield from (f"  {each}" for each in found)


def _fact(fact: HeldFact, show_number: bool) -> str:
    return f"{fact.part}: {fact.words}: {_shown(fact.value, show_number)}"


def _ground(grounds: Grounds) -> Iterator[str]:
    yield f"rule set {grounds.id}" + (f": {grounds.title}" if grounds.title else "")
    for each in grounds.clauses:
        yield f"  {_words(each.figure)}: {each.value} ({each.source})"


def _count(counted: Counted, show_number: bool) -> str:
    number = "" if counted.number is None else f" to {_shown(counted.number, show_number)}"
    return f"{counted.times}{number}, counted until {_at(counted.until)}"


def _disclosed(event: NumberDisclosed) -> str:
    given = _at(event.consent_at)
    return f"{_at(event.at)}: to {event.recipient} for {event.purpose}, by consent of {given}"


def _journal_title(holding: Holding) -> str:
    if not holding.journal:
        return f"The journal: {holding.entries} entries"
    first, last = holding.journal[0].at, holding.journal[-1].at
    return f"The journal: {holding.entries} entries, from {_at(first)} to {_at(last)}"


def _events(holding: Holding) -> Iterator[str]:
    yield from (f"{_at(each.at)}: {words(each.event)}" for each in holding.journal)


def _shown(value: Any, show_number: bool) -> str:
    if isinstance(value, SubscriberNumber):
        return value.e164 if show_number else f"…{value.e164[-2:]}"
    if isinstance(value, datetime):
        return _at(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _words(value: str) -> str:
    return value.replace("_", " ")


# --- as JSON ------------------------------------------------------------------------------


def as_object(holding: Holding, show_number: bool = False) -> dict[str, Any]:
    """Return a holding as JSON has it; instants are ISO 8601, numbers as they are shown."""
    if holding.status is None:
        return {"user": holding.user_id, "held": False}

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        return _shown(value, show_number) if isinstance(value, SubscriberNumber) else value

    def counted(each: Counted) -> dict[str, Any]:
        return {"times": each.times, "until": plain(each.until), "number": plain(each.number)}

    return {
        "user": holding.user_id,
        "held": True,
        "at": plain(holding.at),
        "status": holding.status.value,
        "gate": {
            "open": holding.gate.open,
            "until": plain(holding.gate.until),
            "reason": None if holding.gate.reason is None else holding.gate.reason.value,
        },
        "facts": [
            {"part": f.part, "name": f.name, "words": f.words, "value": plain(f.value)}
            for f in holding.facts
        ],
        "grounds": [
            {
                "rules": each.id,
                "title": each.title,
                "clauses": [
                    {"figure": c.figure, "value": c.value, "source": c.source} for c in each.clauses
                ],
            }
            for each in holding.grounds
        ],
        "failures": [counted(each) for each in holding.failures],
        "sends": [counted(each) for each in holding.sends],
        "notices": list(holding.notices),
        "deadlines": [{"at": plain(at), "words": told} for at, told in holding.deadlines],
        "disclosures": [
            {
                "at": plain(each.at),
                "recipient": each.recipient,
                "purpose": each.purpose,
                "consent_at": plain(each.consent_at),
            }
            for each in holding.disclosures
        ],
        "numbers": [plain(each) for each in holding.numbers],
        "journal": {
            "entries": holding.entries,
            "events": [
                {"at": plain(e.at), "event": type(e.event).__name__, "words": words(e.event)}
                for e in holding.journal
            ],
        },
    }
