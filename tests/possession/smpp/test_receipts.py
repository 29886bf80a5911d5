"""A receipt is read strictly: it names a message and a state, or it is ignored by name."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abonent import DeliveryState
from abonent.possession.smpp.receipts import (
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    USER_MESSAGE_REFERENCE,
    Ignored,
    Receipt,
    read_receipt,
)

WORDS = {
    "DELIVRD": DeliveryState.DELIVERED,
    "EXPIRED": DeliveryState.EXPIRED,
    "DELETED": DeliveryState.DELETED,
    "UNDELIV": DeliveryState.UNDELIVERABLE,
    "UNKNOWN": DeliveryState.UNKNOWN,
    "REJECTD": DeliveryState.REJECTED,
    "ACCEPTD": Ignored.NOT_FINAL,
    "ENROUTE": Ignored.NOT_FINAL,
}
NUMBERS = {
    1: Ignored.NOT_FINAL,
    2: DeliveryState.DELIVERED,
    3: DeliveryState.EXPIRED,
    4: DeliveryState.DELETED,
    5: DeliveryState.UNDELIVERABLE,
    6: Ignored.NOT_FINAL,
    7: DeliveryState.UNKNOWN,
    8: DeliveryState.REJECTED,
}
RECEIPT = 0x04
STANDARD = (
    "id:{id} sub:001 dlvrd:001 submit date:2606010900 done date:2606010901 stat:{stat} err:000"
    " text:Your code: 493817"
)


def text(stat="DELIVRD", message_id="m1"):
    return STANDARD.format(id=message_id, stat=stat).encode()


def state_of(receipt):
    return receipt.state if isinstance(receipt, Receipt) else receipt


@pytest.mark.parametrize(("word", "expected"), WORDS.items())
def test_every_word_of_the_standard_is_known(word, expected):
    """Appendix B, in either case: final states are told, others are not yet anything."""
    assert expected == state_of(read_receipt(RECEIPT, text(word), ()))
    assert expected == state_of(read_receipt(RECEIPT, text(word.lower()), ()))


def test_every_number_of_the_standard_is_known():
    """message_state (5.2.28), of one octet; any other number is no state."""
    found = {
        number: state_of(read_receipt(RECEIPT, b"", [(MESSAGE_STATE, bytes((number,)))]))
        for number in range(256)
    }
    assert {each: NUMBERS.get(each, Ignored.NO_STATE) for each in range(256)} == found


def test_the_message_is_named_by_parameter_and_by_text():
    """The parameter comes first, as the standard defines it and not the text."""
    named = [(RECEIPTED_MESSAGE_ID, b"0F\0"), (USER_MESSAGE_REFERENCE, b"\x12\x34")]
    assert Receipt(
        named=("0F", "15"), reference=b"\x12\x34", state=DeliveryState.DELIVERED
    ) == read_receipt(RECEIPT, text(message_id="15"), named)


def test_a_receipt_may_come_as_payload():
    """A text too long for its place comes as a parameter (5.3.2.32)."""
    assert ("m1",) == read_receipt(RECEIPT, b"", [(MESSAGE_PAYLOAD, text())]).named


def test_only_receipts_are_receipts():
    """By four bits of esm_class (5.2.12): a message from somebody is none, whatever it says."""
    taken = {each for each in range(256) if isinstance(read_receipt(each, text(), ()), Receipt)}
    assert {each for each in range(256) if (each >> 2) % 16 == 1} == taken
    assert Ignored.NOT_A_RECEIPT == read_receipt(0, text(), ())


@pytest.mark.parametrize(
    ("octets", "parameters", "why"),
    [
        (b"", (), Ignored.NO_STATE),
        (b"id:m1", (), Ignored.NO_STATE),
        (b"id:m1 stat:", (), Ignored.NO_STATE),
        (b"id:m1 stat:DELIVERED", (), Ignored.NO_STATE),
        (b"id:m1 stat:DELIVRDx", (), Ignored.NO_STATE),
        (b"id:m1 substat:DELIVRD", (), Ignored.NO_STATE),
        (b"id:m1 text:stat:DELIVRD", (), Ignored.NO_STATE),
        (b"id:m1 text: stat:DELIVRD", (), Ignored.NO_STATE),
        (b"id:m1 stat:DELIVRD stat:EXPIRED", (), Ignored.CONTRADICTORY),
        (b"id:m1 id:m2 stat:DELIVRD", (), Ignored.CONTRADICTORY),
        (b"id:m1 stat:DELIVRD", [(MESSAGE_STATE, b"\x03")], Ignored.CONTRADICTORY),
        (b"id:m1 stat:DELIVRD", [(MESSAGE_STATE, b"\x01")], Ignored.CONTRADICTORY),
        (b"id:m1 stat:DELIVRD", [(MESSAGE_STATE, b"")], Ignored.NO_STATE),
        (b"id:m1 stat:DELIVRD", [(MESSAGE_STATE, b"\x02\x02")], Ignored.NO_STATE),
        (b"id:m1 stat:DELIVRD", [(MESSAGE_STATE, b"\x63")], Ignored.NO_STATE),
        (
            b"stat:DELIVRD",
            [(RECEIPTED_MESSAGE_ID, b"m1"), (RECEIPTED_MESSAGE_ID, b"m2")],
            Ignored.CONTRADICTORY,
        ),
        (
            b"stat:DELIVRD",
            [(USER_MESSAGE_REFERENCE, b"\0\1"), (USER_MESSAGE_REFERENCE, b"\0\2")],
            Ignored.CONTRADICTORY,
        ),
        ("id:m1 stat:DELIVRD é".encode(), (), Ignored.UNREADABLE),
        (text().decode().encode("utf-16-be"), (), Ignored.NO_STATE),
        (b"id:m1" + b" " * 400 + b"stat:DELIVRD", (), Ignored.NO_STATE),
    ],
)
def test_what_is_not_clear_is_ignored_by_name(octets, parameters, why):
    """A receipt that could be read in two ways, or in none, is not read."""
    assert why == read_receipt(RECEIPT, octets, parameters)


@given(
    st.integers(0, 255),
    st.binary(max_size=254),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    MESSAGE_STATE,
                    RECEIPTED_MESSAGE_ID,
                    USER_MESSAGE_REFERENCE,
                    MESSAGE_PAYLOAD,
                    0x1401,
                ]
            ),
            st.binary(max_size=70),
        ),
        max_size=4,
    ),
)
@example(RECEIPT, b"stat:DELIVRD", [(RECEIPTED_MESSAGE_ID, "é".encode())])
@example(RECEIPT, b"stat:DELIVRD", [(RECEIPTED_MESSAGE_ID, b"\0")])
def test_whatever_comes_is_read_or_ignored(esm_class, octets, parameters):
    """No octets make it raise; a receipt has ids in ASCII and a final state."""
    found = read_receipt(esm_class, octets, parameters)
    if isinstance(found, Receipt):
        assert all(each and each.isascii() for each in found.named)
        assert isinstance(found.state, DeliveryState)
    else:
        assert isinstance(found, Ignored)


@given(st.from_regex(r"[!-~]{1,64}", fullmatch=True), st.sampled_from(sorted(WORDS)))
def test_an_id_comes_back_as_it_was_given(message_id, word):
    """Whatever a centre calls a message, its receipt names the same."""
    found = read_receipt(RECEIPT, text(word, message_id), ())
    assert found is Ignored.NOT_FINAL or (message_id,) == found.named


@pytest.mark.parametrize("state", DeliveryState)
def test_a_state_says_whether_it_failed(state):
    """Neither what arrived nor what nobody knows counts as not arrived."""
    arrived_or_unknown = {DeliveryState.DELIVERED, DeliveryState.UNKNOWN}
    assert state.failed is (state not in arrived_or_unknown)
