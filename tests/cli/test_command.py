"""The command itself: help, version, usage errors, and life without the extra."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from abonent import cli
from abonent.cli import app
from abonent.cli.app import run as run_app
from abonent.errors import AbonentError
from tests.cli.observing import run


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--version` prints the name and version of what is installed, and exits with 0."""
    monkeypatch.setattr(app, "version", lambda _: "1.2.3")
    assert run("--version") == (0, "abonent 1.2.3\n", "")

    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(app, "version", missing)
    assert run("--version") == (0, "abonent, not installed\n", "")


def test_without_arguments_there_is_help() -> None:
    """No arguments and `--help` tell which commands there are."""
    for arguments in ([], ["--help"]):
        status, out, err = run(*arguments)
        assert (status, err) == (0, "")
        assert "demo" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["play"],
        ["demo", "--users", "0"],
        ["demo", "--users", "many"],
        ["demo", "--wrong"],
        ["demo", "--users", "5", "--numbers", "list.txt"],
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str]) -> None:
    """What cannot be understood is one line on standard error and exit status 2."""
    status, out, err = run(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("abonent: ")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_to_install(missing: str) -> None:
    """Without typer or rich the command says what to install and ends with 2."""
    code = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        f"util.find_spec = lambda name, *a: None if name == {missing!r} else find(name, *a)\n"
        "from abonent.cli import main\n"
        "status = main(['demo'])\n"
        "sys.exit(status if not {'typer', 'rich'} & set(sys.modules) else 99)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'abonent[cli]'" in done.stderr


def test_an_error_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code and remedy on one line of standard error, exit status 1, no traceback."""

    def fails(**_: object) -> None:
        raise AbonentError("something is\nwrong")

    monkeypatch.setattr(app, "app", fails)
    status, out, err = run()
    expected = f"abonent: [ABONENT] something is wrong. {AbonentError.remedy}\n"
    assert (1, "", expected) == (status, out, err)


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception is a traceback, not a polite line."""

    def fails(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "app", fails)
    with pytest.raises(ZeroDivisionError):
        run_app(["demo"])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, app.typer.Abort])
def test_interruptions_end_with_130(
    monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    """However typer passes Ctrl-C on, the exit status is 130."""

    def fails(**_: object) -> None:
        raise interruption

    monkeypatch.setattr(app, "app", fails)
    assert run("demo") == (130, "", "")


def test_the_arguments_of_the_process_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point reads the command line of the process."""
    monkeypatch.setattr(sys, "argv", ["abonent", "play"])
    assert cli.main() == 2


def test_it_runs_as_a_module() -> None:
    """`python -m abonent.cli` is the same command, and draws no bar where nobody looks."""
    command = [sys.executable, "-m", "abonent.cli", "demo", "--json", "--users", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{"users": 3')
