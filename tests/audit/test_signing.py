"""A key signs for one process, forgets nothing it signed, and is kept for its owner."""

import fcntl
import os
from hashlib import sha256
from pathlib import Path

import pytest

from abonent.audit.disk import put, read
from abonent.audit.signing import Signer, create_key, read_key
from abonent.errors import (
    EvidenceTampered,
    EvidenceUnavailable,
    InvalidValue,
    KeyMaterialInvalid,
    KeyUnavailable,
)
from tests.audit.crashing import watched
from tests.audit.logs import NAME, Ledger, entries


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


# --- one process at a time --------------------------------------------------------------


def test_two_processes_cannot_have_a_key(ledger):
    """The second is refused by name; the public part can be read all the same."""
    with Signer(ledger.key_file) as signer:
        with pytest.raises(EvidenceUnavailable, match="another process has this key") as caught:
            Signer(ledger.key_file)
        assert ("busy", "log.key") == (caught.value.finding, caught.value.where)
        assert ledger.key == read_key(ledger.key_file)
    signer.close()
    with pytest.raises(InvalidValue, match="closed"):
        signer.sign(0, sha256().digest(), ())
    with Signer(ledger.key_file) as signer:
        assert "Signer('example.com/abonent')" == repr(signer)


def test_a_signer_signs_nothing_that_does_not_extend(ledger):
    """I12: even who asks the key directly gets no second tree, and no shorter one."""
    ledger.append(*entries(3))
    ledger.publish()
    with Signer(ledger.key_file) as signer, watched() as signed:
        for size, root in ((3, bytes(32)), (2, bytes(32)), (4, bytes(32)), (0, sha256().digest())):
            with pytest.raises(EvidenceTampered, match="fork"):
                signer.sign(size, root, ())
        assert [] == signed


# --- key files --------------------------------------------------------------------------


def test_a_key_is_kept_for_its_owner(tmp_path):
    """The file has mode 0600, the public part stands beside it, and neither is in a repr."""
    path = tmp_path / "k"
    key = create_key(path, NAME)
    assert 0o600 == path.stat().st_mode & 0o777
    assert f"{key}\n" == (tmp_path / "k.vkey").read_text()
    assert path.read_text().startswith(f"PRIVATE+KEY+{NAME}+{key.id.hex()}+")
    assert key == read_key(path)
    with pytest.raises(KeyMaterialInvalid, match="cannot create"):
        create_key(path, NAME)
    with Signer(path) as signer:
        assert path.read_text().split("+", 4)[4].strip() not in repr(signer)


def test_a_key_lasts(tmp_path, monkeypatch):
    """It is flushed as a whole before its public part is given to anybody, and its name at last."""
    path, fsync, flushed = tmp_path / "k", os.fsync, []

    def flush(file):
        told = Path(f"/proc/self/fd/{file}").readlink()
        flushed.append((told.name, told.read_text().count("\n") if told.is_file() else 0))
        fsync(file)

    monkeypatch.setattr(os, "fsync", flush)
    create_key(path, NAME)
    assert [("k", 1), (".k.vkey.draft", 1), (tmp_path.name, 0)] == flushed


def test_a_published_private_key_is_read(tmp_path):
    """The file's form is that of golang.org/x/mod/sumdb/note, by its own example."""
    path = tmp_path / "k"
    path.write_text(
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n"
    )
    path.chmod(0o600)
    expected = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert expected == str(read_key(path))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace("PRIVATE", "PUBLIC"),
        lambda text: "x" + text,
        lambda text: text + "\n",
        lambda text: text[:-2],
        lambda text: text.replace("example", "elpmaxe"),
        lambda text: text.replace("example", "exa mple"),
        lambda text: text.replace("+A", "+B"),
        lambda text: "\xff\xfe" + text,
    ],
)
def test_what_is_no_key_file(tmp_path, spoil):
    """A file that holds no key is refused, and nothing of it is quoted."""
    path = tmp_path / "k"
    create_key(path, NAME)
    secret = path.read_text().split("+", 4)[4].strip()
    path.write_text(spoil(path.read_text()))
    with pytest.raises(KeyMaterialInvalid) as caught:
        read_key(path)
    assert secret not in str(caught.value)


def test_key_files_that_cannot_be_used(tmp_path):
    """One that others may read, none, a folder: each says so."""
    path = tmp_path / "k"
    create_key(path, NAME)
    path.chmod(0o640)
    with pytest.raises(KeyMaterialInvalid, match="chmod 600"):
        Signer(path)
    with pytest.raises(KeyUnavailable, match="no key file"):
        Signer(tmp_path / "none")
    with pytest.raises(KeyMaterialInvalid):
        read_key(tmp_path)
    with pytest.raises(KeyMaterialInvalid, match="cannot be read"):
        read_key(tmp_path / "k" / "x")


def test_a_file_that_cannot_be_locked(ledger, monkeypatch):
    """Where the file system has no locks, nothing is signed."""

    def unlocked(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unlocked)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(EvidenceUnavailable, match="cannot be locked") as caught:
        Signer(ledger.key_file)
    assert ("file", "log.key") == (caught.value.finding, caught.value.where)
    read_key(ledger.key_file)
    assert opened == len(list(Path("/proc/self/fd").iterdir()))  # nobody keeps the file open


@pytest.mark.parametrize("name", ["", "tile/0/000"])
def test_a_file_that_the_system_refuses_is_named(tmp_path, monkeypatch, name):
    """By what it is called in the log where it is called something; and nothing raw crosses."""

    def refused(*_):
        raise OSError(13, "Permission denied", "/elsewhere/secret")

    (tmp_path / "k").write_text("")
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(EvidenceUnavailable) as caught:
        read(tmp_path / "k", 9, name)
    assert ("file", name or "k") == (caught.value.finding, caught.value.where)
    assert "elsewhere" not in str(caught.value)
    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(EvidenceUnavailable, match="file, new"):
        put(tmp_path / "new", b"")


def test_a_draft_of_others_is_not_written_to(tmp_path):
    """What is for its owner alone does not get the mode of a file that lay in its place."""
    (tmp_path / ".k.draft").write_text("")
    (tmp_path / ".k.draft").chmod(0o666)
    put(tmp_path / "k", b"secret", 0o600)
    assert 0o600 == (tmp_path / "k").stat().st_mode & 0o777
    assert not (tmp_path / ".k.draft").exists()


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_file_is_not_replaced(tmp_path, kind):
    """A pipe, a device or a link keeps its name: it was not meant to become a file."""
    path, other = tmp_path / "k", tmp_path / "other"
    other.write_text("kept")
    path.symlink_to(other) if kind == "link" else os.mkfifo(path)
    before = path.lstat()
    with pytest.raises(EvidenceUnavailable, match="no file"):
        put(path, b"proof")
    assert before == path.lstat()
    assert "kept" == other.read_text()
