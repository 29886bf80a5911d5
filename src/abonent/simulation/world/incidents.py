"""Incidents: processes that die, clocks that step, stores and operators out of reach, new keys.

Knows what befalls whom on which day. Refuses to know what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from random import Random
from typing import Final

from abonent.simulation.world.carriers import Carrier
from abonent.simulation.world.faults import Faults
from abonent.simulation.world.processes import Process
from abonent.simulation.world.services import Service, Surroundings

DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)
PLACES: Final = (
    "before commit",
    "after commit",
    "after due",
    *(
        f"{when} {what}"
        for when in ("before", "after")
        for what in ("send_code", "ask_operator", "record", "withdraw")
    ),
)
"""Where a process may die."""

Befall = Callable[[Random], object]


def enter_incidents(around: Surroundings, days: float) -> None:
    """Enter into the agenda what goes wrong, day by day."""
    start = around.agenda.now
    for day in range(int(days)):
        for name, rate, befall in _possible(around):
            draw = around.chance.of("incident", name, day)
            if draw.random() < rate:
                at = start + DAY * (day + draw.random())
                around.agenda.at(at, partial(befall, draw))


def _possible(around: Surroundings) -> Iterator[tuple[str, float, Befall]]:
    faults: Faults = around.faults
    for service in around.services:
        name = service.messenger.id
        yield f"{name} shut", faults.store_outage, partial(_shut, service)
        yield f"{name} rotated", faults.key_rotation, partial(_rotate, service)
        for each in service.processes:
            yield f"{each} crash", faults.process_crash, partial(_crash, each)
            yield f"{each} preempted", faults.process_preempted, partial(_preempt, each)
            yield f"{each} clock", faults.clock_step, partial(_step, each)
    for carrier in around.carriers.values():
        yield f"{carrier.id} deaf", faults.operator_outage, partial(_deafen, carrier)


def _crash(process: Process, draw: Random) -> None:
    process.crash_at = (draw.choice(PLACES), draw.randrange(3))


def _preempt(process: Process, _: Random) -> None:
    """Let the other process sweep while this one is about to commit."""
    others = [each for each in process.service.processes if each is not process]
    process.rival = lambda: process.service.sweep_in(others[0])


def _step(process: Process, draw: Random) -> None:
    """Set a clock forward or back, and right again some time later."""
    service = process.service
    service.clocks_stepped = True
    process.clock.offset = MINUTE * draw.choice((-10.0, -0.1, 0.1, 10.0)) * draw.random()
    wrong = process.clock.offset.total_seconds()
    service.around.note("the clock of {} is wrong by {:.0f} s", process, wrong)
    service.around.watch.saw("a clock that stepped")

    def put_right() -> None:
        process.clock.offset = timedelta(0)

    service.around.agenda.after(DAY * draw.random(), put_right)


def _rotate(service: Service, _: Random) -> None:
    service.rotates_soon = True


def _shut(service: Service, draw: Random) -> None:
    around = service.around
    service.shut_until = around.agenda.now + MINUTE * draw.choice((1, 10, 100)) * draw.random()
    around.note("the store of {} is out of reach", service.messenger.id)


def _deafen(carrier: Carrier, draw: Random) -> None:
    carrier.deaf_until = (
        carrier.around.agenda.now + DAY * draw.choice((0.02, 0.1, 1.6)) * draw.random()
    )
