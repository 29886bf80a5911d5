"""An operator's signing keys: which one signs, which are shown, and that none is given away."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent.errors import InvalidValue, KeyMaterialInvalid, KeyUnavailable, NaiveInstant
from abonent.wire import FileSigningKeys, JwksKeys, SigningKey, SigningKeys
from abonent.wire.keys import LEAD, SHOWN_AFTER
from abonent.wire.signatures import MAX_AGE, MAX_AHEAD
from tests.wire.parts import DAY, HOUR, MICROSECOND, MINUTE, SECOND, START


def kids(keys: SigningKeys, at: datetime) -> list[str]:
    return [each["kid"] for each in json.loads(keys.jwks(at))["keys"]]


def test_a_key_is_shown_before_and_after_it_signs():
    """Publish before signing with it; retire when nothing that it signed can be taken any more."""
    one = SigningKeys.generate(START)
    (first,) = one.keys
    two = one.rotated(START + DAY)
    second = two.keys[1]
    switch = START + DAY + LEAD

    assert [first.kid, second.kid] == kids(two, START + DAY)
    assert first == two.current(switch - MICROSECOND)
    assert second == two.current(switch)
    assert [first.kid, second.kid] == kids(two, switch + SHOWN_AFTER - MICROSECOND)
    assert [second.kid] == kids(two, switch + SHOWN_AFTER)


def test_the_overlap_is_longer_than_a_signature_lives():
    """What was signed at the last moment is verified for as long as it is accepted."""
    assert SHOWN_AFTER > MAX_AGE + MAX_AHEAD


def test_a_rotation_drops_what_is_not_shown_any_more():
    """The file does not grow for ever."""
    keys = SigningKeys.generate(START)
    for day in range(1, 6):
        keys = keys.rotated(START + day * DAY)
        assert 2 == len(keys.keys)
    assert 3 == len(keys.rotated(START + 5 * DAY + LEAD).keys)


def test_one_rotation_at_a_time():
    """A job that rotates too often does not pile up keys that never sign."""
    keys = SigningKeys.generate(START).rotated(START)
    with pytest.raises(InvalidValue):
        keys.rotated(START + LEAD - MICROSECOND)
    keys.rotated(START + LEAD)


def test_the_lead_can_be_chosen():
    """In an emergency a key signs at once."""
    keys = SigningKeys.generate(START).rotated(START + HOUR, lead=MINUTE)
    assert keys.keys[1] == keys.current(START + HOUR + MINUTE)
    now = SigningKeys.generate(START).rotated(START + HOUR, lead=HOUR - HOUR)
    assert now.keys[1] == now.current(START + HOUR)
    with pytest.raises(InvalidValue):
        SigningKeys.generate(START).rotated(START + HOUR, lead=-SECOND)


def test_no_key_signs_yet():
    """An operator that starts before its first key does hears so at home."""
    keys = SigningKeys.generate(START)
    with pytest.raises(KeyUnavailable) as refused:
        keys.current(START - MICROSECOND)
    assert keys.keys[0].kid == refused.value.key_id
    assert [keys.keys[0].kid] == kids(keys, START - DAY)


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=8, unique=True),
    st.integers(-(10**6), 2 * 10**6),
)
def test_what_signs_is_always_shown(starts, at):
    """At no instant is something signed by a key that messengers cannot have."""
    keys = SigningKeys(
        keys=tuple(
            SigningKey(seed=bytes([number]) * 32, signs_from=START + start * SECOND)
            for number, start in enumerate(starts)
        )
    )
    now = START + at * SECOND
    if at >= min(starts):
        current = keys.current(now)
        assert current in keys.shown(now)
        for later in (SECOND, MAX_AGE + MAX_AHEAD):
            assert current in keys.shown(now + later)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SigningKeys(keys=()),
        lambda: SigningKeys(keys=(SigningKey(seed=bytes(32), signs_from=START),) * 2),
        lambda: SigningKey(seed=bytes(31), signs_from=START),
        lambda: SigningKey(seed=b"", signs_from=START),
    ],
)
def test_what_are_no_signing_keys(build):
    """No key, two that would sign at once, or not 32 bytes."""
    with pytest.raises(InvalidValue):
        build()


def test_a_naive_instant():
    """P16: a key that signs from some time on signs from an instant."""
    with pytest.raises(NaiveInstant):
        SigningKey(seed=bytes(32), signs_from=datetime(2026, 6, 1))


def test_private_halves_are_not_shown(tmp_path):
    """I9: neither by repr nor in the document for messengers."""
    seed = bytes(range(32))
    keys = SigningKeys(keys=(SigningKey(seed=seed, signs_from=START),))
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    shown = repr(keys) + repr(keys.keys) + repr(file) + keys.jwks(START).decode()
    for secret in (seed.hex(), repr(seed)[2:-1], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"):
        assert secret not in shown
    assert {"kty", "crv", "x", "kid", "use"} == set(json.loads(keys.jwks(START))["keys"][0])
    assert keys is keys.signing_keys()


def test_messengers_read_what_is_shown():
    """The document is one that the other end takes."""
    keys = SigningKeys.generate(START).rotated(START + HOUR)
    read = JwksKeys(keys.jwks(START + HOUR))
    for key in keys.keys:
        found = read.find(key.kid)
        assert found is not None
        found.verify(key.private.sign(b"x"), b"x")


# --- the file -----------------------------------------------------------------------


def test_a_file_of_keys(tmp_path):
    """What was written is read, by its owner only, and a rotation replaces it as a whole."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    assert 0o600 == (tmp_path / "keys.json").stat().st_mode & 0o777
    before = file.signing_keys()
    assert START == before.keys[0].signs_from

    rotated = file.rotate(START + HOUR)

    assert rotated == file.signing_keys()
    assert before.keys[0] == rotated.keys[0]
    assert START + HOUR + LEAD == rotated.keys[1].signs_from
    assert 0o600 == (tmp_path / "keys.json").stat().st_mode & 0o777
    assert ["keys.json"] == [each.name for each in tmp_path.iterdir()]


def test_a_stolen_key_is_gone_at_once(tmp_path):
    """Nothing of the old keys is signed with or shown any more."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    old = file.rotate(START + HOUR)
    renewed = file.renew(START + HOUR)
    assert renewed == file.signing_keys()
    assert [renewed.current(START + HOUR).kid] == kids(renewed, START + HOUR)
    assert not {each.kid for each in old.keys} & set(kids(renewed, START))


def test_an_existing_file_is_never_touched(tmp_path):
    """A second `create` does not take the keys away with which messages were signed."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    before = file.path.read_bytes()
    with pytest.raises(KeyMaterialInvalid):
        FileSigningKeys.create(tmp_path / "keys.json", START)
    assert before == file.path.read_bytes()


def test_a_rotation_that_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    """The old keys go on, and nothing half-written is left."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    before = file.path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(KeyMaterialInvalid):
        file.rotate(START + HOUR)
    assert before == file.path.read_bytes()
    assert ["keys.json"] == [each.name for each in tmp_path.iterdir()]


def test_a_missing_or_open_file(tmp_path):
    """Each says what is wrong with it."""
    with pytest.raises(KeyUnavailable):
        FileSigningKeys(tmp_path / "keys.json").signing_keys()
    with pytest.raises(KeyMaterialInvalid, match="cannot be read"):
        FileSigningKeys(tmp_path).signing_keys()
    with pytest.raises(KeyMaterialInvalid, match="cannot create"):
        FileSigningKeys.create(tmp_path / "nowhere" / "keys.json", START)
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    for mode in (0o640, 0o604, 0o660, 0o601):
        file.path.chmod(mode)
        with pytest.raises(KeyMaterialInvalid, match="chmod 600"):
            file.signing_keys()


def _changed(**changes: object):
    def change(document):
        for name, value in changes.items():
            if value is ...:
                del document["keys"][0][name]
            else:
                document["keys"][0][name] = value
        return json.dumps(document)

    return change


@pytest.mark.parametrize(
    "change",
    {
        "empty": lambda _: "",
        "no JSON": lambda _: "{",
        "other JSON": lambda _: "[]",
        "no keys": lambda _: '{"keys": []}',
        "twice": lambda document: json.dumps({"keys": document["keys"] * 2}),
        "another type": _changed(kty="EC"),
        "another curve": _changed(crv="X25519"),
        "an unknown curve": _changed(crv="Ed1"),
        "no private half": _changed(d=...),
        "a short private half": _changed(d="AAAA"),
        "not base64": _changed(d="*" * 43),
        "not ASCII": _changed(d="ж" * 43),
        "another public half": _changed(x=SigningKeys.generate(START).keys[0].public_jwk()["x"]),
        "a number": _changed(x=1),
        "naive": _changed(signs_from="2026-06-01T09:00:00"),
        "no instant": _changed(signs_from="soon"),
        "no beginning": _changed(signs_from=...),
    }.items(),
    ids=lambda each: each[0],
)
def test_a_file_that_holds_no_keys(tmp_path, change):
    """It is refused without a word of what is in it."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    document = json.loads(file.path.read_bytes())
    secret = document["keys"][0]["d"]
    file.path.write_text(change[1](document))
    with pytest.raises(KeyMaterialInvalid) as refused:
        file.signing_keys()
    assert secret not in str(refused.value)
    assert refused.value.__suppress_context__
