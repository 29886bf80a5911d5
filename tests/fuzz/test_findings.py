"""What fuzzing found, kept as tests; and that the targets themselves can fail."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest

from abonent.core.numbers import SubscriberNumber
from abonent.errors import RecordDamaged
from abonent.keys import MemoryKeys
from abonent.ports import Keys
from abonent.routing import NumberingPlan
from abonent.sealing import Keyring
from tests.fuzz.targets import LONGEST, PLANTED, TARGETS, Broken, Target
from tests.routing.files import HEAD, OPERATORS, row

RING = Keyring(MemoryKeys(Keys(current="k1", roots={"k1": bytes(32)})), "aviso")


def mutations(target: Target, count: int) -> Iterator[bytes]:
    """Seeds with a few bytes changed, doubled or gone; the same ones every time."""
    chance = random.Random(7)
    seeds = target.seeds()
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)][:LONGEST])
        for _ in range(chance.randint(0, 3)):
            at = chance.randint(0, len(data))
            match chance.randrange(3):
                case 0:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del data[at : at + chance.randint(1, 4)]
                case _:
                    data[at:at] = data[at : at + chance.randint(1, 8)]
        yield bytes(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda each: each.name)
def test_a_few_hundred_inputs_break_no_promise(target):
    """Every reader keeps its promise on its seeds and on slightly damaged ones (I9)."""
    for data in mutations(target, 200):
        target.check(data)


def test_a_fault_is_found():
    """A reader without its guard against damage is caught by the same inputs."""

    def check_all() -> None:
        for data in mutations(PLANTED, 2000):
            PLANTED.check(data)

    with pytest.raises((Broken, msgspec.MsgspecError, TypeError, ValueError)):
        check_all()


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\x1c", "\x1f"])
def test_blanks_around_a_column_of_a_plan(blank):
    """Whatever counts as a blank around one column of a range counts around every column."""
    columns = row(916, 0, 99, "Alpha").split(";")
    line = ";".join(f"{blank}{each}{blank}" for each in columns)
    plan = NumberingPlan.read([HEAD, line], operators=OPERATORS)
    assert "alpha" == plan.serving(SubscriberNumber("+79160000099"))


@pytest.mark.parametrize(
    "header", [b"\x02\x02", b"\x01\n", b"\x02K1", b"\x00", b"\x11" + b"a" * 17]
)
def test_what_cannot_be_a_key_id_is_damage(header):
    """A row whose header holds no possible key id is damaged, and no error repeats the header."""
    with pytest.raises(RecordDamaged) as refused:
        RING.open_row(b"p" * 16, 7, header + bytes(40))
    assert str(refused.value).isprintable()
