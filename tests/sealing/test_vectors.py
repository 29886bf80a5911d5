"""Published vectors against what the keyring calls, and what must not open against the keyring.

Where the vectors come from is in `vectors/README.md`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from abonent.errors import KeyUnavailable, RecordDamaged
from abonent.ports import Keys
from abonent.sealing import (
    TAG_LENGTH,
    Keyring,
    MemoryKeys,
    _derive,
    _mac,
    _open,
    _purposes,
    _seal,
    new_subject_key,
)

VECTORS = Path(__file__).parent / "vectors"
ROOT, OTHER_ROOT = bytes(range(32)), bytes(range(32, 64))


def vectors(name: str) -> list[dict[str, Any]]:
    found = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    if "testGroups" not in found:
        return found["tests"]
    tests = [
        {**test, "tagSize": group.get("tagSize")}
        for group in found["testGroups"]
        for test in group["tests"]
    ]
    assert found["numberOfTests"] == len(tests)
    return tests


def parts(test: dict[str, Any], *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(test[each]) for each in names)


def named(test: dict[str, Any]) -> str:
    return f"{test.get('tcId', test.get('section'))}-{test.get('comment', '')}".rstrip("-")


# --- AES-256-GCM -----------------------------------------------------------------------


def gcm(result: str) -> list[dict[str, Any]]:
    return [test for test in vectors("wycheproof_aes_gcm") if test["result"] == result]


@pytest.mark.parametrize("test", gcm("valid"), ids=named)
def test_a_valid_vector_is_what_we_seal_and_open(test: dict[str, Any]):
    """Sealed under key, nonce and place of a vector, a body is its bytes; and they open."""
    key, nonce, place, body, text, tag = parts(test, "key", "iv", "aad", "msg", "ct", "tag")
    assert nonce + text + tag == _seal(AESGCM(key), nonce, place, body)
    assert body == _open(AESGCM(key), place, nonce + text + tag, "failed")


@pytest.mark.parametrize("test", gcm("invalid"), ids=named)
def test_an_invalid_vector_is_damage(test: dict[str, Any]):
    """A vector with a changed tag does not open: RecordDamaged, in our words."""
    key, nonce, place, text, tag = parts(test, "key", "iv", "aad", "ct", "tag")
    with pytest.raises(RecordDamaged, match="failed"):
        _open(AESGCM(key), place, nonce + text + tag, "failed")


@pytest.mark.parametrize("test", gcm("valid"), ids=named)
def test_a_valid_vector_with_one_bit_changed_is_damage(test: dict[str, Any]):
    """Each bit of nonce, ciphertext and tag counts, each bit of the place, and the length."""
    key, nonce, place, text, tag = parts(test, "key", "iv", "aad", "ct", "tag")
    sealed = nonce + text + tag
    cipher = AESGCM(key)
    wrong = [(place, each) for each in flipped(sealed)] + [
        (each, sealed) for each in flipped(place)
    ]
    wrong += [(place, sealed[:length]) for length in range(len(sealed))]
    wrong += [(place, sealed + b"\0"), (place + b"\0", sealed), (b"\0" + place, sealed)]
    for elsewhere, changed in wrong:
        with pytest.raises(RecordDamaged):
            _open(cipher, elsewhere, changed, "failed")


def flipped(data: bytes) -> list[bytes]:
    """Data with one bit changed: the first or the last of each byte."""
    return [
        data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]
        for at in range(len(data))
        for bit in (1, 0x80)
    ]


# --- HMAC-SHA-256 ----------------------------------------------------------------------


@pytest.mark.parametrize("test", vectors("wycheproof_hmac_sha256"), ids=named)
def test_a_mac_is_the_one_of_the_vector(test: dict[str, Any]):
    """A valid vector's tag is ours, whole or cut as our indexes are; an invalid one's is not."""
    key, message, tag = parts(test, "key", "msg", "tag")
    assert test["tagSize"] in (256, 8 * TAG_LENGTH)
    made = _mac(HMAC(key, SHA256()), message)[: test["tagSize"] // 8]
    assert (test["result"] == "valid") == (tag == made)


@pytest.mark.parametrize("test", vectors("rfc4231_hmac_sha256"), ids=named)
def test_a_mac_is_the_one_of_rfc_4231(test: dict[str, Any]):
    """The examples of RFC 4231, one of which is cut to the length of our indexes."""
    key, message, tag = parts(test, "key", "msg", "tag")
    assert tag == _mac(HMAC(key, SHA256()), message)[: len(tag)]


@pytest.mark.parametrize("test", vectors("rfc4231_hmac_sha256"), ids=named)
def test_a_message_in_parts_is_joined_by_nul(test: dict[str, Any]):
    """A message is its parts with a NUL between them; a keyed hash is used again and again."""
    key, message = parts(test, "key", "msg")
    keyed = HMAC(key, SHA256())
    assert _mac(keyed, message + b"\0" + message) == _mac(keyed, message, message)
    assert _mac(keyed, message) == _mac(HMAC(key, SHA256()), message)


# --- HKDF-SHA-256 ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "test", [*vectors("wycheproof_hkdf_sha256"), *vectors("rfc5869_hkdf_sha256")], ids=named
)
def test_a_derived_key_is_the_one_of_the_vector(test: dict[str, Any]):
    """Ours are 32 bytes, and the longer output of a vector begins with them (RFC 5869, 2.3)."""
    root, info, made = parts(test, "ikm", "info", "okm")
    derived = _derive(root, info)
    assert len(derived) == 32
    assert made[:32] == derived[: len(made)]


def test_each_purpose_has_the_derived_key_of_its_name():
    """The keys that rows, queries, indexes and codes are under are derived as the vectors say."""
    made = _purposes(ROOT)
    for purpose, cipher in (("row", made.row), ("query", made.query)):
        by_name = AESGCM(_derive(ROOT, f"abonent/1/{purpose}".encode()))
        assert b"body" == _open(by_name, b"place", _seal(cipher, bytes(12), b"place", b"body"), "")
    for purpose, keyed in (("index", made.index), ("code", made.code)):
        by_name = HMAC(_derive(ROOT, f"abonent/1/{purpose}".encode()), SHA256())
        assert _mac(by_name, b"message") == _mac(keyed, b"message")


# --- the layout of what is stored ------------------------------------------------------


def ring(messenger: str = "m", current: str = "k1", **roots: bytes) -> Keyring:
    return Keyring(MemoryKeys(Keys(current=current, roots=roots or {"k1": ROOT})), messenger)


KEY, NONCE = b"k" * 16, bytes(range(12))


def test_a_row_made_by_hand_opens():
    """A row is its key's id with a length, nonce, ciphertext and tag; its place is as written."""
    place = b"row\0m\0" + KEY + bytes.fromhex("0000000000000107")
    sealed = AESGCM(_derive(ROOT, b"abonent/1/row")).encrypt(NONCE, b"body", place)
    assert b"body" == ring().open_row(KEY, 0x107, b"\x02k1" + NONCE + sealed)


def test_an_entry_made_by_hand_opens():
    """An entry is nonce, ciphertext and tag under its subject's key; its place is as written."""
    subject_key = new_subject_key()
    place = b"entry\0m\0" + bytes.fromhex("0000000000000107")
    sealed = AESGCM(subject_key).encrypt(NONCE, b"event", place)
    assert b"event" == ring().open_entry(subject_key, 0x107, NONCE + sealed)


# --- what must not open ----------------------------------------------------------------

SUBJECT, OTHER_SUBJECT = b"s" * 32, b"t" * 32
SEALING = ring(current="k2", k1=OTHER_ROOT, k2=ROOT)
ROW = SEALING.seal_row(KEY, 7, b"body")
NEXT_ROW = SEALING.seal_row(KEY, 8, b"next")
OTHER_ROW = SEALING.seal_row(b"j" * 16, 7, b"other")
ENTRY = SEALING.seal_entry(SUBJECT, 7, b"event")

Opens = Callable[[], bytes]
NEVER: dict[str, Opens] = {
    **{
        f"a row without its last {cut} bytes": lambda cut=cut: SEALING.open_row(KEY, 7, ROW[:-cut])
        for cut in (1, 4, 8, 15, 16, 17)
    },
    "a row with a byte more": lambda: SEALING.open_row(KEY, 7, ROW + b"\0"),
    "a row of nothing but its key's id": lambda: SEALING.open_row(KEY, 7, ROW[:3]),
    "a row of nothing": lambda: SEALING.open_row(KEY, 7, b""),
    "a row under the id of another key": lambda: SEALING.open_row(KEY, 7, b"\x02k1" + ROW[3:]),
    "a row under an id that is none": lambda: SEALING.open_row(KEY, 7, b"\x02K2" + ROW[3:]),
    "a row under an id cut short": lambda: SEALING.open_row(KEY, 7, b"\xff" + ROW[1:]),
    "a row in the place of another": lambda: SEALING.open_row(b"j" * 16, 7, ROW),
    "another row in its place": lambda: SEALING.open_row(KEY, 7, OTHER_ROW),
    "an older version in the place of a newer": lambda: SEALING.open_row(KEY, 8, ROW),
    "a newer version in the place of an older": lambda: SEALING.open_row(KEY, 7, NEXT_ROW),
    "a row of another messenger": lambda: ring("n", "k2", k2=ROOT).open_row(KEY, 7, ROW),
    "a row of a messenger whose id goes on": (
        lambda: ring("mk", "k2", k2=ROOT).open_row(KEY[1:], 7, ROW)
    ),
    "a row under a wrong key of the right id": (
        lambda: ring("m", "k2", k2=OTHER_ROOT).open_row(KEY, 7, ROW)
    ),
    "a query id's bytes as a row": (
        lambda: SEALING.open_row(
            KEY, 7, b"\x02k2" + _seal(SEALING._sealing.query, NONCE, b"query\0m", b"body")
        )
    ),
    "an entry as a row": lambda: SEALING.open_row(KEY, 7, b"\x02k2" + ENTRY),
    **{
        f"an entry without its last {cut} bytes": (
            lambda cut=cut: SEALING.open_entry(SUBJECT, 7, ENTRY[:-cut])
        )
        for cut in (1, 4, 8, 15, 16, 17)
    },
    "an entry of nothing": lambda: SEALING.open_entry(SUBJECT, 7, b""),
    "an entry of another subject": lambda: SEALING.open_entry(OTHER_SUBJECT, 7, ENTRY),
    "an entry in the place of the next": lambda: SEALING.open_entry(SUBJECT, 8, ENTRY),
    "an entry of another messenger": lambda: ring("n", "k2", k2=ROOT).open_entry(SUBJECT, 7, ENTRY),
    "a row as an entry": lambda: SEALING.open_entry(SUBJECT, 7, ROW[3:]),
}


@pytest.mark.parametrize("opens", NEVER.values(), ids=NEVER)
def test_it_does_not_open(opens: Opens):
    """What is cut, moved, swapped or under another key is RecordDamaged, and gives no byte."""
    with pytest.raises(RecordDamaged) as refused:
        opens()
    assert b"body" not in str(refused.value).encode()


def test_in_its_own_place_each_opens():
    """What the table above is about opens where it belongs."""
    assert b"body" == SEALING.open_row(KEY, 7, ROW)
    assert b"next" == SEALING.open_row(KEY, 8, NEXT_ROW)
    assert b"other" == SEALING.open_row(b"j" * 16, 7, OTHER_ROW)
    assert b"event" == SEALING.open_entry(SUBJECT, 7, ENTRY)


def test_an_id_of_a_key_that_is_not_there_is_named():
    """The id in the header is the one thing that is read before it is judged; it opens nothing."""
    with pytest.raises(KeyUnavailable) as missing:
        SEALING.open_row(KEY, 7, b"\x02k9" + ROW[3:])
    assert missing.value.key_id == "k9"
