"""The shipped sample holds what phonenumbers says of carriers, and nothing else."""

import random
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import phonenumbers
import pytest
from phonenumbers import carrier

from abonent.core.numbers import parse_number
from abonent.core.parties import Operator
from abonent.routing import NumberingPlan

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_numbering_sample.py"
SAMPLE = files("abonent.routing") / "numbering-sample.csv"

BIG_FOUR = (
    Operator(id="mts", names=("MTS",)),
    Operator(id="megafon", names=("МегаФон",)),
    Operator(id="beeline", names=("Билайн",)),
    Operator(id="t2", names=("Tele2",)),
)


def drawn_from():
    """The version of phonenumbers that the head of the sample names."""
    head = SAMPLE.read_text(encoding="utf-8")
    return re.search(r"phonenumbers (\S+) ", head)[1]


def probes(each):
    """Both ends of a range, and numbers from its inside."""
    chosen = random.Random(int(each.code) * 10_000_000 + each.first)
    inside = [chosen.randint(each.first, each.last) for _ in range(20)]
    return [f"+7{each.code}{last:07d}" for last in (each.first, each.last, *inside)]


def confirmed(each):
    """Whether phonenumbers names this carrier for every number that is looked at."""
    parsed = [phonenumbers.parse(number) for number in probes(each)]
    return all(carrier.name_for_number(number, "ru") == each.name for number in parsed)


def test_every_range_is_a_fact_of_phonenumbers():
    """Each number looked at has the carrier that its range names.

    Another release than the one named in the head may have moved a few prefixes.
    """
    ranges = list(NumberingPlan.sample(operators=()).ranges())
    wrong = [each for each in ranges if not confirmed(each)]
    allowed = 0 if phonenumbers.__version__ == drawn_from() else len(ranges) // 10
    assert len(wrong) <= allowed


def test_the_sample_is_what_its_script_writes(tmp_path):
    """The committed file can be made again, to the byte, from the release that its head names."""
    # The file that is read is tested above in any case; this is about making it again.
    if not SCRIPT.exists():
        pytest.skip("the script is not in the source distribution")
    if phonenumbers.__version__ != drawn_from():
        pytest.skip("another release of phonenumbers than the sample was drawn from")
    made = tmp_path / "sample.csv"
    subprocess.run([sys.executable, str(SCRIPT), str(made)], check=True)
    assert SAMPLE.read_bytes() == made.read_bytes()


def test_the_sample_is_small_and_mobile():
    """A few hundred ranges, all in mobile codes; regions are not known and not made up."""
    ranges = list(NumberingPlan.sample(operators=()).ranges())
    assert 200 <= len(ranges) <= 600
    assert {"9"} == {each.code[0] for each in ranges}
    assert {""} == {each.region for each in ranges}


def test_the_sample_says_what_it_is():
    """The head says that it is a sample, where it is from, and under which licence."""
    text = SAMPLE.read_text(encoding="utf-8")
    head = [line for line in text.splitlines() if line.startswith("#")]
    for word in ("NOT the official plan", "phonenumbers", "Apache License 2.0"):
        assert word in " ".join(head)


def test_the_sample_serves_the_large_operators():
    """Each of the four has numbers in it that can be claimed."""
    plan = NumberingPlan.sample(operators=BIG_FOUR)
    served = {each.operator: each for each in plan.ranges() if each.operator}
    assert {each.id for each in BIG_FOUR} == set(served)
    for operator, each in served.items():
        for text in probes(each):
            assert plan.serving(parse_number(text).number) == operator
