"""Lists of numbers, as people have them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from abonent.cli import lists
from abonent.cli.lists import NumbersUnreadable, read_numbers
from abonent.core.policy import Policy
from tests.cli.observing import run

TWO = ["+79000000001", "+79000000002"]


def read(tmp_path: Path, raw: bytes) -> tuple[list[str], list[tuple[int, str]]]:
    path = tmp_path / "list"
    path.write_bytes(raw)
    found = read_numbers(path, Policy())
    return (
        [each.number.e164 for each in found.numbers],
        [(each.line, each.reason) for each in found.rejected],
    )


@pytest.mark.parametrize(
    "text",
    [
        "89000000001\n8 (900) 000-00-02\n",
        "89000000001\r\n\r\n+7 900 000 00 02",
        "89000000001\r9000000002\r",
        "number\n89000000001\n89000000002\n",
        "Номер телефона;Кто\n89000000001;a\n89000000002;b\n",
        "phone,who\n89000000001,a\n89000000002,b\n",
        "who\tphone\n89000000001\ta\n89000000002\tb\n",
        '"phone","who"\n"+7 (900) 000-00-01","a"\n"8,900","b"\n89000000002',
        "# mine\n# Телефоны\n\n89000000001;\n89000000002;;;\n",
        "  89000000001 ; x\n'89000000002';x\n",
    ],
)
def test_spellings_columns_and_line_ends(tmp_path: Path, text: str) -> None:
    """One a line or the first column, whatever separates lines and columns."""
    numbers, rejected = read(tmp_path, text.encode("utf-8"))
    assert numbers == TWO
    assert rejected in ([], [(3, "NUMBER_UNPARSABLE")])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    """UTF-8 with or without a byte order mark, cp1251, and what spreadsheets call Unicode."""
    text = "Телефон;Имя\n89000000001;Ёж\n89000000002;№ 5\nмой номер;я\n"
    assert read(tmp_path, text.encode(encoding)) == (TWO, [(4, "NUMBER_UNPARSABLE")])


def test_bytes_of_no_encoding_spoil_their_line_only(tmp_path: Path) -> None:
    """A damaged line is rejected; its neighbours are read."""
    raw = b"89000000001\n" + b"8900\x98000 \xff\n" + "89000000002;ж".encode()
    assert read(tmp_path, raw) == (TWO, [(2, "NUMBER_UNPARSABLE")])


def test_bad_lines_are_named_by_line_and_reason(tmp_path: Path) -> None:
    """Each bad line has its number, the head counted, and a stable code."""
    lines = [
        "phone",
        "89000000001",
        "8 495 123-45-67",
        "89000000001 доб. 12",
        "+380501234567",
        "112",
        "8900",
        "9" * 100,
        "",
        "no number;89000000002",
        "89000000002",
    ]
    numbers, rejected = read(tmp_path, "\n".join(lines).encode())
    assert numbers == TWO
    assert [each for each in rejected if each[0] != 4] == [
        (3, "NUMBER_NOT_MOBILE"),
        (5, "NUMBER_REGION"),
        (6, "NUMBER_NOT_MOBILE"),
        (7, "NUMBER_UNPARSABLE"),
        (8, "NUMBER_UNPARSABLE"),
        (10, "NUMBER_UNPARSABLE"),
    ]
    assert 4 in {line for line, _ in rejected}


def test_only_one_head_is_passed_over(tmp_path: Path) -> None:
    """A first line that is no head, and a head that is not first, are bad lines."""
    assert ([TWO[0]], [(1, "NUMBER_UNPARSABLE")]) == read(tmp_path, b"hello\n89000000001")
    _, rejected = read(tmp_path, b"phone\n89000000001\nphone\n")
    assert rejected == [(3, "NUMBER_UNPARSABLE")]


@pytest.mark.parametrize("raw", [b"", b"\n\r\n \t\n", b"\xef\xbb\xbf", b"phone\n", b"# 1\n"])
def test_an_empty_list_is_refused(tmp_path: Path, raw: bytes) -> None:
    """A list without a line to read is an error, not a demo of nobody."""
    with pytest.raises(NumbersUnreadable, match="no number"):
        read(tmp_path, raw)


def test_what_cannot_be_read_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    """A missing file or a folder ends with 1, a code and a remedy."""
    for path in (str(tmp_path / "none"), str(tmp_path)):
        status, out, err = run("demo", "--numbers", path)
        assert (status, out) == (1, "")
        assert "[NUMBERS_FILE]" in err
        assert NumbersUnreadable.remedy in err
        assert err.count("\n") == 1
        assert "Traceback" not in err
    with pytest.raises(NumbersUnreadable):
        read_numbers(Path("a\0b"), Policy())


def test_a_list_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end is not read to its end."""
    monkeypatch.setattr(lists, "LARGEST", 8)
    with pytest.raises(NumbersUnreadable, match="larger"):
        read(tmp_path, b"89000000001")


def test_a_pipe_may_be_read(tmp_path: Path) -> None:
    """A list may come from another command: it is read once, from its beginning."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"89000000001\n89000000002",))
    writer.start()
    found = read_numbers(pipe, Policy())
    writer.join()
    assert [each.number.e164 for each in found.numbers] == TWO


def test_a_list_shows_no_number(tmp_path: Path) -> None:
    """No repr of what was read shows a number (I9)."""
    path = tmp_path / "list"
    path.write_text("8 900 000-00-01", encoding="ascii")
    found = read_numbers(path, Policy())
    told = repr(found) + repr(found.numbers)
    assert "000-00" not in told
    assert "9000000" not in told


def test_rejected_lines_are_printed(tmp_path: Path) -> None:
    """The table lists some rejected lines and counts the rest; JSON has them all."""
    path = tmp_path / "list"
    path.write_text("89000000001\n" + "bad\n" * 30, encoding="ascii")
    status, out, _ = run("demo", "--numbers", str(path), "--seed", "1")
    assert status == 0
    assert "rejected lines" in out
    assert "line 21: NUMBER_UNPARSABLE" in out
    assert "line 22" not in out
    assert "and 10 more" in out
    status, out, _ = run("demo", "--json", "--numbers", str(path))
    expected = [{"line": line, "reason": "NUMBER_UNPARSABLE"} for line in range(2, 32)]
    assert expected == json.loads(out)["rejected"]


def test_a_list_of_bad_lines_only_is_a_demo_of_nobody(tmp_path: Path) -> None:
    """Every line rejected: nobody takes part, each line is named, and that is no failure."""
    path = tmp_path / "list"
    path.write_text("8 495 123-45-67\n", encoding="ascii")
    status, out, _ = run("demo", "--json", "--numbers", str(path))
    told = json.loads(out)
    assert (status, told["users"], told["journal_entries"]) == (0, 0, 0)
    assert told["rejected"] == [{"line": 1, "reason": "NUMBER_NOT_MOBILE"}]
    assert run("demo", "--numbers", str(path))[0] == 0
