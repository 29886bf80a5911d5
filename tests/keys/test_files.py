"""A key file is changed as a whole, by one process at a time, and shows no key in doing so."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import FileKeys
from abonent.errors import (
    AbonentError,
    InvalidValue,
    KeyFileBusy,
    KeyMaterialInvalid,
    KeyUnavailable,
)
from abonent.keys import disk
from abonent.keys.listing import PLAIN, WRAPPED, KeyIds, Listing, parsed
from tests.properties.parts import bounded
from tests.sealing.test_secrets import forms

ROOT = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keys(path: Path) -> FileKeys:
    return FileKeys.create(path)


def others_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name != "keys.json")


# --- adding, using, removing -----------------------------------------------------------


def test_a_key_that_is_added_opens_and_does_not_seal(keys: FileKeys):
    """A fresh key of 32 bytes is there; the current one stays, and so does every other."""
    before = keys.keys()
    assert "k2" == keys.add()
    after = keys.keys()
    assert before.current == after.current
    assert before.roots["k1"] == after.roots["k1"]
    assert 32 == len(after.roots["k2"])
    assert after.roots["k1"] != after.roots["k2"]


def test_a_turn_from_one_key_to_the_next(keys: FileKeys):
    """Added, made current, and the older one removed: one key is left, and it is the new one."""
    new = keys.add()
    root = keys.keys().roots[new]
    keys.use(new)
    assert new == keys.keys().current
    keys.remove("k1")
    assert {new: root} == dict(keys.keys().roots)
    assert KeyIds(current=new, live=(new,), removed=("k1",)) == keys.ids()


def test_what_is_so_already_changes_nothing(keys: FileKeys, path: Path):
    """To make the current key current does not even write."""
    before = path.stat()
    keys.use("k1")
    assert (before.st_ino, before.st_mtime_ns) == (path.stat().st_ino, path.stat().st_mtime_ns)


def test_ids_count_on(keys: FileKeys):
    """The next id is after the highest that ever was, whatever others are called."""
    assert "k2" == keys.add()
    assert "k7" == keys.add("k7")
    assert "march" == keys.add("march")
    assert "k8" == keys.add()
    keys.remove("k8")
    assert "k9" == keys.add()


WRONG_IDS = ["", "K2", "k 2", "k" * 17, "k2\n", "ключ", "٣", "k1", "old"]


@pytest.mark.parametrize("key_id", WRONG_IDS)
def test_an_id_that_cannot_be_taken(key_id: str, keys: FileKeys, path: Path):
    """No id, one that is there, and one that was: refused, and the file is not touched."""
    keys.add("old")
    keys.remove("old")
    before = path.read_bytes()
    with pytest.raises(InvalidValue):
        keys.add(key_id)
    assert before == path.read_bytes()


def test_what_cannot_be_removed_or_used(keys: FileKeys, path: Path):
    """The current key stays, what is not there is named, and the file is not touched."""
    before = path.read_bytes()
    with pytest.raises(InvalidValue, match="current"):
        keys.remove("k1")
    for call in (keys.use, keys.remove):
        with pytest.raises(KeyUnavailable) as missing:
            call("k9")
        assert "k9" == missing.value.key_id
        with pytest.raises(InvalidValue) as refused:
            call(ROOT.hex())
        assert ROOT.hex() not in str(refused.value)
    assert before == path.read_bytes()


def test_a_file_never_has_an_id_that_is_none(path: Path):
    """Nor is it made with one."""
    with pytest.raises(InvalidValue):
        FileKeys.create(path, "K 1")
    assert not path.exists()


def test_a_file_without_removed_keys_is_as_it_always_was(keys: FileKeys, path: Path):
    """What release 0.1 wrote is what is written, and an older release reads a newer file."""
    assert {"current", "keys"} == set(json.loads(path.read_text()))
    keys.use(keys.add())
    keys.remove("k1")
    told = json.loads(path.read_text())
    assert ["k2"] == list(told["keys"])
    assert ["k1"] == told["removed"]


def test_a_key_that_was_put_back_by_hand_is_live(keys: FileKeys, path: Path):
    """After a restore somebody may put a removed key back: it opens again."""
    keys.use(keys.add())
    old = json.loads(path.read_text())["keys"]["k1"]
    keys.remove("k1")
    told = json.loads(path.read_text())
    told["keys"]["k1"] = old
    path.write_text(json.dumps(told))
    assert {"k1", "k2"} == set(keys.keys().roots)
    assert () == keys.ids().removed


ids = st.from_regex(r"[a-z0-9-]{1,16}", fullmatch=True)


@given(
    st.dictionaries(ids, st.binary(max_size=40), min_size=1, max_size=5),
    st.lists(ids, max_size=4, unique=True),
    st.sampled_from([PLAIN, WRAPPED]),
    st.data(),
)
@bounded(60)
def test_a_listing_is_read_as_it_was_written(entries, removed, kind, data):
    """Ids, bytes and order come back; the other kind is refused and told apart."""
    current = data.draw(st.sampled_from(sorted(entries)))
    gone = tuple(each for each in removed if each not in entries)
    listing = Listing(current=current, entries=entries, removed=gone)
    assert listing == parsed(listing.text(kind), kind, "it")
    with pytest.raises(KeyMaterialInvalid, match="wrapped"):
        parsed(listing.text(kind), WRAPPED if kind == PLAIN else PLAIN, "it")
    assert listing.next_id() not in {*entries, *gone}


@pytest.mark.parametrize("removed", ["7", '["K 1"]', "[7]", "[[]]", "null"])
def test_removed_ids_that_are_none(removed: str, path: Path):
    """A list of removed ids that cannot be read is no list of none."""
    path.touch(0o600)
    key = "A" * 43 + "="
    path.write_text(f'{{"current": "k1", "keys": {{"k1": "{key}"}}, "removed": {removed}}}')
    with pytest.raises(KeyMaterialInvalid):
        FileKeys(path).keys()


def test_deep_nesting_is_no_listing(path: Path):
    """What would exhaust the parser is refused by name."""
    path.touch(0o600)
    path.write_text("[" * 100_000)
    with pytest.raises(KeyMaterialInvalid):
        FileKeys(path).keys()


# --- whose file it is ------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_changed_file_keeps_its_mode(mode: int, keys: FileKeys, path: Path):
    """What was read-only for its owner stays so."""
    path.chmod(mode)
    keys.add()
    assert mode == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_no_umask_opens_or_locks_a_file(mask: int, path: Path):
    """Made and changed, it is for its owner, who can read it."""
    before = os.umask(mask)
    try:
        keys = FileKeys.create(path)
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        keys.add()
    finally:
        os.umask(before)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_changed_file_keeps_its_owner(
    keys: FileKeys, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Changed by another user, such as root, it is its owner's: the service can read it still."""
    given = []
    monkeypatch.setattr(os, "fchown", lambda _file, *owner: given.append(owner))
    keys.add()
    assert [(path.stat().st_uid, path.stat().st_gid)] == given


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_changes_is_not_roots(keys: FileKeys, path: Path):
    """A file of another's is that other's afterwards, too."""
    os.chown(path, 12345, 12346)
    keys.add()
    assert (12345, 12346) == (path.stat().st_uid, path.stat().st_gid)


def test_a_link_stays_a_link(keys: FileKeys, path: Path, tmp_path: Path):
    """What a link leads to is replaced, not the link."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.json"
    link.symlink_to(path)
    FileKeys(link).add()
    assert link.is_symlink()
    assert {"k1", "k2"} == set(keys.keys().roots)
    assert [] == others_in(tmp_path / "elsewhere")[1:]


def test_what_a_dead_process_left_is_not_used(keys: FileKeys, path: Path, tmp_path: Path):
    """A draft that others may read is thrown away, not written into."""
    draft = tmp_path / ".keys.json.draft"
    draft.touch()
    draft.chmod(0o666)
    with draft.open() as held_by_others:
        keys.add()
        assert "" == held_by_others.read()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert [] == others_in(tmp_path)


def test_a_pipe_is_no_file(path: Path):
    """It is not waited for until somebody writes."""
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyMaterialInvalid, match="no file"):
        FileKeys(path).keys()
    with pytest.raises(KeyMaterialInvalid, match="no file"):
        FileKeys(path).add()


def test_a_file_that_others_may_use_is_not_changed(keys: FileKeys, path: Path):
    """What is refused for reading is refused for changing."""
    path.chmod(0o640)
    before = path.read_bytes()
    for call in (keys.add, lambda: keys.use("k1"), lambda: keys.remove("k1"), keys.ids):
        with pytest.raises(KeyMaterialInvalid, match="chmod 600"):
            call()
    assert before == path.read_bytes()


# --- what goes wrong in the middle -----------------------------------------------------


def failing(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["open", "fchmod", "fchown", "fsync", "replace"])
def test_what_cannot_be_written_leaves_the_old_file(
    step: str, keys: FileKeys, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever the system refuses, the old file is there whole, no draft is, and no key shows."""
    before = path.read_bytes()
    opened = os.open

    def open_but_no_draft(name, flags, *mode):
        return failing() if flags & os.O_CREAT else opened(name, flags, *mode)

    with monkeypatch.context() as broken:
        if step == "replace":
            broken.setattr(Path, "replace", failing)
        else:
            broken.setattr(os, step, open_but_no_draft if step == "open" else failing)
        with pytest.raises(KeyMaterialInvalid, match="No space left") as refused:
            keys.add()
    assert before == path.read_bytes()
    assert [] == others_in(tmp_path)
    shown = "".join(traceback.format_exception(refused.value))
    assert not [each for each in forms(keys.keys().roots["k1"]) if each in shown]
    keys.add()


def test_a_folder_that_cannot_be_flushed(
    keys: FileKeys, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The error says so, and the file is the new one, whole."""
    with monkeypatch.context() as broken:
        broken.setattr(disk, "_flush", failing)
        with pytest.raises(KeyMaterialInvalid):
            keys.add()
    assert {"k1", "k2"} == set(keys.keys().roots)


def test_a_file_that_cannot_be_made_is_not_left(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that is full leaves no empty file, over which none could be made again."""
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(KeyMaterialInvalid, match="No space left"):
            FileKeys.create(path)
    assert not path.exists()
    FileKeys.create(path)


def test_a_file_lasts_before_it_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch):
    """File, then name, then folder: each is flushed, in this order, before a call returns."""
    done = []
    fsync, replace = os.fsync, Path.replace

    def flushed(file):
        done.append("folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file")
        fsync(file)

    def replaced(self, target):
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", replaced)
    keys = FileKeys.create(path)
    assert ["file", "folder"] == done
    done.clear()
    keys.add()
    assert ["file", "name", "folder"] == done


KILLED = """
import sys
from abonent import FileKeys
keys = FileKeys(sys.argv[1])
print("on", flush=True)
while True:
    new = keys.add()
    keys.use(new)
    for each in keys.ids().live[:-1]:
        keys.remove(each)
"""


def test_a_process_killed_in_the_middle_leaves_a_whole_file(keys: FileKeys, path: Path):
    """Killed at any moment: the file has keys, and the next change goes through."""
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        with process:
            process.stdout.readline()
            time.sleep(0.013 * (round_ + 1))
            process.send_signal(signal.SIGKILL)
        assert keys.keys().roots  # as many as it had come to
        keys.use(keys.add())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- two at once -----------------------------------------------------------------------


def test_changes_at_once_are_all_made(keys: FileKeys, tmp_path: Path):
    """Four at once add five each: twenty keys, none lost; readers find a whole file throughout."""
    failed: list[AbonentError] = []
    over = threading.Event()

    def adds():
        for _ in range(5):
            keys.add()

    def reads():
        while not over.is_set():
            try:
                keys.keys()
            except AbonentError as error:
                failed.append(error)

    reader = threading.Thread(target=reads)
    writers = [threading.Thread(target=adds) for _ in range(4)]
    for each in (reader, *writers):
        each.start()
    for each in writers:
        each.join()
    over.set()
    reader.join()
    assert [] == failed
    assert {f"k{each}" for each in range(1, 22)} == set(keys.keys().roots)
    assert [] == others_in(tmp_path)


def test_a_file_that_another_changes_for_long_is_busy(
    keys: FileKeys, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Who waits for a lock comes back, by name; reading is not kept from anybody."""
    monkeypatch.setattr(disk, "_PATIENCE", 0.1)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(KeyFileBusy) as busy:
            keys.add()
        assert busy.value.retryable
        assert ["k1"] == list(keys.keys().roots)
    assert "k2" == keys.add()


def test_a_file_that_cannot_be_locked(keys: FileKeys, monkeypatch: pytest.MonkeyPatch):
    """A file system without locks is no reason to go without."""
    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(KeyMaterialInvalid, match="cannot lock"):
        keys.add()


def test_a_file_that_is_replaced_while_one_waits_is_read_anew(
    keys: FileKeys, path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The lock of a file that has the name no more is worth nothing: what came after counts."""
    flock = fcntl.flock
    other = FileKeys(path)
    raced = []

    def late(file, how):
        if not raced:
            raced.append(True)
            other.add("rival")
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    keys.add("mine")
    assert {"k1", "rival", "mine"} == set(keys.keys().roots)


def test_a_path_that_cannot_be_opened(path: Path):
    """Below what is no folder there is nothing to read; no other error crosses."""
    path.touch()
    with pytest.raises(KeyMaterialInvalid, match="cannot be read"):
        FileKeys(path / "keys.json").keys()
