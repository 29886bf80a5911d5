"""The keyring: what it sealed opens in its place, under its key, and nowhere else."""

import base64
import hmac
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from abonent import OneTimeCode, SubscriberNumber
from abonent.errors import KeyUnavailable, RecordDamaged, UnknownQuery
from abonent.keys import MemoryKeys
from abonent.operator.ports import LONGEST_ID
from abonent.ports import Keys
from abonent.possession.codes import same_code as same_code_of_codes
from abonent.sealing import (
    Keyring,
    key_of,
    key_of_query,
    new_subject_key,
    same_code,
    subject_of,
)
from tests.properties.parts import N1, N2, bounded

OLD, NEW, WRONG = b"o" * 32, b"n" * 32, b"w" * 32


def keyring(current: str = "k1", messenger: str = "m", **roots: bytes) -> Keyring:
    return Keyring(MemoryKeys(Keys(current=current, roots=roots or {"k1": OLD})), messenger)


KEYRING = keyring()
ELSEWHERE = keyring(messenger="n")
places = st.tuples(st.binary(min_size=16, max_size=17), st.integers(1, 2**40))


# --- rows ------------------------------------------------------------------------------


@given(places, st.binary(max_size=300))
@bounded(60)
def test_what_is_sealed_opens_in_its_place(place: tuple[bytes, int], body: bytes):
    """A row opens under its own key and version, and its bytes do not hold what they seal."""
    sealed = KEYRING.seal_row(*place, body)
    assert KEYRING.open_row(*place, sealed) == body
    assert len(body) < 4 or body not in sealed


@given(places, places, st.binary(max_size=40))
@bounded(60)
def test_what_is_moved_does_not_open(here: Any, there: Any, body: bytes):
    """A row put in another's place, or at another version, does not open."""
    assume(here != there)
    with pytest.raises(RecordDamaged):
        KEYRING.open_row(*there, KEYRING.seal_row(*here, body))


def test_each_part_of_a_place_counts():
    """Key, version and messenger each bind a row to its place."""
    sealed = KEYRING.seal_row(b"k" * 16, 7, b"body")
    for key, version in ((b"j" * 16, 7), (b"k" * 16, 8), (b"k" * 16, 6), (b"k" * 17, 7)):
        with pytest.raises(RecordDamaged):
            KEYRING.open_row(key, version, sealed)
    with pytest.raises(RecordDamaged):
        ELSEWHERE.open_row(b"k" * 16, 7, sealed)


@given(st.integers(0, 200), st.integers(1, 255))
@bounded(80)
def test_every_byte_of_a_row_counts(position: int, flip: int):
    """Whatever byte is changed, the row does not open, and the error says so by name."""
    sealed = bytearray(KEYRING.seal_row(b"k" * 16, 1, b"body" * 10))
    sealed[position % len(sealed)] ^= flip
    with pytest.raises((RecordDamaged, KeyUnavailable)):
        KEYRING.open_row(b"k" * 16, 1, bytes(sealed))


@given(st.binary(max_size=60))
@bounded(200)
def test_any_bytes_are_refused_by_name(sealed: bytes):
    """Arbitrary bytes in the place of a row, entry or query id never raise anything else."""
    with pytest.raises((RecordDamaged, KeyUnavailable)):
        KEYRING.open_row(b"k" * 16, 1, sealed)
    with pytest.raises(RecordDamaged):
        KEYRING.open_entry(b"s" * 32, 1, sealed)
    with pytest.raises(UnknownQuery):
        KEYRING.row_of_query(base64.urlsafe_b64encode(sealed).decode())


def test_what_is_sealed_names_its_key():
    """Row and question tell under which key they were made, without being opened."""
    ring = keyring("k7", k7=OLD)
    assert "k7" == key_of(ring.seal_row(b"k" * 16, 1, b"body"))
    assert "k7" == key_of_query(ring.query_id(b"k" * 16))
    for foreign in ("", "no base64!", "AA", "x" * 40):
        assert "" == key_of_query(foreign)
    with pytest.raises(RecordDamaged):
        key_of(b"")


def test_a_question_leads_to_row_and_subject():
    """The subject is found still when the row was moved; older questions have none."""
    query = KEYRING.query_id(b"r" * 16, b"s" * 16)
    assert (b"r" * 16, b"s" * 16) == (KEYRING.row_of_query(query), KEYRING.subject_of_query(query))
    assert b"" == KEYRING.subject_of_query(KEYRING.query_id(b"r" * 16))
    assert len(keyring("k" * 16, **{"k" * 16: OLD}).query_id(b"r" * 16, b"s" * 16)) <= LONGEST_ID


@given(st.text(max_size=60))
@bounded(200)
def test_any_text_is_no_query_id(text: str):
    """Arbitrary text as a query id is an unknown query, whatever is in it."""
    with pytest.raises(UnknownQuery):
        KEYRING.row_of_query(text)


def test_a_wrong_key_under_a_right_id_is_damage():
    """A key that bears the id of another opens nothing, and is not taken for a missing one."""
    sealed = KEYRING.seal_row(b"k" * 16, 1, b"body")
    with pytest.raises(RecordDamaged, match="under key k1:"):
        keyring(k1=WRONG).open_row(b"k" * 16, 1, sealed)


def test_a_missing_key_is_named():
    """A row under a key that is not there names the key, so that it can be given."""
    sealed = keyring("k7", k7=OLD).seal_row(b"k" * 16, 1, b"body")
    with pytest.raises(KeyUnavailable) as missing:
        KEYRING.open_row(b"k" * 16, 1, sealed)
    assert missing.value.key_id == "k7"
    assert "k7" in str(missing.value)


def test_older_keys_open_and_only_the_current_one_seals():
    """After a rotation, old rows open; new ones need the new key."""
    before, after = keyring("k1", k1=OLD), keyring("k2", k1=OLD, k2=NEW)
    assert after.open_row(b"k" * 16, 1, before.seal_row(b"k" * 16, 1, b"body")) == b"body"
    with pytest.raises(KeyUnavailable) as missing:
        before.open_row(b"k" * 16, 1, after.seal_row(b"k" * 16, 1, b"body"))
    assert missing.value.key_id == "k2"


def test_a_seal_is_never_the_same_twice():
    """The same row sealed again is other bytes: nothing tells that it did not change."""
    assert len({KEYRING.seal_row(b"k" * 16, 1, b"body") for _ in range(200)}) == 200


# --- journal entries -------------------------------------------------------------------


def test_an_entry_is_bound_to_its_subject_and_number():
    """An entry opens under its subject's key, at its number, for its messenger."""
    one, other = new_subject_key(), new_subject_key()
    sealed = KEYRING.seal_entry(one, 3, b"event")
    assert KEYRING.open_entry(one, 3, sealed) == b"event"
    for ring, key, number in ((KEYRING, other, 3), (KEYRING, one, 4), (ELSEWHERE, one, 3)):
        with pytest.raises(RecordDamaged):
            ring.open_entry(key, number, sealed)


def test_a_subject_says_nothing_of_its_key():
    """A subject's id is a fingerprint: as long as an index, and no part of the key."""
    key = new_subject_key()
    assert len(subject_of(key)) == 16
    assert subject_of(key) == subject_of(key) != subject_of(new_subject_key())
    assert key not in subject_of(key)
    assert subject_of(key) not in key


# --- indexes ---------------------------------------------------------------------------


def test_a_blind_index_differs_by_messenger_key_and_purpose():
    """The same number is found nowhere else: not by another messenger, key or purpose."""
    tags = [
        *KEYRING.number_tags(N1),
        *KEYRING.number_tags(N2),
        *KEYRING.user_tags(N1.e164),
        *ELSEWHERE.number_tags(N1),
        *keyring(k1=WRONG).number_tags(N1),
    ]
    assert len(set(tags)) == 5
    assert {len(each) for each in tags} == {16}
    assert KEYRING.number_tags(N1) == keyring().number_tags(N1)


def test_an_index_is_held_under_every_live_key():
    """While a rotation runs, a number is found under the new key and the old, new first."""
    after = keyring("k2", k1=OLD, k2=NEW)
    old, new = keyring("k1", k1=OLD), keyring("k2", k2=NEW)
    for tags_of in (lambda each: each.number_tags(N1), lambda each: each.user_tags("alice")):
        assert tags_of(after) == (*tags_of(new), *tags_of(old))


def test_messengers_and_users_cannot_be_confused():
    """Where a messenger's id ends and a user's begins makes a difference."""
    one, other = keyring(messenger="ab").user_tags("c"), keyring(messenger="a").user_tags("bc")
    assert one != other


# --- query ids -------------------------------------------------------------------------


def test_a_query_id_is_opaque_and_leads_back():
    """A query id leads to its row for us alone, is never the same twice and shows nothing."""
    key = b"r" * 16
    ids = {KEYRING.query_id(key) for _ in range(100)}
    assert len(ids) == 100
    for each in ids:
        assert KEYRING.row_of_query(each) == key
        assert each.isascii()
        assert each.replace("-", "").replace("_", "").isalnum()
        raw = base64.urlsafe_b64decode(each + "=" * (-len(each) % 4))
        assert key not in raw


def test_a_query_id_of_another_is_refused():
    """An id of another messenger, another key, or changed in one character is unknown."""
    query = KEYRING.query_id(b"r" * 16)
    for ring in (ELSEWHERE, keyring(k1=WRONG), keyring("k2", k2=OLD)):
        with pytest.raises(UnknownQuery):
            ring.row_of_query(query)
    for position in range(len(query) - 1):
        changed = "A" if query[position] != "A" else "B"
        with pytest.raises(UnknownQuery):
            KEYRING.row_of_query(query[:position] + changed + query[position + 1 :])
    for near in (query[:-2], query + "AAAA", query * 2, "", f" {query}"):
        with pytest.raises(UnknownQuery):
            KEYRING.row_of_query(near)


@pytest.mark.parametrize("stray", ["!", "\n", " ", "=", "\u00e9"])
def test_a_query_id_has_one_spelling(stray: str):
    """What a lenient reading would pass over makes another text, and so an unknown query."""
    query = KEYRING.query_id(b"k" * 16)
    with pytest.raises(UnknownQuery):
        KEYRING.row_of_query(query[:8] + stray + query[8:])


# --- what release 0.1 made -------------------------------------------------------------


def test_what_was_sealed_opens_for_ever():
    """A row, an entry and a query id of release 0.1 open; the layout of a place never changes."""
    row = "026b31d885af487efeb4e4d32c2847b32121e2bdf0b95ff65151b940cfd2e05681a08d"
    entry = "3de682598809ac49085b1a82cf2e6f58a93ac38a7d34cd4e6d4f16e4960593ad"
    query = "AmsxcB-O1iFjS2RlOIzM5qYirkd8VS9EVcBtIAfL9FWSAxdYtgQfeVFp_IMUvOY"
    assert b"body" == KEYRING.open_row(b"k" * 16, 7, bytes.fromhex(row))
    assert b"body" == KEYRING.open_entry(b"s" * 32, 7, bytes.fromhex(entry))
    assert b"k" * 16 == KEYRING.row_of_query(query)


def test_what_was_derived_is_derived_for_ever():
    """Indexes, ids and codes of release 0.1 are found again: they are in stored rows."""
    assert "d3e559f484d0e200260a628dbcdae8b7" == KEYRING.user_tags("alice")[0].hex()
    assert "4419a8517919399096afab6931a8cfd9" == KEYRING.number_tags(N1)[0].hex()
    assert "1ff97e6dc1b8bb129e90042648e91899" == KEYRING.stranger_key().hex()[:32]
    assert "1c2ce04695bde413bc13fc56f64dd9ad" == KEYRING.stranger_key().hex()[32:]
    assert "005675f223c1cbee099dc724681be94d" == subject_of(b"s" * 32).hex()
    assert "893388" == code()


# --- one-time codes --------------------------------------------------------------------


def code(ring: Keyring = KEYRING, **changes: Any) -> str:
    parts: dict[str, Any] = {
        "claim": "c",
        "number": N1,
        "issue": 1,
        "key_id": "k1",
        "digits": 6,
    }
    return ring.one_time_code(**{**parts, **changes}).digits


def test_the_same_issue_has_the_same_code():
    """A code is derived, so a retry after a crash or rotation sends the same one."""
    assert code() == code(keyring()) == code(keyring("k2", k1=OLD, k2=NEW))


def test_every_part_of_an_issue_makes_another_code():
    """Claim, number, issue, key and messenger each lead to a code with nothing in common."""
    rotated = keyring("k2", k1=OLD, k2=NEW)
    variants = [
        code(digits=10),
        code(digits=10, claim="d"),
        code(digits=10, number=N2),
        code(digits=10, issue=2),
        code(rotated, digits=10, key_id="k2"),
        code(ELSEWHERE, digits=10),
    ]
    assert len(set(variants)) == len(variants)


def test_a_code_under_a_missing_key_names_it():
    """A code that was issued under a key that is gone cannot be judged; the key is named."""
    with pytest.raises(KeyUnavailable) as missing:
        code(key_id="k9")
    assert missing.value.key_id == "k9"


@pytest.mark.parametrize("digits", [6, 8, 10])
def test_codes_are_spread_evenly(digits: int):
    """Every digit in every place comes about as often; codes hardly repeat."""
    count = 4000
    codes = [code(issue=each, digits=digits) for each in range(count)]
    assert {len(each) for each in codes} == {digits}
    expected = count / 10
    for place in range(digits):
        seen = Counter(each[place] for each in codes)
        chi = sum((seen[str(digit)] - expected) ** 2 / expected for digit in range(10))
        assert chi < 40, f"place {place}"  # nine degrees of freedom: one in 100,000
    # The birthday bound for six digits is about eight pairs.
    assert len(set(codes)) > count - 40


def test_codes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    """A comparison goes through hmac.compare_digest, whole and as bytes, whatever the length."""
    compared: list[tuple[bytes, bytes]] = []

    def observed(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", observed)
    assert same_code(OneTimeCode("123456"), OneTimeCode("123456"))
    assert not same_code(OneTimeCode("123456"), OneTimeCode("123457"))
    assert not same_code(OneTimeCode("123456"), OneTimeCode("1234567"))
    assert len(compared) == 3
    assert compared[0] == (b"123456", b"123456")
    assert same_code_of_codes is same_code


def test_codes_do_not_compare_by_equality():
    """`==` on two codes says nothing, so that nobody compares them in another way."""
    assert OneTimeCode("123456") != OneTimeCode("123456")


def test_a_number_is_what_an_index_is_made_of():
    """Equal numbers, however made, have equal indexes."""
    assert KEYRING.number_tags(SubscriberNumber(N1.e164)) == KEYRING.number_tags(N1)
