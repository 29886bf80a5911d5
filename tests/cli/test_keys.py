"""`abonent keys` makes, shows, turns and retires keys in the order that is safe, and shows none."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from abonent import FileKeys, WrappedKeys
from abonent.cli import main, resealing
from abonent.errors import StoreReadOnly, StoreUnavailable
from abonent.simulation import Reply
from tests.cli import keyed
from tests.cli.keyed import FROM, SERVICE, STAND_IN
from tests.sealing.test_secrets import forms

FILE = ("--file", "keys.json")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for keys and records."""
    monkeypatch.setenv("KEYED", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for each in (keyed.failures, keyed.pages, keyed.asked):
        each.clear()
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], place: Path) -> Any:
    """Run a command: status and both streams; and whatever it says, no key is in it."""

    def command(*line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["keys", *line])
        shown = capsys.readouterr()
        for file in place.glob("*.json"):
            told = json.loads(file.read_text())
            for each in {**told.get("keys", {}), **told.get("wrapped", {})}.values():
                assert each not in shown.out + shown.err
        for root in roots(place).values():
            assert not [each for each in forms(root) if each in shown.out + shown.err]
        return status, shown.out, shown.err

    return command


@pytest.fixture
def told(run: Any) -> Any:
    """Run a command with --json: status and object."""

    def command(*line: str) -> tuple[int, Any]:
        status, out, err = run(*line, "--json")
        assert "" == err
        return status, json.loads(out)

    return command


def roots(folder: Path) -> dict[str, bytes]:
    path = folder / "keys.json"
    if not path.exists():
        return {}
    if '"wrapped"' in path.read_text():
        keyed.service().show(Reply.HELD)
        return dict(WrappedKeys(path, keyed.service()).keys().roots)
    return dict(FileKeys(path).keys().roots)


def records(folder: Path, **told: Any) -> None:
    (folder / "records.json").write_text(json.dumps(told))


# --- new -------------------------------------------------------------------------------


def test_the_first_key_makes_the_file(run: Any, place: Path):
    """A file of mode 0600 with one key that seals, and a word on where to keep a copy."""
    status, out, _ = run("new", *FILE)
    assert 0 == status
    assert "key k1 is made, and seals" in out
    assert "copy" in out
    assert 0o600 == stat.S_IMODE((place / "keys.json").stat().st_mode)
    assert "k1" == FileKeys(place / "keys.json").keys().current


def test_the_next_key_is_added(run: Any, told: Any):
    """It does not seal yet, and what to do next is said."""
    run("new", *FILE, "--id", "spring")
    status, out, _ = run("new", *FILE)
    assert 0 == status
    assert "key k1 is added, and does not seal yet" in out
    assert "keys rotate MODULE:FUNCTION --file keys.json --to k1" in out
    assert (0, {"id": "summer", "current": False}) == told("new", *FILE, "--id", "summer")
    assert "spring" == FileKeys("keys.json").keys().current


@pytest.mark.parametrize("key_id", ["K 1", "k1", "x" * 17])
def test_an_id_that_cannot_be_taken(key_id: str, run: Any, place: Path):
    """It is refused by name, and the file is as it was."""
    run("new", *FILE)
    before = (place / "keys.json").read_bytes()
    status, out, err = run("new", *FILE, "--id", key_id)
    assert (1, "") == (status, out)
    assert "INVALID_VALUE" in err
    assert before == (place / "keys.json").read_bytes()


def test_json_of_the_first(told: Any):
    """Whether it seals is told."""
    assert (0, {"id": "k1", "current": True}) == told("new", *FILE)


# --- list ------------------------------------------------------------------------------


def test_a_file_alone(run: Any, told: Any):
    """Which key seals, which open, and which were removed; nothing is opened for it."""
    keys = FileKeys.create("keys.json")
    keys.use(keys.add())
    keys.add()
    keys.remove("k1")
    status, out, _ = run("list", *FILE)
    assert (0, ["key k2: seals", "key k3: opens", "key k1: removed"]) == (status, out.splitlines())
    status, shown = told("list", *FILE)
    assert ("k2", ["k2", "k3", "k1"]) == (shown["current"], [each["id"] for each in shown["keys"]])
    assert [False, False, True] == [each["removed"] for each in shown["keys"]]
    assert [] == keyed.asked


def test_what_is_in_use(run: Any, told: Any, place: Path):
    """With a target: records, seals, and from when a key may be retired."""
    keys = FileKeys.create("keys.json")
    keys.use(keys.add())
    keys.add()
    records(place, records={"k1": 3, "k2": 5, "k0": 1})
    status, out, _ = run("list", *FILE, STAND_IN)
    assert 0 == status
    assert [
        f"key k1: opens; records 3, seals 30; in use; not to be retired before {FROM.isoformat()}",
        "key k2: seals; records 5, seals 50",
        f"key k3: opens; records 0, seals 0; may be retired from {FROM.isoformat()}",
        "key k0: NOT IN THE FILE; records 1, seals 10; in use",
    ] == out.splitlines()
    _, shown = told("list", *FILE, STAND_IN)
    found = {each["id"]: each["records"] for each in shown["keys"]}
    assert {"k1": 3, "k2": 5, "k3": 0, "k0": 1} == found
    assert [True, True, True, False] == [each["in_file"] for each in shown["keys"]]


def test_there_is_no_file(run: Any):
    """It is named, with an exit status of 1."""
    status, _, err = run("list", *FILE)
    assert 1 == status
    assert "KEY_UNAVAILABLE" in err


# --- rotate ----------------------------------------------------------------------------


def test_a_rotation_leaves_nothing_behind(run: Any, told: Any, place: Path):
    """The key is made current first; then pages follow pages until a pass ends."""
    FileKeys.create("keys.json").add()
    records(place, records={"k1": 1200})
    status, shown = told("rotate", STAND_IN, *FILE, "--to", "k2")
    assert 0 == status
    assert "k2" == FileKeys("keys.json").keys().current
    assert [b"", b"1", b"2", b""] == [after for after, _ in keyed.pages]  # the last finds nothing
    assert {500} == {limit for _, limit in keyed.pages}
    assert (1200, 1200, 0, False) == tuple(
        shown[each] for each in ("seen", "resealed", "waiting", "left")
    )
    status, out, _ = run("rotate", STAND_IN)
    assert 0 == status
    assert "Nothing is left under an older key" in out


def test_what_cannot_be_moved_yet(run: Any, told: Any, place: Path):
    """It is told, with from when, and the exit status is 1: run it again then."""
    FileKeys.create("keys.json").add()
    records(place, records={"k1": 700}, waiting=7)
    status, shown = told("rotate", STAND_IN, *FILE, "--to", "k2")
    assert (1, 693, 7, True) == (status, shown["resealed"], shown["waiting"], shown["left"])
    status, out, _ = run("rotate", STAND_IN)
    assert 1 == status
    assert (
        f"key k1: opens; records 7, seals 70; in use; not to be retired before {FROM.isoformat()}"
        in out
    )
    assert f"abonent keys rotate {STAND_IN}" in out


def test_a_pass_that_never_finds_nothing(run: Any, told: Any, monkeypatch: pytest.MonkeyPatch):
    """Where others go on sealing under the older key, the third pass is the last."""
    FileKeys.create("keys.json").add()
    reseal = keyed.StandIn.reseal

    def meanwhile(self: Any, **how: Any) -> Any:
        self.records["k1"] = 5
        return reseal(self, **how)

    monkeypatch.setattr(keyed.StandIn, "reseal", meanwhile)
    status, shown = told("rotate", STAND_IN, *FILE, "--to", "k2")
    assert (0, 3, 15) == (status, len(keyed.pages), shown["resealed"])


def test_a_key_that_is_not_there_is_not_turned_to(run: Any, place: Path):
    """Nothing is resealed, and the file is as it was."""
    FileKeys.create("keys.json")
    before = (place / "keys.json").read_bytes()
    status, _, err = run("rotate", STAND_IN, *FILE, "--to", "k2")
    assert 1 == status
    assert "k2" in err
    assert [] == keyed.pages
    assert before == (place / "keys.json").read_bytes()


def test_a_service_with_keys_from_elsewhere(run: Any, place: Path):
    """To turn the key of a file that the service does not read is seen before anything moves."""
    FileKeys.create("keys.json")
    FileKeys.create("other.json").add()
    status, _, err = run("rotate", STAND_IN, "--file", "other.json", "--to", "k2")
    assert 1 == status
    assert "does not take its keys from that file" in err
    assert [] == keyed.pages


@pytest.mark.parametrize("line", [("--to", "k2"), FILE])
def test_a_file_goes_with_a_key(line: tuple[str, ...], run: Any):
    """One without the other is no command line."""
    FileKeys.create("keys.json")
    assert 2 == run("rotate", STAND_IN, *line)[0]


def test_a_store_that_is_busy_is_tried_again(
    run: Any, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A page is tried six times, at growing pauses; the pass goes on where it was."""
    pauses: list[float] = []
    monkeypatch.setattr(resealing.time, "sleep", pauses.append)
    FileKeys.create("keys.json").add()
    records(place, records={"k1": 600})
    keyed.failures[:] = [StoreUnavailable("away")] * 5
    assert 0 == run("rotate", STAND_IN, *FILE, "--to", "k2")[0]
    assert [0.5, 1.0, 2.0, 4.0, 8.0] == pauses
    assert [b"", b"1", b""] == [after for after, _ in keyed.pages]
    assert "abonent.reseal_failed cause=STORE_UNAVAILABLE" in caplog.text


def test_a_store_that_stays_away(run: Any, place: Path, monkeypatch: pytest.MonkeyPatch):
    """The sixth failure ends it, and what trying again does not mend ends it at once."""
    pauses: list[float] = []
    monkeypatch.setattr(resealing.time, "sleep", pauses.append)
    FileKeys.create("keys.json").add()
    keyed.failures[:] = [StoreUnavailable("away")] * 6
    status, _, err = run("rotate", STAND_IN)
    assert (1, 5) == (status, len(pauses))
    assert "STORE_UNAVAILABLE" in err
    keyed.failures[:] = [StoreReadOnly("standby")]
    assert 1 == run("rotate", STAND_IN)[0]
    assert 5 == len(pauses)


def test_a_terminal_sees_a_bar(run: Any, place: Path, monkeypatch: pytest.MonkeyPatch):
    """On a terminal the records are counted first; elsewhere no time is spent on it."""
    FileKeys.create("keys.json").add()
    records(place, records={"k1": 600})
    _, _, err = run("rotate", STAND_IN)
    assert (1, "") == (keyed.asked.count("key_uses"), err)
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, _, err = run("rotate", STAND_IN, *FILE, "--to", "k2")
    assert 3 == keyed.asked.count("key_uses")
    assert "600/600" in err


# --- retire ----------------------------------------------------------------------------


def test_a_key_that_nothing_needs_is_removed(run: Any, told: Any, place: Path):
    """The store is asked first, then the file is changed; and what that means is said."""
    keys = FileKeys.create("keys.json")
    keys.use(keys.add())
    status, out, _ = run("retire", STAND_IN, "k1", *FILE)
    assert 0 == status
    assert "key k1 is retired" in out
    assert "backup" in out
    assert ["k2"] == list(keys.keys().roots)
    assert ["k1"] == json.loads((place / "records.json").read_text())["retired"]
    assert (0, {"id": "k1", "retired": True}) == told("retire", STAND_IN, "k1", *FILE)
    assert ["k1"] == json.loads((place / "records.json").read_text())["retired"]


def test_a_key_in_use_stays(run: Any, told: Any, place: Path):
    """What needs it and from when it may go is said; the file is as it was."""
    keys = FileKeys.create("keys.json")
    keys.use(keys.add())
    records(place, records={"k1": 3})
    before = (place / "keys.json").read_bytes()
    status, _, err = run("retire", STAND_IN, "k1", *FILE)
    assert 1 == status
    assert "KEY_IN_USE" in err
    assert "3 records" in err
    status, shown = told("retire", STAND_IN, "k1", *FILE)
    assert 1 == status
    assert {
        "id": "k1",
        "retired": False,
        "code": "KEY_IN_USE",
        "records": 3,
        "retry_at": FROM.isoformat(),
    } == shown
    assert before == (place / "keys.json").read_bytes()


@pytest.mark.parametrize(
    ("key_id", "said"), [("k1", "current"), ("k9", "no key k9"), ("K 9", "a key id is")]
)
def test_a_key_that_cannot_be_retired(key_id: str, said: str, run: Any, place: Path):
    """The one that seals, one that is not there, and no id: refused before the store is asked."""
    FileKeys.create("keys.json")
    status, _, err = run("retire", STAND_IN, key_id, *FILE)
    assert 1 == status
    assert said in err
    assert not (place / "records.json").exists()


# --- keys that a service wraps ---------------------------------------------------------

WRAPPED = (*FILE, "--service", SERVICE)


def test_a_turn_of_wrapped_keys(run: Any, told: Any, place: Path):
    """The same commands, with the service; the file never holds a key."""
    assert 0 == run("new", *WRAPPED)[0]
    assert (0, {"id": "k2", "current": False}) == told("new", *WRAPPED)
    records(place, records={"k1": 3})
    assert 0 == run("rotate", STAND_IN, *WRAPPED, "--to", "k2")[0]
    keyed.service().turn()
    assert 0 == run("new", *WRAPPED)[0]
    status, out, _ = run("list", *WRAPPED)
    assert [
        "key k1: opens; wrapped by local/0",
        "key k2: seals; wrapped by local/0",
        "key k3: opens; wrapped by local/1",
    ] == out.splitlines()
    assert 0 == run("retire", STAND_IN, "k1", *WRAPPED)[0]
    status, out, _ = run("rewrap", *WRAPPED)
    assert [
        "key k2: local/0 → local/1",
        "key k3: local/1 → local/1",
    ] == out.splitlines()
    status, shown = told("list", *WRAPPED, STAND_IN)
    assert 0 == status
    assert {"local/1", None} == {each.get("wrapped_by") for each in shown["keys"]}
    assert {"k2", "k3"} == set(roots(place))


def test_a_service_that_is_away(run: Any, place: Path):
    """It is named, the file is as it was, and trying again is the remedy."""
    run("new", *WRAPPED)
    before = (place / "keys.json").read_bytes()
    keyed.service().show(Reply.UNAVAILABLE)
    status = main(["keys", "new", *WRAPPED])
    assert 1 == status
    assert before == (place / "keys.json").read_bytes()


def test_what_is_no_service(run: Any, place: Path):
    """A function that returns something else is named before anything is written."""
    status, _, err = run("new", *FILE, "--service", "tests.cli.keyed:no_service")
    assert 1 == status
    assert "returned no KeyService" in err
    assert not (place / "keys.json").exists()


def test_a_wrapped_file_without_its_service(run: Any):
    """It says what is missing."""
    run("new", *WRAPPED)
    status, _, err = run("list", *FILE)
    assert 1 == status
    assert "key service" in err
