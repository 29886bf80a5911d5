"""An officer's file: what it comes to, and what is refused as a whole, by its place."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abonent.compliance import Register, read_register
from abonent.compliance.proceeding.events import EVENTS, OrderLapsed
from abonent.compliance.proceeding.states import Fine, Lifted, Ordered, Registered, Remedied
from abonent.compliance.register_file import FACTS, LARGEST, MOST
from abonent.errors import Fault, NaiveInstant, RegisterFileError
from tests.compliance.proceedings import DUE

NOW = datetime(2027, 6, 1, 9, tzinfo=UTC)
FULL = """\
messenger = "messenger"

[[event]]
on = 2024-02-01
fact = "entered"

[[event]]
on = 2027-03-01
fact = "notice"
case = "2027-17"

[[event]]
on = 2027-03-02
fact = "fine"
case = "2027-17"
roubles = 900_000

[[event]]
on = 2027-03-05
fact = "order"
case = "2027-17"

[[event]]
on = 2027-03-05
fact = "notice"
case = "2027-18"

[[event]]
on = 2027-03-05
fact = "order"
case = "2027-18"

[[event]]
on = 2027-03-20
fact = "remedied"
case = "2027-17"

[[event]]
on = 2027-03-21
fact = "restricted"
case = "2027-18"

[[event]]
on = 2027-04-01
fact = "lifted"
case = "2027-18"

[[event]]
on = 2027-05-21
fact = "notice"
case = "2027-19"

[[event]]
on = 2027-05-22
fact = "order"
case = "2027-19"
"""
ONE = 'messenger = "messenger"\n[[event]]\non = 2027-03-01\nfact = "notice"\ncase = "a"\n'
FINE = ONE + '[[event]]\non = 2027-03-02\nfact = "fine"\ncase = "a"'


def read(tmp_path, text, now=NOW):
    path = tmp_path / "register.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_register(path, now=now)


def refused(tmp_path, text, now=NOW):
    with pytest.raises(RegisterFileError) as error:
        read(tmp_path, text, now)
    assert "register.toml" == error.value.file
    assert "register.toml" in str(error.value)
    assert Fault.SETUP is error.value.fault
    return error.value


def test_a_file_of_facts(tmp_path):
    """Entry, fine, an order met, one not met and one that runs: each as its days tell."""
    found = read(tmp_path, FULL)
    met, unmet, running = found.cases
    assert ("messenger", Registered(since=date(2024, 2, 1))) == (found.messenger, found.entry)
    assert isinstance(met, Remedied)
    assert (True, DUE) == (met.in_time, met.due)
    assert Fine(on=date(2027, 3, 2), roubles=900_000) == met.matter.fine
    assert isinstance(unmet, Lifted)
    assert isinstance(running, Ordered)
    assert date(2027, 6, 6) == running.due
    assert date(2027, 5, 22) == found.last


def test_a_file_without_events(tmp_path):
    """Nothing has happened; that is a fact as well."""
    assert Register(messenger="messenger") == read(tmp_path, 'messenger = "messenger"')
    assert Register(messenger="messenger") == read(tmp_path, '\ufeffmessenger = "messenger"\r\n')


def test_every_fact_has_a_word():
    """All events may be told but the one that the days tell."""
    assert {each for each in EVENTS if each is not OrderLapsed} == set(FACTS.values())


@pytest.mark.parametrize(
    ("said", "line", "key"),
    [
        # what is no day
        ("on = 2027-03-01T10:00:00", 3, "on"),
        ("on = 2027-03-01T10:00:00Z", 3, "on"),
        ("on = 2027-03-01T10:00:00+03:00", 3, "on"),
        ('on = "2027-03-01"', 3, "on"),
        ("on = 10:00:00", 3, "on"),
        ("on = 20270301", 3, "on"),
        ("on = 1027-03-01", 3, "on"),
        ("on = 2199-12-31", 3, "on"),
        ("", 3, "on"),
    ],
)
def test_a_bad_day(tmp_path, said, line, key):
    """An instant, naive or not, a text, a day to come: the event's line and the key are named."""
    text = "\n" + ONE.replace("on = 2027-03-01", said)
    error = refused(tmp_path, text)
    assert (line, key) == (error.line, error.key)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        # what a file holds
        ("", None, "messenger"),
        ("messenger = 7", None, "messenger"),
        ('messenger = "My Messenger"', None, "messenger"),
        (ONE + "[other]", None, "other"),
        ('messenger = "m"\nevent = "x"', None, "event"),
        ('messenger = "m"\nevent = { on = 2027-03-01 }', None, "event"),
        ('messenger = "m"\nevent = [1]', None, "event"),
        # what an event holds
        (ONE.replace('"notice"', '"noticed"'), 2, "fact"),
        (ONE.replace('"notice"', "1"), 2, "fact"),
        (ONE.replace('fact = "notice"', ""), 2, "fact"),
        (ONE.replace('"a"', "7"), 2, "case"),
        (ONE.replace('case = "a"', ""), 2, "case"),
        (ONE.replace('"a"', '"Ivan Petrov"'), 2, "case"),
        (ONE + "roubles = 900000", 2, "roubles"),
        (ONE + "paid = true", 2, "paid"),
        (ONE + '"+79161234567" = 1', 2, None),
        (ONE.replace('"notice"', '"entered"'), 2, "case"),
        # amounts
        (FINE, 6, "roubles"),
        (FINE + "\nroubles = true", 6, "roubles"),
        (FINE + "\nroubles = 9e5", 6, "roubles"),
        (FINE + "\nroubles = 1000001", 6, "roubles"),
        # order
        (ONE + '[[event]]\non = 2027-03-01\nfact = "notice"\ncase = "a"', 6, None),
        (ONE + '[[event]]\non = 2027-02-28\nfact = "notice"\ncase = "b"', 6, None),
        (ONE + '[[event]]\non = 2027-03-01\nfact = "order"\ncase = "b"', 6, None),
        (ONE + '[[event]]\non = 2027-03-01\nfact = "restricted"\ncase = "a"', 6, None),
        # what is no TOML
        (ONE + "[[event]\n", 6, None),
        (ONE + 'case = "b"\n', 6, None),
        (ONE + "roubles = 9" + 5_000 * "0", None, None),
        ("x = " + 2_000 * "[", None, None),
        (b"messenger = '\xff'", None, None),
        (b"\x00", 1, None),
    ],
)
def test_a_bad_file(tmp_path, text, line, key):
    """It is refused as a whole; line and key are named, as far as there are any."""
    error = refused(tmp_path, text)
    assert (line, key) == (error.line, error.key)
    if line is not None:
        assert f"line {line}" in str(error)
    if key is not None:
        assert key in str(error)


@pytest.mark.parametrize("secret", ["+79161234567", "Ivan", "900001999"])
def test_what_stands_there_is_not_quoted(tmp_path, secret):
    """I9: whatever somebody wrote into the file, the error does not repeat it."""
    texts = [
        ONE.replace('"a"', f'"{secret}"') + "x",
        ONE.replace('"notice"', f'"{secret}"'),
        ONE.replace('"a"', f'"{secret} "'),
        ONE + f'"{secret}" = 1',
        f'"{secret}" = 1\n' + ONE,
        f'messenger = "{secret}!"',
        f'messenger = "{secret}',
        ONE + f'[[event]]\non = 2027-03-02\nfact = "fine"\ncase = "a"\nroubles = 9{"1" * 9}',
    ]
    for text in texts:
        told = str(refused(tmp_path, text))
        assert secret not in told
        assert "1" * 9 not in told


def test_today_is_that_of_moscow(tmp_path):
    """What happened today may be told; tomorrow's is no fact yet, and comes three hours earlier."""
    evening = datetime(2027, 2, 28, 20, 59, 59, tzinfo=UTC)
    assert "on" == refused(tmp_path, ONE, evening).key
    assert read(tmp_path, ONE, datetime(2027, 2, 28, 21, tzinfo=UTC)).cases
    with pytest.raises(NaiveInstant):
        read(tmp_path, ONE, datetime(2027, 3, 1))


def test_lines_are_counted_as_an_editor_does(tmp_path):
    """Comments, empty lines and other line ends between change nothing."""
    text = "# one\r\n" + ONE.replace("\n", "\r\n") + "\r\n  [[ event ]]\r\non = 2027-03-02\r\n"
    assert (8, "fact") == (refused(tmp_path, text).line, refused(tmp_path, text).key)


def test_events_without_heads_have_no_line(tmp_path):
    """An array of inline tables is the same to TOML: the event's place is named alone."""
    error = refused(tmp_path, 'messenger = "m"\nevent = [{ on = 2027-03-01 }]')
    assert (None, "fact") == (error.line, error.key)
    assert "event 1" in str(error)


def test_a_large_file(tmp_path):
    """It is refused before it is understood; so are very many events."""
    assert read(tmp_path, ONE + "#" * (LARGEST - len(ONE)))
    assert "KiB" in str(refused(tmp_path, ONE + "#" * (LARGEST - len(ONE) + 1)))
    text = 'messenger = "m"\nevent = [' + "{}," * (MOST + 1) + "]"
    assert f"more than {MOST}" in str(refused(tmp_path, text))


def test_the_largest_file_is_read_soon(tmp_path):
    """As many proceedings as fit are followed in a moment."""
    line = "{on=2027-03-01,fact='notice',case='%d'},"
    text = "messenger='m'\nevent=[" + "".join(line % each for each in range(MOST)) + "]"
    started = time.perf_counter()
    assert MOST == len(read(tmp_path, text).cases)
    assert 5 > time.perf_counter() - started


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_what_is_no_file(tmp_path, name):
    """It is said, and why."""
    with pytest.raises(RegisterFileError, match="cannot be read"):
        read_register(tmp_path / name, now=NOW)


PARTS = st.sampled_from(
    [
        "[[event]]\n",
        "event = [",
        "]",
        "{",
        "}",
        "on = 2027-03-01\n",
        "on = 2027-03-30\n",
        "on = 2027-03-01T00:00:00Z\n",
        'fact = "notice"\n',
        'fact = "order"\n',
        'fact = "restricted"\n',
        'case = "a"\n',
        "roubles = 900000\n",
        'messenger = "m"\n',
        '"""',
        "'",
        "=",
        "x.y.z = 1\n",
        "\n",
        "\r",
        "\0",
        "é",
    ]
)


@given(st.lists(PARTS).map("".join) | st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything(tmp_path, text):
    """A file is taken as a whole or refused by one error, whatever stands in it."""
    try:
        found = read(tmp_path, text.encode("utf-8", "surrogatepass"))
    except RegisterFileError:
        return
    assert "m" == found.messenger
