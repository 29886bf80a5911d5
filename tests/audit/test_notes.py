"""Signed notes, verifier keys and checkpoints: the published ones hold, and nothing else does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from abonent.audit.notes import (
    LONGEST,
    Checkpoint,
    VerifierKey,
    from64,
    opened,
    sign,
    size_from,
    text_from,
    to64,
)
from abonent.audit.tree import EMPTY
from abonent.errors import (
    EvidenceDamaged,
    EvidenceError,
    EvidenceForeign,
    EvidenceTampered,
    InvalidValue,
)

# The example of c2sp.org/signed-note.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz"
    "i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
# The example of the package golang.org/x/mod/sumdb/note, from which the format comes.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SAID = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNED = (
    f"{SAID}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgK"
    "vqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
SEED = from64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "")[1:]

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(name="example.com/log", public=PRIVATE.public_key().public_bytes_raw())
CHECKPOINT = Checkpoint(origin=KEY.name, size=3, root=bytes(range(32)))


def test_the_published_notes():
    """Both published notes are opened by the published keys."""
    assert "This is an example message.\n" == opened(NOTE, VerifierKey.parse(VKEY))
    assert SAID == opened(SIGNED, VerifierKey.parse(NEUMANN))


def test_a_published_note_is_signed_anew():
    """The published private key gives the published bytes."""
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    assert SIGNED == sign(SAID, VerifierKey.parse(NEUMANN), private)


@pytest.mark.parametrize(
    "text",
    [VKEY, NEUMANN, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"],
)
def test_verifier_keys_keep_their_form(text):
    """A published key is read and written as it was; a line's end at its end does not matter."""
    assert text == str(VerifierKey.parse(f"{text}\n"))
    assert "base64" not in repr(VerifierKey.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("foo", "bar"),
        VKEY.replace("foo", "f oo"),
        VKEY.replace("+Aek", "+Aej"),
        VKEY.replace("+Aek", "+Bek"),
        VKEY[:-1],
        VKEY + "=",
        VKEY[:-4],
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "PRIVATE+KEY+" + VKEY,
    ],
)
def test_what_is_no_verifier_key(text):
    """A mistyped key is refused, not taken for another one."""
    with pytest.raises(EvidenceDamaged):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\nb"])
def test_names_that_no_key_has(name):
    """A name with a space, a plus or a line's end could not be found again in a note."""
    with pytest.raises(InvalidValue):
        VerifierKey(name=name, public=bytes(32))


def test_signatures_of_others_are_passed_over():
    """A witness may have signed as well, even under the same name or with the same id."""
    note = CHECKPOINT_NOTE + f"— witness.example {to64(bytes(68))}\n".encode() * 60
    note += f"— of.another.kind {to64(bytes(5))}\n".encode()
    note += f"— {KEY.name} {to64(bytes(4) + bytes(64))}\n".encode()
    note += f"— other.example {to64(KEY.id + bytes(64))}\n".encode()
    assert CHECKPOINT == Checkpoint.open(note, KEY)


CHECKPOINT_NOTE = sign(CHECKPOINT.text, KEY, PRIVATE)
LINE = CHECKPOINT_NOTE.decode().split("\n\n")[1]
FORGED = f"— {KEY.name} {to64(KEY.id + bytes(64))}\n"
CRLF = CHECKPOINT_NOTE.replace(b"\n", b"\r\n")
NUL = CHECKPOINT_NOTE.replace(b"\n3\n", b"\n3\0\n")
BODY = f"{KEY.name}\n3\n{to64(bytes(range(32)))}\n"


def signed(text: str) -> bytes:
    return sign(text, KEY, PRIVATE)


@pytest.mark.parametrize(
    ("note", "kind", "finding", "where"),
    [
        (b"", EvidenceDamaged, "note", ""),
        (BODY.encode(), EvidenceDamaged, "note", ""),
        (f"{BODY}\n{LINE}"[:-1].encode(), EvidenceDamaged, "note", ""),
        (f"{BODY}\n{LINE}\n".encode(), EvidenceDamaged, "note", ""),
        (f"{BODY}\n{LINE}x\n".encode(), EvidenceDamaged, "note", "line 6"),
        (f"{BODY}\n- {KEY.name} {to64(bytes(68))}\n".encode(), EvidenceDamaged, "note", "line 5"),
        (f"{BODY}\n— {to64(bytes(68))}\n".encode(), EvidenceDamaged, "base64", "line 5"),
        (f"{BODY}\n—  {to64(bytes(68))}\n".encode(), EvidenceDamaged, "note", "line 5"),
        (f"{BODY}\n— a+b {to64(bytes(68))}\n".encode(), EvidenceDamaged, "note", "line 5"),
        (f"{BODY}\n— a {to64(bytes(4))}\n".encode(), EvidenceDamaged, "length", "line 5"),
        (f"{BODY}\n— a AAAAAAB=\n{LINE}".encode(), EvidenceDamaged, "base64", "line 5"),
        (f"{BODY}\n{LINE * 65}".encode(), EvidenceDamaged, "too_long", ""),
        (CRLF, EvidenceDamaged, "carriage_return", "line 1"),
        (NUL, EvidenceDamaged, "control_character", "line 2"),
        (f"{BODY}\n{LINE}".encode("utf-16"), EvidenceDamaged, "not_text", ""),
        (f"{BODY}\n{LINE}".encode() + bytes(LONGEST), EvidenceDamaged, "too_long", ""),
        (f"{BODY}\n{FORGED}".encode(), EvidenceTampered, "signature", "line 5"),
        (f"{BODY}\n{LINE}{FORGED}".encode(), EvidenceTampered, "signature", "line 6"),
        (f"{BODY.replace('3', '4', 1)}\n{LINE}".encode(), EvidenceTampered, "signature", "line 5"),
        (f"{BODY}\n— other {to64(bytes(68))}\n".encode(), EvidenceForeign, "other_key", ""),
        (signed(BODY.replace("log", "gol")), EvidenceForeign, "other_log", "line 1"),
        (signed(f"{KEY.name}\n3\n"), EvidenceDamaged, "checkpoint", ""),
        (signed(f"{BODY}more\n"), EvidenceDamaged, "checkpoint", ""),
        (signed(f"{KEY.name}\n03\n{to64(EMPTY)}\n"), EvidenceDamaged, "size", "line 2"),
        (signed(f"{KEY.name}\n٣\n{to64(EMPTY)}\n"), EvidenceDamaged, "size", "line 2"),
        (signed(f"{KEY.name}\n-3\n{to64(EMPTY)}\n"), EvidenceDamaged, "size", "line 2"),
        (signed(f"{KEY.name}\n{1 << 63}\n{to64(EMPTY)}\n"), EvidenceDamaged, "size", "line 2"),
        (signed(f"{KEY.name}\n{'9' * 30_000}\n{to64(EMPTY)}\n"), EvidenceDamaged, "size", "line 2"),
        (signed(f"{KEY.name}\n3\n{to64(EMPTY)[:-2]}V=\n"), EvidenceDamaged, "base64", "line 3"),
        (signed(f"{KEY.name}\n3\n{to64(EMPTY[:31])}\n"), EvidenceDamaged, "length", "line 3"),
    ],
)
def test_what_is_no_checkpoint_of_this_log(note, kind, finding, where):
    """Each thing that can be wrong has a name, and says where."""
    with pytest.raises(kind) as caught:
        Checkpoint.open(note, KEY)
    assert (kind, finding, where) == (type(caught.value), caught.value.finding, caught.value.where)


@given(at=st.integers(0, len(CHECKPOINT_NOTE) - 1), flip=st.integers(1, 255), cut=st.booleans())
def test_no_changed_checkpoint_holds(at, flip, cut):
    """Whatever byte is changed or cut off, the checkpoint is refused by an error of ours."""
    changed = bytearray(CHECKPOINT_NOTE)
    changed[at] ^= flip
    with pytest.raises(EvidenceError):
        Checkpoint.open(CHECKPOINT_NOTE[:at] if cut else bytes(changed), KEY)


@given(st.binary(max_size=300))
def test_no_other_bytes_are_a_checkpoint(data):
    """Bytes that nobody wrote are refused by an error of ours."""
    with pytest.raises(EvidenceError):
        Checkpoint.open(data, KEY)


@given(st.binary(min_size=1, max_size=40))
def test_base64_has_one_spelling(raw):
    """What is written is read; a line's end, a space or other padding is not."""
    text = to64(raw)
    assert raw == from64(text, "")
    for wrong in (f"{text}\n", f" {text}", f"{text}=", text.rstrip("=") + "*", f"{text}{text}="):
        with pytest.raises(EvidenceDamaged):
            from64(wrong, "")


def test_a_text_may_be_as_long_as_is_said():
    """And not a byte longer."""
    assert "abc" == text_from(b"abc", 3)
    with pytest.raises(EvidenceDamaged, match="too_long"):
        text_from(b"abcd", 3)


@pytest.mark.parametrize("text", ["", "00", "+1", " 1", "1_0", "1e3", "9223372036854775808", "१"])
def test_what_is_no_size(text):
    """A size is ASCII digits without zeroes before them, below 2**63."""
    with pytest.raises(EvidenceDamaged):
        size_from(text, "")
    assert (0, 2**63 - 1) == (size_from("0", ""), size_from("9223372036854775807", ""))
