"""Sockets, signals and a folder that survives whoever dies in it."""

import http.client
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from abonent.errors import SetupError
from abonent.keys import FileKeys
from abonent.simulation.reference import Running, listening, url_of
from abonent.simulation.reference.operator import made
from abonent.simulation.reference.serving import AddressUnusable
from tests.simulation.reference.parts import files, started

SLOW = '[[faults]]\nat = "jwks"\nwhat = "slow"\nseconds = 1.5\n'


def get(root: str, path: str = "/.well-known/jwks.json") -> int:
    connection = http.client.HTTPConnection(urlsplit(root).netloc, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


# --- addresses --------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "10.0.0.1"])
def test_an_address_that_others_can_reach(host):
    """It is refused, unless it is asked for by name."""
    with pytest.raises(AddressUnusable, match="others can reach"):
        listening(host, 0)


def test_any_address_is_taken_by_name():
    """Whoever says so."""
    with listening("0.0.0.0", 0, unsafe_any_address=True) as listener:
        assert url_of(listener).startswith("http://0.0.0.0:")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_port(host):
    """Port 0 is one that nobody has; the address says which."""
    with listening(host, 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}")
        with socket.create_connection((host, port)):
            pass


def test_a_port_that_is_taken():
    """The error says which."""
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(AddressUnusable, match=f"port {port} is taken"):
            listening("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("localhost", 0, "an IP address"),
        ("", 0, "an IP address"),
        ("127.0.0.1", 70_000, "from 0 to 65535"),
        ("192.0.2.7", 0, "port 0 cannot be used"),
    ],
)
def test_an_address_that_is_none(host, port, told):
    """A name is not looked up, and another machine's address is not ours."""
    with pytest.raises(AddressUnusable, match=told):
        listening(host, port, unsafe_any_address=True)


# --- in a thread ------------------------------------------------------------------------


def test_an_application_is_served_for_a_while():
    """As long as the block lasts; then nobody is there."""
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])
    listener = listening("127.0.0.1", 0)
    root = url_of(listener)
    with Running(app, listener):
        assert 200 == get(root, "/")
    with pytest.raises(ConnectionRefusedError):
        get(root, "/")


def test_an_application_that_does_not_start():
    """Nobody waits for it for ever."""

    def broken(_):
        raise RuntimeError("not today")

    listener = listening("127.0.0.1", 0)
    with pytest.raises(SetupError, match="did not start"), Running(broken, listener):
        pass


# --- a process --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_is_finished_when_it_is_told_to_stop(tmp_path, number):
    """A request under way is replied to, a new one is not taken, and the status is 0."""
    (tmp_path / "faults.toml").write_text(SLOW)
    process, root = started(*files(tmp_path), "--faults", str(tmp_path / "faults.toml"))
    with process:
        statuses = []
        under_way = threading.Thread(target=lambda: statuses.append(get(root)))
        under_way.start()
        time.sleep(0.5)
        process.send_signal(number)
        under_way.join()
        assert 0 == process.wait(20)
    assert [200] == statuses
    with pytest.raises(ConnectionRefusedError):
        get(root)


def test_a_second_signal_ends_it_at_once(tmp_path):
    """Whoever does not want to wait need not."""
    (tmp_path / "faults.toml").write_text(SLOW.replace("1.5", "60"))
    process, root = started(*files(tmp_path), "--faults", str(tmp_path / "faults.toml"))
    with process:
        under_way = threading.Thread(target=hung_up, args=(root,))
        under_way.start()
        time.sleep(0.5)
        process.terminate()
        time.sleep(0.3)
        process.terminate()
        assert -signal.SIGTERM == process.wait(20)
        under_way.join()


def hung_up(root):
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        get(root)


def names(folder):
    return [each.name for each in folder.iterdir()]


# --- the folder -------------------------------------------------------------------------


def test_a_file_is_made_once(tmp_path):
    """The second one who comes finds it."""
    path = tmp_path / "keys"
    first = FileKeys(made(path, FileKeys.create)).keys()
    assert first == FileKeys(made(path, FileKeys.create)).keys()
    assert ["keys"] == names(tmp_path)
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_file_that_two_make_is_the_same_for_both(tmp_path):
    """Who is slower takes what is there."""
    path = tmp_path / "keys"

    def overtaken(beside: Path) -> None:
        FileKeys.create(path)
        FileKeys.create(beside)

    made(path, overtaken)
    assert ["keys"] == names(tmp_path)


def test_a_file_is_never_there_by_half(tmp_path):
    """Who dies while making it has made nothing that is taken for it."""

    def dying(beside: Path) -> None:
        beside.write_text("{")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "keys", dying)
    assert [] == names(tmp_path)
