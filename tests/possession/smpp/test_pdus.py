"""Units as octets: what is asked of the codec arrives, and what comes is read or refused."""

from datetime import timedelta

import attrs
import pytest
import smpp34
from hypothesis import given
from hypothesis import strategies as st

from abonent.possession.smpp import SmppLink
from abonent.possession.smpp.pdus import (
    HEADER,
    Command,
    Pdu,
    bind,
    delivered_in,
    message_id_in,
    reference,
    submit,
    unit,
)
from abonent.possession.texts import wording

LINK = SmppLink(host="smsc.example", system_id="abonent", password="s3cr3t-pw", source="abonent")


def submitted(link=LINK, *, message_id="claim.1", text="Your code: 493817", repeat=False):
    octets = submit(
        link,
        message_id=message_id,
        number="79161234567",
        text=wording(text),
        repeat=repeat,
        sequence=7,
    )
    return smpp34.decode(octets)


def test_a_message_says_all_that_is_needed():
    """To a number in E.164, from a name, with a receipt, in one piece, while it is valid."""
    pdu = submitted()
    assert (1, 1, "79161234567") == (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr)
    assert (5, 0, "abonent") == (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr)
    assert (1, 0, 0, 0) == (
        pdu.registered_delivery,
        pdu.esm_class,
        pdu.replace_if_present_flag,
        pdu.data_coding,
    )
    assert ("000000001000000R", "", b"Your code: 493817", 7) == (
        pdu.validity_period,
        pdu.schedule_delivery_time,
        pdu.short_message,
        pdu.sequence_number,
    )
    assert {0x0204: reference("claim.1")} == {each.tag: each.value for each in pdu.tlvs}


def test_a_message_may_be_sent_without_a_receipt():
    """Where receipts are not wanted, none is asked for."""
    assert 0 == submitted(attrs.evolve(LINK, receipts=False)).registered_delivery


def test_the_id_goes_where_the_provider_takes_it():
    """A vendor's parameter has the whole id of the message; every repeat has the same."""
    link = attrs.evolve(LINK, id_tag=0x1401)
    assert b"claim.1\0" == {each.tag: each.value for each in submitted(link).tlvs}[0x1401]


@pytest.mark.parametrize(
    ("replace", "repeat", "flag"),
    [(True, True, 1), (True, False, 0), (False, True, 0), (False, False, 0)],
)
def test_only_a_repeat_replaces(replace, repeat, flag):
    """And only where that was asked for: it would replace what others sent to the number."""
    pdu = submitted(attrs.evolve(LINK, replace=replace), repeat=repeat)
    assert flag == pdu.replace_if_present_flag


@pytest.mark.parametrize(
    ("valid", "period"),
    [
        (timedelta(minutes=1), "000000000100000R"),
        (timedelta(minutes=9, seconds=59), "000000000959000R"),
        (timedelta(hours=23, minutes=59), "000000235900000R"),
        (timedelta(hours=24), "000001000000000R"),
    ],
)
def test_a_validity_is_relative(valid, period):
    """YYMMDDhhmmss000R (7.1.1.2): no clock of ours or theirs is in it (P16)."""
    assert period == submitted(attrs.evolve(LINK, valid=valid)).validity_period


@given(st.text(min_size=1, max_size=64))
def test_a_repeat_has_the_same_reference(message_id):
    """Two octets, from the id alone."""
    assert reference(message_id) == reference(message_id)
    assert 2 == len(reference(message_id))


@pytest.mark.parametrize(("receipts", "command"), [(True, 9), (False, 2)])
def test_a_bind_says_who_we_are(receipts, command):
    """As one who receives too, if there are receipts; with version 3.4 and no range of ours."""
    link = attrs.evolve(LINK, receipts=receipts, system_type="otp")
    octets = bind(link, 3)
    assert (len(octets), command, 0, 3) == HEADER.unpack_from(octets)
    assert b"abonent\0s3cr3t-pw\0otp\0\x34\0\0\0" == octets[HEADER.size :]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"m1\0", "m1"),
        (b"m1", "m1"),
        (b"", ""),
        (b"\0", ""),
        (b"x" * 64 + b"\0", "x" * 64),
        (b"x" * 65 + b"\0", ""),
        (b"a b\0", ""),
        (b"a\tb\0", ""),
        ("é".encode() + b"\0", ""),
        (b"m1\0junk", "m1"),
    ],
)
def test_an_id_that_could_not_come_back_is_none(body, expected):
    """Of the answer to a message (4.4.2)."""
    assert expected == message_id_in(body)


@given(st.binary(max_size=200))
def test_whatever_comes_as_a_receipt_is_read_or_not(body):
    """The codec never raises what is not expected of it."""
    pdu = Pdu(command=Command.DELIVER, status=0, sequence=1, body=body)
    found = delivered_in(pdu)
    assert found is None or isinstance(found, smpp34.DeliverSm)


def test_another_unit_is_no_receipt():
    """A message is none, whatever is in it."""
    octets = smpp34.SubmitSm("a", "1", b"x").encode()
    pdu = Pdu(command=Command.SUBMIT, status=0, sequence=1, body=octets[HEADER.size :])
    assert delivered_in(pdu) is None


@pytest.mark.parametrize(
    ("command", "answers", "asks"),
    [
        (0x04, None, True),
        (0x80000004, 0x04, False),
        (0x80000000, None, False),
        (0x102, None, False),
        (0x103, None, True),
    ],
)
def test_a_unit_asks_or_answers(command, answers, asks):
    """A nack answers whatever it numbers, and an alert wants nothing."""
    pdu = Pdu(command=command, status=0, sequence=1, body=b"")
    assert (answers, asks) == (pdu.answers, pdu.asks)


def test_no_unit_shows_its_body():
    """It may hold anything (I9)."""
    assert "493817" not in repr(Pdu(command=5, status=0, sequence=1, body=b"code 493817"))
    assert unit(0x15, 1) == HEADER.pack(16, 0x15, 0, 1)
