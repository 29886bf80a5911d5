"""Where keys come from, and that no key, number or code is shown by anything public."""

import base64
import json
import os
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import abonent
from abonent import EnvironmentKeys, FileKeys, MemoryKeys, Notice, NoticeKind, OneTimeCode
from abonent.errors import AbonentError, InvalidValue, KeyMaterialInvalid, KeyUnavailable
from abonent.ports import Keys
from abonent.possession import OneTimeCodes
from abonent.sealing import Keyring
from tests.properties.parts import N1, ROOT, M, World, parts_of

VARIABLE = "ABONENT_TEST_KEYS"


def as_text(root: bytes = ROOT, key_id: str = "k1") -> str:
    return json.dumps({"current": key_id, "keys": {key_id: base64.b64encode(root).decode()}})


def forms(secret: bytes) -> list[str]:
    """How bytes may show in a text."""
    return [
        secret.hex(),
        base64.b64encode(secret).decode(),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        repr(secret)[2:-1],
        str(list(secret))[1:-1],
    ]


# --- files -----------------------------------------------------------------------------


def test_a_key_file_is_for_its_owner_only(tmp_path: Path):
    """A created key file has mode 0600 whatever the umask, and holds one usable key."""
    before = os.umask(0)
    try:
        keys = FileKeys.create(tmp_path / "keys.json").keys()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert [len(each) for each in keys.roots.values()] == [32]
    assert FileKeys(tmp_path / "keys.json").keys().roots == keys.roots
    other = FileKeys.create(tmp_path / "other.json").keys()
    assert other.roots != keys.roots


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o644, 0o610, 0o601])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int):
    """One bit for group or others, and the file is refused; the remedy is said."""
    FileKeys.create(tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(mode)
    with pytest.raises(KeyMaterialInvalid, match="chmod 600"):
        FileKeys(tmp_path / "keys.json").keys()


def test_an_existing_file_is_never_touched(tmp_path: Path):
    """Creating over a file, or a link to nowhere, is refused and leaves it as it was."""
    path = tmp_path / "keys.json"
    path.write_text("precious")
    with pytest.raises(KeyMaterialInvalid):
        FileKeys.create(path)
    assert path.read_text() == "precious"
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(KeyMaterialInvalid):
        FileKeys.create(tmp_path / "link")
    assert not (tmp_path / "target").exists()
    with pytest.raises(KeyMaterialInvalid):
        FileKeys.create(tmp_path / "nowhere" / "keys.json")


def test_a_key_file_that_is_not_there_is_unavailable(tmp_path: Path):
    """No file is another matter than a bad one."""
    with pytest.raises(KeyUnavailable):
        FileKeys(tmp_path / "keys.json").keys()
    with pytest.raises(KeyMaterialInvalid):
        FileKeys(tmp_path).keys()


BAD = {
    "no json": "{",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "no keys": '{"current": "k1"}',
    "keys is a list": '{"current": "k1", "keys": ["k1"]}',
    "key is a number": '{"current": "k1", "keys": {"k1": 7}}',
    "not base64": '{"current": "k1", "keys": {"k1": "ÄÖ"}}',
    "short": as_text(ROOT[:31]),
    "long": as_text(ROOT + b"x"),
    "another current": as_text().replace('"current": "k1"', '"current": "k2"'),
    "current is a list": as_text().replace('"current": "k1"', '"current": []'),
    "bad id": as_text(key_id="K 1"),
    "empty id": as_text(key_id=""),
    "cut": as_text()[:-2],
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize("source", ["file", "environment"])
def test_what_holds_no_keys_is_refused(
    source: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A source that does not hold keys is refused by name, and its text is not repeated."""
    provider: Any = EnvironmentKeys(VARIABLE)
    monkeypatch.setenv(VARIABLE, text)
    if source == "file":
        path = tmp_path / "keys.json"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        provider = FileKeys(path)
    with pytest.raises(KeyMaterialInvalid) as refused:
        provider.keys()
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    secret = base64.b64encode(ROOT).decode()[:12]
    assert secret not in shown


def test_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """The variable holds what a key file holds; unset or empty, the keys are unavailable."""
    monkeypatch.setenv(VARIABLE, as_text())
    assert EnvironmentKeys(VARIABLE).keys().roots == {"k1": ROOT}
    monkeypatch.setenv("ABONENT_KEYS", as_text(key_id="k3"))
    assert EnvironmentKeys().keys().current == "k3"
    for unset in (lambda: monkeypatch.setenv(VARIABLE, ""), lambda: monkeypatch.delenv(VARIABLE)):
        unset()
        with pytest.raises(KeyUnavailable):
            EnvironmentKeys(VARIABLE).keys()


@pytest.mark.parametrize(
    ("current", "roots"),
    [
        ("k2", {"k1": ROOT}),
        ("k1", {"k1": ROOT[:16]}),
        ("K1", {"K1": ROOT}),
        ("k" * 17, {"k" * 17: ROOT}),
        ("", {"": ROOT}),
        ("k1", {"k1": ROOT, "k 2": ROOT}),
    ],
)
def test_keys_that_cannot_be_right_are_refused(current: str, roots: dict[str, bytes]):
    """Wrong lengths and ids are refused at once, without showing the key."""
    with pytest.raises(InvalidValue) as refused:
        Keys(current=current, roots=roots)
    shown = str(refused.value) + repr(refused.value)
    assert not [form for form in forms(ROOT) if form in shown]


def test_random_keys_are_random():
    """Two random providers share nothing."""
    one, other = MemoryKeys.random().keys(), MemoryKeys.random("k2").keys()
    assert (one.current, other.current) == ("k1", "k2")
    assert one.roots["k1"] != other.roots["k2"]


# --- what is shown ---------------------------------------------------------------------


def test_key_providers_and_rings_show_ids_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Repr, str and format of everything that holds keys show ids, never a key."""
    monkeypatch.setenv(VARIABLE, as_text())
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_text(as_text())
    keys = Keys(current="k1", roots={"k1": ROOT})
    ring = Keyring(MemoryKeys(keys), "m")
    holders = [keys, MemoryKeys(keys), ring, FileKeys(path), EnvironmentKeys(VARIABLE)]
    holders += [each for each in parts_of(ring) if not isinstance(each, bytes | str | dict | tuple)]
    derived = [derived_key(purpose) for purpose in ("row", "query", "index", "code")]
    for each in holders:
        shown = f"{each!r} {each!s} {each}"
        for secret in (ROOT, *derived):
            assert not [form for form in forms(secret) if form in shown], type(each)
    assert "k1" in repr(keys)
    assert "k1" in repr(ring)


def derived_key(purpose: str) -> bytes:
    """A key as the ring derives it (RFC 5869)."""
    info = f"abonent/1/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(ROOT)


def told_by(world: World) -> Iterator[Any]:
    """Everything public that a life of a user leads to, objects and errors."""
    identifier = world.identifier
    yield identifier.claim("alice", N1.e164)
    (message,) = world.sender.messages
    yield message
    yield identifier.prove("alice", world.wrong())
    for call in (
        lambda: identifier.prove("alice", f"{message.code.digits} "),
        lambda: identifier.claim("alice", f"{N1.e164} ext. 12"),
        lambda: identifier.claim("alice", f"{N1.e164}0000000"),
        lambda: OneTimeCode(f"{message.code.digits}x"),
        lambda: abonent.SubscriberNumber(f"{N1.e164}x"),
        lambda: identifier.disclose("alice", to="court", purpose="case", consent=None),
    ):
        with pytest.raises(AbonentError) as raised:
            call()
        yield raised.value
    yield identifier.prove("alice", message.code)
    yield world.operators[M].questions
    yield world.operators[M].records
    notice = Notice(id="n", operator=M, kind=NoticeKind.PORTED, number=N1)
    yield notice
    yield identifier.receive(notice)
    yield identifier.history("alice")
    yield identifier.changes()
    yield identifier.gate("alice")
    yield identifier.standing("alice")
    yield world.kept("alice")
    yield list(world.identifier._feed._rows())
    yield identifier.sweep()
    yield identifier.replay()
    yield identifier.forget("alice")
    yield identifier
    yield identifier._engine
    yield world.everything()


def test_nothing_public_shows_a_number_code_or_key(caplog: pytest.LogCaptureFixture):
    """I9: reprs, strings and tracebacks of everything public hold no number, code or key."""
    caplog.set_level(0)
    with World() as world:
        told = list(told_by(world))
        digits = world.sender.messages[0].code.digits
    secrets = [N1.e164[1:], N1.e164[2:], digits, *forms(ROOT)]
    shown = 0
    for each in parts_of(told):
        if isinstance(each, str | bytes):
            continue  # shown by what holds it
        if isinstance(each, AbonentError):
            text = "".join(traceback.format_exception(each)) + repr(each) + repr(vars(each))
        else:
            text = f"{each!r} {each!s}"
        if isinstance(each, dict | list | tuple) or type(each).__module__.startswith("abonent"):
            shown += 1
            assert not [secret for secret in secrets if secret in text], type(each)
    assert shown > 50
    assert not [secret for secret in secrets if secret in caplog.text]


def test_a_number_is_shown_by_its_last_two_digits():
    """A subscriber number shows two digits in repr, str, format and in what holds it."""
    for shown in (repr(N1), str(N1), f"{N1}", f"{N1:>40}", repr([N1]), repr({N1: N1})):
        assert "67" in shown
        assert "4567" not in shown
        assert "916" not in shown


def test_a_code_is_not_shown_at_all():
    """A one-time code shows none of its digits."""
    for shown in (
        repr(OneTimeCode("493817")),
        str(OneTimeCode("493817")),
        f"{[OneTimeCode('49381')]}",
    ):
        assert not set("0123456789") & set(shown)


def test_what_holds_a_sender_does_not_show_it():
    """A possession check's repr does not reach into its sender."""

    @attrs.frozen
    class Sender:
        password: str = "hunter2"

        def send(self, message: Any) -> None:
            pass

    assert "hunter2" not in repr(OneTimeCodes(Sender()))
