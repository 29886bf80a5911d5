"""What becomes of a message is told once, by its id; hostile receipts are ignored (P15)."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import smpp34

from abonent import DeliveryState, OneTimeCode
from abonent.errors import Unavailable
from abonent.ports import CodeMessage
from abonent.possession.smpp import SmppSender
from abonent.possession.smpp.pdus import reference, unit
from abonent.simulation import SimulatedClock
from tests.possession.smpp.conftest import CODE, NUMBER
from tests.possession.smpp.test_sending import fails, waits_for
from tests.smsc import DELIVER, HASTY, RECEIPT, link_to, takes_after, takes_and_cuts

STATES = {
    "DELIVRD": DeliveryState.DELIVERED,
    "EXPIRED": DeliveryState.EXPIRED,
    "DELETED": DeliveryState.DELETED,
    "UNDELIV": DeliveryState.UNDELIVERABLE,
    "UNKNOWN": DeliveryState.UNKNOWN,
    "REJECTD": DeliveryState.REJECTED,
}
RECEIVER_REJECTS = 0x66


def a_message(message_id):
    return CodeMessage(id=message_id, number=NUMBER, code=OneTimeCode(CODE), locale="")


def sent_by(sender, message):
    sent = message()
    sender.send(sent)
    return sent


def ignored(caplog):
    return [
        each.args[1] for each in caplog.records if each.msg.startswith("abonent.receipt_ignored")
    ]


@pytest.fixture(autouse=True)
def _heard(caplog):
    caplog.set_level(logging.INFO, "abonent")


@pytest.fixture
def sender(sender, told):
    """A sender that is watched."""
    sender.watch(told)
    return sender


# --- what is told -----------------------------------------------------------------------


@pytest.mark.parametrize(("stat", "state"), STATES.items())
def test_how_a_message_ended_is_told(centre, sender, told, stat, state):
    """Whoever watches is told the id and the state, and the centre that the receipt was taken."""
    sender.send(a_message("claim.1"))
    assert 0 == centre.receipt(centre.taken[0].centre_id, stat)
    assert [("claim.1", state)] == told


def test_it_is_told_in_the_thread_of_the_session(centre, sender, message):
    """Not in a caller's, who may wait for something else."""
    threads = []
    sender.watch(lambda *_: threads.append(threading.current_thread().name))
    sent_by(sender, message)
    centre.receipt(centre.taken[0].centre_id)
    assert ["abonent-smpp"] == threads


def test_every_observer_is_told(centre, sender, message, told, caplog):
    """One that raises is logged by type, and the others are told, and the session goes on."""

    def broken(message_id, state):
        raise LookupError(f"{NUMBER.e164} {message_id}")

    sender.watch(broken)
    sent = sent_by(sender, message)
    assert 0 == centre.receipt(centre.taken[0].centre_id)
    assert [(sent.id, DeliveryState.DELIVERED)] == told
    assert "abonent.observer_failed cause=LookupError" in caplog.text
    assert NUMBER.e164 not in caplog.text
    sent_by(sender, message)


def test_a_failure_is_logged_without_a_name(centre, sender, message, caplog):
    """That a code did not arrive can be counted from the log, and tells nobody whose (I9)."""
    sent = sent_by(sender, message)
    centre.receipt(centre.taken[0].centre_id, "UNDELIV")
    assert "abonent.code_not_delivered sender=smpp state=undeliverable" in caplog.text
    assert sent.id not in caplog.text


def test_a_receipt_comes_in_a_later_session(centre, sender, message, told):
    """A message is known over any number of sessions."""
    sent = sent_by(sender, message)
    centre.cut()
    waits_for(lambda: len(centre.binds) == 2 and centre.writers)
    waits_for(lambda: centre.receipt(centre.taken[0].centre_id) == 0)
    assert [(sent.id, DeliveryState.DELIVERED)] == told


@pytest.mark.parametrize(
    "ids", [("00ff", "255"), ("FF", "255"), ("m-1", "m-1"), ("10", "16"), ("1_0", "1_0")]
)
def test_a_centre_may_count_in_two_ways(centre, sender_to, message, told, ids):
    """Some answer in hexadecimal and write receipts in decimal; a setting says so."""
    answered, named = ids
    sender = sender_to(centre, hex_ids=True)
    sender.watch(told)
    centre.script.append(
        lambda _, sequence: unit(0x80000004, sequence, body=answered.encode() + b"\0")
    )
    sent = sent_by(sender, message)
    assert 0 == centre.receipt(named)
    assert [(sent.id, DeliveryState.DELIVERED)] == told


# --- what is ignored --------------------------------------------------------------------


def test_a_receipt_twice_is_told_once(centre, sender, message, told, caplog):
    """Also one that says something else: how a message ended does not change."""
    sent = sent_by(sender, message)
    answers = [
        centre.receipt(centre.taken[0].centre_id, stat)
        for stat in ("DELIVRD", "DELIVRD", "UNDELIV")
    ]
    assert [0, 0, 0] == answers  # or they would come for ever
    assert [(sent.id, DeliveryState.DELIVERED)] == told
    assert ["repeated", "repeated"] == ignored(caplog)


@pytest.mark.parametrize(
    "ignored_one",
    [
        ("m-4711", "DELIVRD", "unknown_message"),
        ("m0001 id:m0002", "DELIVRD", "contradictory"),
        ("m0001", "ACCEPTD", "not_final"),
        ("m0001", "PERHAPS", "no_state"),
    ],
)
def test_a_receipt_that_tells_nothing_is_taken_and_ignored(
    centre, sender, told, caplog, ignored_one
):
    """It is answered as taken, so that it does not come again, and ignored by name."""
    centre_id, stat, why = ignored_one
    sender.send(a_message("claim.1"))
    assert 0 == centre.receipt(centre_id, stat)
    assert [] == told
    assert [why] == ignored(caplog)


def test_what_is_no_receipt_is_not_taken(centre, sender, message, told, caplog):
    """A message from somebody is refused: there is no place for it, and it names a number."""
    sent_by(sender, message)
    assert RECEIVER_REJECTS == centre.deliver(b"id:m0001 stat:DELIVRD", esm_class=0)
    assert [] == told
    assert ["not_a_receipt"] == ignored(caplog)


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"\xff" * 300, b"\0" * 16, b"\0\1\1" + b"9" * 40],
    ids=["empty", "one", "all ones", "half", "no end"],
)
def test_what_cannot_be_read_is_not_taken(centre, sender, told, caplog, body):
    """The session goes on: where the unit ends is known."""
    sender.send(a_message("claim.1"))
    centre.write(unit(DELIVER, 99, body=body))
    assert RECEIVER_REJECTS == centre.answer_to(99)
    assert [] == told
    assert ["unreadable"] == ignored(caplog)
    sender.send(a_message("claim.2"))
    assert 1 == len(centre.binds)


def test_a_flood_of_receipts_stops_nobody(centre, sender_to, message, told):
    """Two thousand that name nothing, and a message among them."""
    sender = sender_to(centre, timeout=timedelta(seconds=20))
    sender.watch(told)
    sent_by(sender, message)
    octets = smpp34.DeliverSm(
        "1", "2", b"id:none stat:DELIVRD", esm_class=RECEIPT, sequence_number=5
    ).encode()
    centre.write(octets * 2_000)
    sent_by(sender, message)
    assert [] == told


# --- what follows from it ---------------------------------------------------------------


def test_a_message_that_did_not_arrive_is_sent_again(centre, sender, message, told):
    """A repeat of it reaches nobody twice; and how that one ends is told as well."""
    sent = sent_by(sender, message)
    centre.receipt(centre.taken[0].centre_id, "UNDELIV")
    sender.send(sent)
    sender.send(sent)
    assert [sent.id, sent.id] == [each.heard.id for each in centre.taken]
    centre.receipt(centre.taken[0].centre_id, "EXPIRED")  # of the first one
    centre.receipt(centre.taken[1].centre_id, "DELIVRD")
    assert [
        (sent.id, DeliveryState.UNDELIVERABLE),
        (sent.id, DeliveryState.DELIVERED),
    ] == told


@pytest.mark.parametrize("stat", ["DELIVRD", "UNKNOWN"])
def test_a_message_that_may_have_arrived_is_not_sent_again(centre, sender, message, stat):
    """Neither if it did, nor if nobody knows."""
    sent = sent_by(sender, message)
    centre.receipt(centre.taken[0].centre_id, stat)
    sender.send(sent)
    assert 1 == len(centre.taken)


def test_a_lost_answer_is_made_up_for_by_the_receipt(centre, sender, message, told):
    """Where the centre hands back our reference, the receipt names the message in its place."""
    sent = message()
    centre.script.append(takes_and_cuts(centre))
    fails(Unavailable, sender, sent)
    waits_for(lambda: len(centre.binds) == 2 and centre.writers)
    referring = [(0x0204, reference(sent.id))]
    waits_for(lambda: centre.receipt(centre.taken[0].centre_id, tlvs=referring) == 0)
    assert [(sent.id, DeliveryState.DELIVERED)] == told
    sender.send(sent)
    assert 1 == len(centre.taken)


def test_a_reference_that_fits_two_messages_names_none(centre, sender, told, message, caplog):
    """Sixteen bits are few: two messages whose answers were lost are not taken for each other."""
    one, other = same_reference()
    centre.script.extend([takes_and_cuts(centre), takes_and_cuts(centre)])
    fails(Unavailable, sender, message(one))
    fails(Unavailable, sender, message(other))
    waits_for(lambda: len(centre.binds) == 3 and centre.writers)
    referring = [(0x0204, reference(one))]
    waits_for(lambda: centre.receipt("m-4711", tlvs=referring) == 0)
    assert [] == told
    assert {"unknown_message"} == set(ignored(caplog))


def test_a_reference_does_not_outweigh_a_name(centre, sender, message, told, caplog):
    """A message that the centre has named is not meant by a receipt for another name."""
    sent = sent_by(sender, message)
    assert 0 == centre.receipt("m-4711", tlvs=[(0x0204, reference(sent.id))])
    assert [] == told
    assert ["unknown_message"] == ignored(caplog)


def test_a_reference_names_no_message_that_was_never_sent(centre, sender_to, message, told):
    """A message that found no way out yet is not taken for one that arrived."""
    sender = sender_to(centre, timeout=HASTY)
    sender.watch(told)
    centre.bind_status = 0x08
    sent = message()
    fails(Unavailable, sender, sent)
    centre.bind_status = 0
    sent_by(sender, message)
    assert 0 == centre.receipt("m-4711", tlvs=[(0x0204, reference(sent.id))])
    assert [] == told


def test_what_is_forgotten_is_forgotten_wholly(centre, sender_to, message, told):
    """A message beyond the bound is known by no name any more."""
    sender = sender_to(centre, remembered=1)
    sender.watch(told)
    for _ in range(5):
        sent_by(sender, message)
    for each in centre.taken[:-1]:
        centre.receipt(each.centre_id, tlvs=[each.tlvs_item()])
    assert [] == told
    exchange = sender._exchange
    assert (1, 1, 1) == (
        len(exchange._fates),
        len(exchange._by_centre_id),
        len(exchange._by_reference),
    )


def test_an_answer_to_what_was_forgotten_names_nothing(centre, sender_to, message):
    """A message that gave way to others while it was on its way leaves nothing behind."""
    sender = sender_to(centre, remembered=1)
    centre.script.append(takes_after(centre, 0.2))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sender.send, message())
        waits_for(lambda: centre.submits)
        sent_by(sender, message)
        assert first.result() is None
    assert [centre.taken[1].centre_id] == list(sender._exchange._by_centre_id)


def test_a_name_that_a_centre_gives_twice_is_the_last_ones(centre, sender_to, message, told):
    """When the first message is forgotten, the name stays with the second."""
    sender = sender_to(centre, remembered=2)
    sender.watch(told)
    centre.script.extend([lambda _, sequence: unit(0x80000004, sequence, body=b"again\0")] * 2)
    _, second, _ = (sent_by(sender, message) for _ in range(3))
    assert 0 == centre.receipt("again")
    assert [(second.id, DeliveryState.DELIVERED)] == told


def test_a_message_is_known_for_twice_as_long_as_it_is_valid(centre, message):
    """By the clock that was given: a receipt that tells of expiry comes after it."""
    clock = SimulatedClock()
    with SmppSender(link_to(centre, valid=timedelta(minutes=10)), clock=clock) as sender:
        sent = sent_by(sender, message)
        clock.advance(timedelta(minutes=20))
        sender.send(sent)
        assert 1 == len(centre.taken)
        clock.advance(timedelta(microseconds=1))
        sender.send(sent)
        assert 2 == len(centre.taken)


def same_reference():
    seen = {}
    for serial in range(100_000):
        name = f"claim.{serial}"
        found = seen.setdefault(reference(name), name)
        if found != name:
            return found, name
    raise AssertionError("no two ids have the same reference")
