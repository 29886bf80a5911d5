"""`abonent operator serve`: what it says when it cannot, and that it serves."""

import json
import re
import socket
import sys

import pytest

from abonent.cli import main
from tests.simulation.reference.parts import PAIR, files, started


def told(capsys, *arguments):
    status = main(["operator", "serve", *arguments])
    return status, capsys.readouterr().err


@pytest.fixture
def options(tmp_path):
    return dict(zip(*[iter(files(tmp_path))] * 2, strict=True))


def line_of(options, **changes):
    given = options | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [word for name, value in given.items() if value is not None for word in (name, value)]


def test_it_serves_until_it_is_told_to_stop(tmp_path):
    """It says where, and ends with 0."""
    process, root = started(*files(tmp_path))
    with process:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", root)
        process.terminate()
        assert 0 == process.wait(20)


def test_a_port_that_is_taken(options, capsys):
    """One line says so, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        status, said = told(capsys, *line_of(options, port=port))
    assert 1 == status
    assert f"abonent: [ADDRESS] port {port} is taken. Give another port" in said
    assert 1 == said.count("\n")


def test_an_address_that_others_can_reach(options, capsys):
    """It is refused before anything is made."""
    status, said = told(capsys, *line_of(options, host="0.0.0.0"))
    assert 1 == status
    assert "others can reach this address" in said


@pytest.mark.parametrize("option", ["subscribers", "client_key", "faults"])
def test_a_file_that_is_not_there(options, capsys, option, tmp_path):
    """It is named."""
    status, said = told(capsys, *line_of(options, **{option: str(tmp_path / "none.x")}))
    assert 1 == status
    assert "none.x cannot be read: No such file" in said


def test_a_bad_line_of_the_subscribers(options, capsys, tmp_path):
    """It is named by its place, and nobody's number is shown (I9)."""
    (tmp_path / "subscribers.csv").write_text("+79161234567;2020-01-01\n+79161234568;gone\n")
    status, said = told(capsys, *line_of(options))
    assert 1 == status
    assert "subscribers.csv, line 2: the second column is a date" in said
    assert "916" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"messenger": None},
        {"client_key": None},
        {"messenger": None, "client_key": None},
        {"messengers": "both.toml"},
    ],
    ids=str,
)
def test_messengers_one_way_or_the_other(options, capsys, changes):
    """A file of them, or the one."""
    status, said = told(capsys, *line_of(options, **changes))
    assert 2 == status
    assert "give --messengers, or --messenger with --client-key" in said


@pytest.mark.parametrize("changes", [{"port": "70000"}, {"retry": "0"}, {"subscribers": None}])
def test_a_command_line_that_cannot_be_understood(options, capsys, changes):
    """It is said which option."""
    status, said = told(capsys, *line_of(options, **changes))
    assert 2 == status
    assert f"--{next(iter(changes))}" in said


def test_a_messenger_whose_id_is_none(options, capsys):
    """And one whose inbox is no address."""
    for changes, text in (
        ({"messenger": "Chat!"}, "an id is 1 to 64"),
        ({"inbox": "http://chat.example"}, "begins with https"),
    ):
        status, said = told(capsys, *line_of(options, **changes))
        assert 1 == status
        assert text in said


def test_a_folder_that_is_none(options, capsys, tmp_path):
    """A store that somebody else made is not touched."""
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "operator.db").write_text("not a database, but long enough to be one")
    status, said = told(capsys, *line_of(options))
    assert 1 == status
    assert "[STORE_FOREIGN]" in said


def test_several_messengers(tmp_path):
    """By a file of them."""
    (tmp_path / "chat.jwk").write_text(json.dumps(PAIR.as_dict(private=False)))
    (tmp_path / "messengers.toml").write_text('[chat]\nkeys = "chat.jwk"\n')
    (tmp_path / "none.csv").write_text("")
    process, _ = started(
        *("--subscribers", str(tmp_path / "none.csv"), "--port", "0"),
        *("--messengers", str(tmp_path / "messengers.toml")),
        *("--folder", str(tmp_path / "operator"), "--retry", "0.1"),
    )
    with process:
        process.terminate()
        assert 0 == process.wait(20)


@pytest.mark.parametrize("lacking", ["starlette", "uvicorn", "http_message_signatures"])
def test_without_the_extra(options, capsys, monkeypatch, lacking):
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, lacking, None)
    status, said = told(capsys, *line_of(options))
    assert (2, "abonent: a reference operator needs: pip install 'abonent[serve]'\n") == (
        status,
        said,
    )
