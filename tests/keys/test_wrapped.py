"""Wrapped keys: only the service opens them, nothing it gives is believed, nothing is lost."""

import base64
import json
import traceback
from pathlib import Path
from typing import Any

import pytest

from abonent import FileKeys, WrappedKeys
from abonent.errors import (
    AdapterFault,
    InvalidValue,
    KeyMaterialInvalid,
    KeyServiceUnavailable,
    KeyUnavailable,
    Misconfigured,
    Unavailable,
)
from abonent.keys import KeyIds
from abonent.ports import Keys
from abonent.simulation import Reply
from tests.keys.services import Gives, LocalService
from tests.sealing.test_secrets import forms

ROOTS = {"k1": bytes(range(32)), "k2": bytes(range(100, 132))}
KEYS = Keys(current="k2", roots=ROOTS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def service() -> LocalService:
    return LocalService()


@pytest.fixture
def keys(path: Path, service: LocalService) -> WrappedKeys:
    return WrappedKeys.create(path, service, keys=KEYS)


def with_service(path: Path, service: LocalService, **told: Any) -> WrappedKeys:
    """The same file, under a service that gives something else."""
    other = Gives(**told)
    other._keys = service._keys
    return WrappedKeys(path, other)


# --- what stands in the file -----------------------------------------------------------


def test_a_file_of_keys_is_moved_under_a_service(tmp_path: Path, path: Path, service: LocalService):
    """What was sealed before opens after: they are the same keys, and none stands in the file."""
    plain = FileKeys.create(tmp_path / "plain.json")
    plain.add()
    wrapped = WrappedKeys.create(path, service, keys=plain.keys())
    assert plain.keys() == wrapped.keys()
    assert wrapped.keys() == WrappedKeys(path, service).keys()
    text = path.read_text()
    for root in plain.keys().roots.values():
        assert not [form for form in forms(root) if form in text]
    assert {"current", "wrapped"} == set(json.loads(text))


def test_a_fresh_file_has_one_key(path: Path, service: LocalService):
    """Made without keys it gets a random one, mode 0600, and is never made over another."""
    made = WrappedKeys.create(path, service, "spring")
    assert "spring" == made.keys().current
    assert 0o600 == path.stat().st_mode & 0o777
    assert made.keys().roots != WrappedKeys.create(path.with_name("b"), service).keys().roots
    before = path.read_bytes()
    with pytest.raises(KeyMaterialInvalid):
        WrappedKeys.create(path, service)
    assert before == path.read_bytes()
    with pytest.raises(InvalidValue):
        WrappedKeys.create(path.with_name("c"), service, "K 1")


def test_each_kind_of_file_is_told_apart(keys: WrappedKeys, tmp_path: Path, service: LocalService):
    """Wrapped bytes are never taken for keys, nor keys for wrapped bytes, whatever their length."""
    with pytest.raises(KeyMaterialInvalid, match="read through a key service"):
        FileKeys(keys.path).keys()
    plain = FileKeys.create(tmp_path / "plain.json")
    with pytest.raises(KeyMaterialInvalid, match="not wrapped"):
        WrappedKeys(plain.path, service).keys()
    assert not [each for each in service.asked if each == "unwrap k3"]


@pytest.mark.parametrize(("mode", "usable"), [(0o644, True), (0o664, False), (0o606, False)])
def test_others_may_read_it_and_not_write_it(mode: int, usable: bool, keys: WrappedKeys):
    """It tells nothing without the service; who can write it can take keys away."""
    keys.path.chmod(mode)
    if usable:
        assert KEYS == keys.keys()
        keys.add()
        assert mode == keys.path.stat().st_mode & 0o777
    else:
        with pytest.raises(KeyMaterialInvalid, match="chmod"):
            keys.keys()


def test_keys_that_were_swapped_do_not_open(keys: WrappedKeys):
    """Who can write the file cannot give one key the id of another."""
    told = json.loads(keys.path.read_text())
    entries = told["wrapped"]
    entries["k1"], entries["k2"] = entries["k2"], entries["k1"]
    keys.path.write_text(json.dumps(told))
    with pytest.raises(KeyMaterialInvalid, match="k1"):
        keys.keys()


# --- adding, using, removing, wrapping anew --------------------------------------------


def test_a_turn_from_one_key_to_the_next(keys: WrappedKeys):
    """Added, made current, older ones removed: as in a file of keys."""
    assert "k3" == keys.add()
    assert ROOTS == {each: root for each, root in keys.keys().roots.items() if each != "k3"}
    assert "k2" == keys.keys().current
    keys.use("k3")
    keys.remove("k1")
    assert ("k3", ["k2", "k3"]) == (keys.keys().current, sorted(keys.keys().roots))
    assert KeyIds(current="k3", live=("k2", "k3"), removed=("k1",)) == keys.ids()


def test_ids_are_known_without_the_service(keys: WrappedKeys, service: LocalService):
    """To list and to remove, nobody is asked."""
    service.show(Reply.UNAVAILABLE)
    asked = len(service.asked)
    assert ("k1", "k2") == keys.ids().live
    keys.remove("k1")
    assert asked == len(service.asked)


def test_what_is_refused_at_once_asks_nobody(keys: WrappedKeys, service: LocalService):
    """An id that cannot be taken, or is not there, is refused before the service is asked."""
    asked = len(service.asked)
    for call, error in (
        (lambda: keys.add("k1"), InvalidValue),
        (lambda: keys.add("K 1"), InvalidValue),
        (lambda: keys.use("k9"), KeyUnavailable),
        (lambda: keys.remove("k9"), KeyUnavailable),
        (lambda: keys.remove("k2"), InvalidValue),
    ):
        with pytest.raises(error):
            call()
    assert asked == len(service.asked)


def test_after_the_service_turned_its_key(keys: WrappedKeys, service: LocalService):
    """Each key says under what it is wrapped; wrapped anew, it is the same key under the new."""
    assert {"k1": "local/0", "k2": "local/0"} == dict(keys.wrapped_by())
    service.turn()
    assert "k3" == keys.add()
    assert {"k1": "local/0", "k2": "local/0", "k3": "local/1"} == dict(keys.wrapped_by())
    before = keys.keys()
    keys.rewrap()
    assert {"k1": "local/1", "k2": "local/1", "k3": "local/1"} == dict(keys.wrapped_by())
    assert before == keys.keys()
    service._keys[0] = service._keys[1]  # the old version is destroyed
    assert before == keys.keys()


def test_what_others_change_meanwhile_is_kept(keys: WrappedKeys, service: LocalService):
    """A key added, or removed, while all are wrapped anew is not lost, and does not come back."""

    class Racing(LocalService):
        raced = False

        def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
            if not self.raced:
                self.raced = True
                keys.add("rival")
                keys.remove("k1")
            return super().unwrap(key_id, wrapped)

    racing = Racing()
    racing._keys = service._keys
    service.turn()
    WrappedKeys(keys.path, racing).rewrap()
    assert {"k2": "local/1", "rival": "local/1"} == dict(keys.wrapped_by())
    assert ROOTS["k2"] == keys.keys().roots["k2"]


# --- a service that fails, or gives what it may not ------------------------------------

SECRET = "hvs.s3cret"
CALLS = {
    "keys": lambda keys: keys.keys(),
    "add": lambda keys: keys.add(),
    "use": lambda keys: keys.use("k1"),
    "rewrap": lambda keys: keys.rewrap(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (Unavailable(SECRET), KeyServiceUnavailable),
        (Misconfigured(SECRET), KeyMaterialInvalid),
        (RuntimeError(SECRET), AdapterFault),
        (TimeoutError(SECRET), AdapterFault),
        (KeyUnavailable(SECRET), AdapterFault),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_a_service_that_fails(call: Any, raised: Exception, error: Any, keys, service):
    """Each failure has a name of ours, the service's words do not cross, the file is as it was."""
    broken = with_service(keys.path, service, wrap=raised, unwrap=raised)
    before = keys.path.read_bytes()
    with pytest.raises(error) as failed:
        call(broken)
    shown = "".join(traceback.format_exception(failed.value)) + repr(vars(failed.value))
    assert SECRET not in shown
    assert before == keys.path.read_bytes()
    assert issubclass(KeyServiceUnavailable, KeyUnavailable)


def test_what_ends_the_process_is_not_the_service_s(keys, service):
    """An interrupt goes through as it is."""
    with pytest.raises(KeyboardInterrupt):
        with_service(keys.path, service, unwrap=KeyboardInterrupt()).keys()


WRONGLY_WRAPPED = {
    "None": None,
    "text": "wrapped",
    "nothing": b"",
    "too much": b"x" * 16_385,
    "a view": memoryview,
    "the key": lambda secret: secret,
    "the key inside": lambda secret: b"v1:" + secret,
    "the key in hexadecimal": lambda secret: secret.hex().encode(),
    "the key in base 64": base64.b64encode,
    "the key in urlsafe base 64": base64.urlsafe_b64encode,
}


@pytest.mark.parametrize("wrapped", WRONGLY_WRAPPED.values(), ids=WRONGLY_WRAPPED)
def test_what_is_no_wrapped_key_is_not_stored(wrapped: Any, keys, service):
    """Nothing, too much, no bytes, or the key in clear: refused before it is written."""
    before = keys.path.read_bytes()
    for call in (lambda each: each.add(), lambda each: each.rewrap()):
        with pytest.raises(AdapterFault, match="wrap"):
            call(with_service(keys.path, service, wrap=wrapped))
    with pytest.raises(AdapterFault):
        WrappedKeys.create(keys.path.with_name("new"), Gives(wrap=wrapped))
    assert not keys.path.with_name("new").exists()
    assert before == keys.path.read_bytes()


def test_what_does_not_open_again_is_not_stored(keys, service):
    """A service that loses what it wraps is found out before the old bytes are gone."""
    before = keys.path.read_bytes()
    lossy = {"wrap": lambda secret: service.wrap("another", secret)}
    for call in (lambda each: each.add(), lambda each: each.rewrap()):
        with pytest.raises(KeyMaterialInvalid):
            call(with_service(keys.path, service, **lossy))
    wrong = {"wrap": lambda _: service.wrap("k3", bytes(32))}
    with pytest.raises(AdapterFault, match="did not give what was wrapped"):
        with_service(keys.path, service, **wrong).add("k3")
    assert before == keys.path.read_bytes()


@pytest.mark.parametrize("root", [None, "x" * 32, bytearray(32)], ids=["None", "text", "array"])
def test_what_is_no_key_is_not_taken(root: Any, keys, service):
    """What unwraps to no bytes is a fault of the adapter."""
    with pytest.raises(AdapterFault, match="no bytes"):
        with_service(keys.path, service, unwrap=root).keys()


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_not_taken(length: int, keys, service):
    """What unwraps to other than 32 bytes is no key, and is named."""
    with pytest.raises(KeyMaterialInvalid, match="k1 is not 32 bytes"):
        with_service(keys.path, service, unwrap=b"x" * length).keys()


@pytest.mark.parametrize("name", [None, 7, "", "x" * 201, "a\nb", "\x1b[2J"], ids=repr)
def test_what_is_no_name_is_not_shown(name: Any, keys, service):
    """What would be shown to a person is text that can be shown."""
    with pytest.raises(AdapterFault, match="no name"):
        with_service(keys.path, service, wrapped_by=name).wrapped_by()


def test_a_key_the_service_refuses_is_not_made_current(keys, service):
    """What seals has to open: before a key is made current, the service unwraps it."""
    before = keys.path.read_bytes()
    with pytest.raises(KeyMaterialInvalid):
        with_service(keys.path, service, unwrap=Misconfigured("disabled")).use("k1")
    assert before == keys.path.read_bytes()


def test_neither_service_nor_key_is_shown(keys: WrappedKeys):
    """The repr names the file."""
    assert "keys.json" in repr(keys)
    assert "Service" not in repr(keys)
