"""What a demo must not leave behind: its numbers in any spelling, and the codes it sent."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from abonent.cli import main
from abonent.cli.cast import Phones
from abonent.core.numbers import SubscriberNumber
from abonent.errors import AbonentError
from abonent.ports import CodeMessage


class Observed:
    """Everything that a demo put out, and what it was about."""

    def __init__(self) -> None:
        self.numbers: set[SubscriberNumber] = set()
        self.codes: set[str] = set()
        self.errors: list[BaseException] = []
        self.files: dict[str, bytes] = {}
        self.out = io.StringIO()
        self.err = io.StringIO()
        self.log = io.StringIO()

    @property
    def places(self) -> dict[str, bytes]:
        """All that is searched, by name."""
        told = [
            f"{each!r} {each} {each.args!r} {vars(each)!r} {getattr(each, 'remedy', '')}"
            for each in self.errors
        ]
        return {
            **self.files,
            "stdout": self.out.getvalue().encode(),
            "stderr": self.err.getvalue().encode(),
            "log": self.log.getvalue().encode(),
            "errors": "\n".join(told).encode(),
        }

    def found(self) -> list[str]:
        """Name the places in which a number or code was found, in any spelling."""
        return [name for name, text in self.places.items() if self._shows(text)]

    def _shows(self, text: bytes) -> bool:
        """Look for the ten digits of a number, however they are set apart, or as an integer."""
        runs = re.findall(rb"[0-9]{10,}", re.sub(rb"[ ()-]", b"", text))
        shown = {each[at : at + 10] for each in runs for at in range(len(each) - 9)}
        if any(each.e164[2:].encode() in shown for each in self.numbers):
            return True
        words = set(re.findall(rb"(?<![0-9])[0-9]{6}(?![0-9])", text))
        if any(each.encode() in words for each in self.codes):
            return True
        dense = re.sub(rb"\0{9,}", b"\0" * 9, text)  # empty pages take most of a log
        return any(each in dense for number in self.numbers for each in integers(number))


def integers(number: SubscriberNumber) -> Iterator[bytes]:
    """Return a number as a binary integer, national and international, in either order."""
    for value in (int(number.e164[2:]), int(number.e164)):
        yield value.to_bytes(8, "big")
        yield value.to_bytes(8, "little")


@contextmanager
def observed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    """Look on while a demo runs: at codes sent, errors made, log lines and output."""
    seen = Observed()
    send, make = Phones.send, AbonentError.__init__

    def sending(phones: Phones, message: CodeMessage) -> None:
        seen.numbers.add(message.number)
        seen.codes.add(message.code.digits)
        send(phones, message)

    def making(error: AbonentError, *args: object, **kwargs: object) -> None:
        make(error, *args, **kwargs)
        seen.errors.append(error)

    handler = logging.StreamHandler(seen.log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with monkeypatch.context() as patch, redirect_stdout(seen.out), redirect_stderr(seen.err):
        patch.setattr(Phones, "send", sending)
        patch.setattr(AbonentError, "__init__", making)
        try:
            yield seen
        finally:
            root.removeHandler(handler)
            root.setLevel(level)


def read_all(folder: Path) -> dict[str, bytes]:
    """Read every file of a folder: database, log, shared memory, keys."""
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command and return exit status, standard output and standard error."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        status = main(arguments)
    return status, out.getvalue(), err.getvalue()
