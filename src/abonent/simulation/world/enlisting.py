"""The users that a messenger had before: its old table, and how it is taken over.

Knows what the table says, right or not. Refuses to know what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from abonent.core.numbers import SubscriberNumber
from abonent.engine.importing import DeclaredUser, ImportReport, RejectedUser
from abonent.simulation.world.books import Listed
from abonent.simulation.world.ground import OPERATORS
from abonent.simulation.world.services import Service
from abonent.simulation.world.spelling import MISTYPED, spelled

if TYPE_CHECKING:
    from abonent.simulation.world.people import People

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_TRIES: Final = 4
_LOOKS: Final = 60


def enlist(people: People, person: int) -> None:
    """Take over a person from the old table of a messenger of theirs, perhaps with others."""
    draw = people.draw("enlist", person)
    service = draw.choice(people.services(person))
    if draw.random() < 0.3 and _overtake(people, draw, service, person):
        return
    many = draw.choice((0, 0, 2, 6))
    others = draw.sample(range(people.world.subscribers), min(many, people.world.subscribers))
    persons = [each for each in others if service in people.services(each) and each != person]
    rows = [_listed(people, draw, each) for each in (person, *persons)]
    rows += _mistakes(people, draw, rows)
    draw.shuffle(rows)
    _take_over(people, service, person, tuple(rows), 1)


def _listed(people: People, draw: Random, person: int) -> Listed:
    """What the table says of a person: the number they had long ago, with or without details."""
    world = people.world
    number = world.listed[person]
    operator = draw.choice(
        (None, None, None, world.ground.homes[number], world.ground.serving(number))
    )
    ago = 400 * _DAY * draw.random()
    return _row(people, draw, person, number, operator=operator, ago=ago)


def _row(
    people: People,
    draw: Random,
    person: int,
    number: SubscriberNumber,
    *,
    operator: str | None,
    ago: timedelta,
) -> Listed:
    row = DeclaredUser(
        user_id=people.user(person),
        number=spelled(number, draw),
        proven_at=people.world.agenda.now - ago,
        operator=operator,
    )
    return Listed(row=row, number=number)


def _mistakes(people: People, draw: Random, rows: list[Listed]) -> Iterator[Listed]:
    """Rows that are wrong, each in a way of its own."""
    if draw.random() < 0.3:  # the number of another, who may be in the same table
        person, victim = (draw.randrange(people.world.subscribers) for _ in range(2))
        number = people.world.ground.number_of(victim) or people.world.listed[victim]
        operator = draw.choice((None, *OPERATORS))
        yield _row(people, draw, person, number, operator=operator, ago=_DAY)
    if draw.random() < 0.2:  # one that was there already, once more
        yield draw.choice(rows)
    if draw.random() < 0.1:
        text, code = draw.choice(MISTYPED)
        now = people.world.agenda.now
        user = people.user(draw.randrange(people.world.subscribers))
        row = DeclaredUser(user_id=user, number=text, proven_at=now - _DAY)
        yield Listed(row=row, number=None, mistyped=code)
    if draw.random() < 0.1:
        person = draw.randrange(people.world.subscribers)
        number = people.world.listed[person]
        operator, ago = draw.choice((("nobody", _DAY), (None, -_HOUR)))
        yield _row(people, draw, person, number, operator=operator, ago=ago)


def _overtake(people: People, draw: Random, service: Service, person: int) -> bool:
    """Have a number claimed and, while an operator is asked about it, declared another user's.

    They have just shown the messenger that it is theirs: later than who waits for the operator.
    """
    world, book = people.world, people.world.watch.book(service)
    claimer = draw.randrange(world.subscribers)
    number = world.ground.number_of(claimer)
    if number is None or claimer == person or service not in people.services(claimer):
        return False
    if book.holder(number) is not None:
        return False

    def look(turn: int) -> None:
        if book.asked(number):
            row = _row(people, draw, person, number, operator=None, ago=timedelta(0))
            _take_over(people, service, person, (row,), 1)
        elif turn < _LOOKS:
            people.soon(15 * _SECOND, lambda: look(turn + 1))

    people.claim(claimer, service, number)
    look(1)
    return True


def _take_over(
    people: People, service: Service, person: int, rows: tuple[Listed, ...], turn: int
) -> None:
    """Import rows; where that was ended, import the same rows again."""
    world = people.world
    rejected: list[RejectedUser] = []
    book = world.watch.book(service)
    users = {each.row.user_id for each in rows}
    numbers = {each.number for each in rows if each.number is not None}
    holders = {number: book.holder(number) for number in numbers}
    world.note("{} imports {}", service, ", ".join(sorted(users)))
    answer = people.call(
        service,
        "import",
        person,
        lambda it: it.import_identified([each.row for each in rows], rejected=rejected.append),
        user="",
        rows=rows,
        rejected=rejected,
        knew={user for user, account in book.users.items() if not account.gone},
        held={number: each.user for number, each in holders.items() if each is not None},
        again=turn > 1,
    )
    if not isinstance(answer, ImportReport) and turn < _TRIES:
        if answer is not None:
            world.watch.saw("an import that was ended")
        wait = _HOUR * people.draw("again", person).random()
        people.soon(wait, lambda: _take_over(people, service, person, rows, turn + 1))
