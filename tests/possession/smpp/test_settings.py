"""The settings of a link are judged when they are given, and show no password."""

from datetime import timedelta

import attrs
import pytest

from abonent.errors import InvalidValue
from abonent.possession.smpp import Meaning, SmppLink
from abonent.possession.smpp.statuses import meaning

LINK = SmppLink(host="smsc.example", system_id="abonent", password="s3cr3t-pw", source="abonent")
OUT_OF_RANGE = {
    "host": ["", "a b", "x" * 254],
    "port": [0, 65_536],
    "system_id": ["", "x" * 16, "имя", "a b", "a\0b"],
    "password": ["x" * 65, "пароль", "a\0b"],
    "system_type": ["x" * 13],
    "source": ["", "x" * 21, "имя", "a\0b", "a\n"],
    "source_ton": [-1, 7],
    "source_npi": [-1, 19],
    "service_type": ["x" * 6],
    "valid": [timedelta(seconds=59), timedelta(hours=25)],
    "window": [0, 1001],
    "timeout": [timedelta(0), timedelta(seconds=26)],
    "enquire_every": [timedelta(0), timedelta(hours=2)],
    "retry_longest": [timedelta(0), timedelta(hours=2)],
    "id_tag": [0, 0x0204, 0x13FF, 0x4000],
    "remembered": [0, 10_000_001],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_what_is_out_of_range_is_refused_without_being_shown(name, value):
    """The error names the setting, never its value: it may be the password (I9)."""
    with pytest.raises(InvalidValue, match=rf"SmppLink\.{name} is") as raised:
        attrs.evolve(LINK, **{name: value})
    if name == "password":
        assert value not in str(raised.value)


def test_the_password_is_in_no_repr():
    """Nobody reads it in a log or a traceback (I9)."""
    assert "s3cr3t-pw" not in repr(LINK) + str(LINK)


def test_a_source_may_have_spaces():
    """Names of senders have."""
    assert "My Chat" == attrs.evolve(LINK, source="My Chat").source


MEANINGS = {
    0x00: Meaning.TAKEN,
    0x04: Meaning.TRY_LATER,
    0x05: Meaning.TRY_LATER,
    0x08: Meaning.TRY_LATER,
    0x0B: Meaning.NUMBER_REFUSED,
    0x14: Meaning.SLOW_DOWN,
    0x45: Meaning.TRY_LATER,
    0x58: Meaning.SLOW_DOWN,
    0x64: Meaning.TRY_LATER,
    0xFE: Meaning.TRY_LATER,
    0xFF: Meaning.TRY_LATER,
}


def test_every_status_means_something():
    """SMPP 3.4, 5.1.3; what is not known there is for a person to look at."""
    others = [each for each in (*range(0x600), 0xFFFFFFFF) if each not in MEANINGS]
    assert {each: meaning(each, {}) for each in MEANINGS} == MEANINGS
    assert {meaning(each, {}) for each in others} == {Meaning.SETUP}


@pytest.mark.parametrize("said", Meaning)
def test_a_provider_may_mean_something_else(said):
    """What is given for a provider comes before what is built in."""
    assert said == meaning(0x0B, {0x0B: said})
    assert said == meaning(0x0411, {0x0411: said})
    assert Meaning.NUMBER_REFUSED == meaning(0x0B, {0x0411: said})
