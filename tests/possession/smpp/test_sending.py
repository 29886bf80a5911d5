"""Messages over SMPP: what the centre says of one, and what a repeat of it does."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from abonent import DeliveryState, OneTimeCode, SubscriberNumber
from abonent.errors import Misconfigured, Unavailable
from abonent.possession.smpp import Meaning
from tests.smsc import (
    ANSWER,
    SUBMIT,
    cuts,
    is_silent,
    refuses,
    says,
    takes,
    takes_after,
    takes_and_cuts,
    unit,
)


def fails(kind, sender, message):
    with pytest.raises(kind) as raised:
        sender.send(message)
    return raised.value


def waits_for(condition, seconds=3.0):
    """What happens in another thread happens soon."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.01)


# --- what the centre says ---------------------------------------------------------------


@pytest.mark.parametrize("status", [0x01, 0x03, 0x07, 0x0A, 0x15, 0x43, 0x48, 0x62, 0xC4, 0x0411])
def test_a_refusal_of_our_request_is_for_a_person(centre, sender, message, status):
    """Source, service, flags, and whatever nobody has explained: Misconfigured, with the number."""
    centre.script.append(refuses(status))
    assert f"0x{status:08x}" in str(fails(Misconfigured, sender, message()))


@pytest.mark.parametrize("status", [0x08, 0x14, 0x45, 0x58, 0x64, 0xFE, 0xFF])
def test_what_may_pass_is_unavailable(centre, sender, message, status):
    """An error of theirs, a full queue, throttling: the same message is taken a little later."""
    centre.script.append(refuses(status))
    sent = message()
    fails(Unavailable, sender, sent)
    sender.send(sent)
    assert [sent.id] == [each.id for each in centre.heard()]


@pytest.mark.parametrize(
    ("said", "kind"), [(Meaning.TRY_LATER, Unavailable), (Meaning.SETUP, Misconfigured)]
)
def test_a_provider_explains_its_own_statuses(centre, sender_to, message, said, kind):
    """What a vendor's status means is a setting."""
    centre.script.append(refuses(0x0411))
    fails(kind, sender_to(centre, meanings={0x0411: said}), message())


def test_a_refusal_without_a_reason_is_no_acceptance(centre, sender, message):
    """A nack with status 0 has not taken the message (P21)."""
    centre.script.append(lambda _, sequence: unit(ANSWER, sequence))
    fails(Unavailable, sender, message())
    assert [] == centre.heard()


def test_a_nack_is_the_answer_to_what_it_numbers(centre, sender, message):
    """The centre does not know our request: Misconfigured, and the session goes on."""
    centre.script.append(lambda _, sequence: unit(ANSWER, sequence, status=0x03))
    fails(Misconfigured, sender, message())
    sender.send(message())
    assert 1 == len(centre.binds)


def test_not_bound_any_more_is_bound_anew(centre, sender, message):
    """A centre that has forgotten our session gets another one."""
    centre.script.append(refuses(0x04))
    sent = message()
    fails(Unavailable, sender, sent)
    sender.send(sent)
    assert 2 == len(centre.binds)


def test_throttled_senders_wait_together(centre, sender_to, message):
    """When the centre has enough, nobody sends for a while that grows, and the error says so."""
    # The first pause is shorter than that, by chance up to a quarter; the second is longer.
    settings = {"timeout": timedelta(seconds=0.3), "retry_longest": timedelta(seconds=60)}
    sender = sender_to(centre, **settings)
    centre.script.extend([refuses(0x58), refuses(0x58), refuses(0x58)])
    began = time.monotonic()
    assert fails(Unavailable, sender, message()).retry_at is not None  # a quarter of a second
    fails(Unavailable, sender, message())  # half
    refused_at_once = fails(Unavailable, sender, message())
    assert refused_at_once.retry_at is not None
    assert time.monotonic() - began < 1
    assert 2 == len(centre.submits)


# --- a number that is not served (P22) --------------------------------------------------


def test_a_number_that_is_not_served_is_told_and_not_asked_for_again(centre, sender, message, told):
    """It is no alarm, as strangers choose numbers; it is seen as rejected; a repeat is spared."""
    sender.watch(told)
    centre.script.append(refuses(0x0B))
    sent = message()
    fails(Unavailable, sender, sent)
    fails(Unavailable, sender, sent)
    assert [(sent.id, DeliveryState.REJECTED)] == told
    assert 1 == len(centre.submits)


def test_another_message_to_that_number_is_sent(centre, sender, message):
    """What is refused is a message."""
    centre.script.append(refuses(0x0B))
    fails(Unavailable, sender, message())
    sender.send(message())
    assert 2 == len(centre.submits)


# --- the same message again (P14) -------------------------------------------------------


def test_a_message_that_was_taken_is_not_sent_again(centre, sender, message):
    """For as long as it is remembered, over any number of sessions."""
    sent = message()
    sender.send(sent)
    centre.cut()
    sender.send(sent)
    assert 1 == len(centre.submits)


def test_many_who_send_one_message_send_one(centre, sender, message):
    """Those who come while it is on its way wait for the same answer."""
    sent = message()
    centre.script.append(takes_after(centre, 0.1))
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: sender.send(sent), range(8)))
    assert [None] * 8 == outcomes
    assert 1 == len(centre.submits)


def test_a_late_answer_is_heard(centre, hasty, message):
    """The caller has given up, but the message was taken: a repeat sends nothing."""
    sent = message()
    centre.script.append(takes_after(centre, 0.7))
    fails(Unavailable, hasty, sent)
    hasty.send(sent)
    assert 1 == len(centre.submits)


def test_an_answer_that_may_still_come_is_waited_for(centre, hasty, message):
    """As long as the session lives, a repeat does not send what may have been taken."""
    sent = message()
    centre.script.append(is_silent)
    fails(Unavailable, hasty, sent)
    fails(Unavailable, hasty, sent)
    assert 1 == len(centre.submits)


def test_an_answer_that_never_comes_ends_the_session(centre, hasty, message):
    """After three times its patience the sender takes the answer for lost, and sends again."""
    sent = message()
    centre.script.append(is_silent)
    fails(Unavailable, hasty, sent)
    waits_for(lambda: len(centre.binds) == 2)
    hasty.send(sent)
    assert 2 == len(centre.submits)
    assert centre.enquiries > 0  # it asked first, and was answered


@pytest.mark.parametrize("replace", [False, True])
def test_a_message_lost_with_its_session_is_sent_again(centre, sender_to, message, replace):
    """It may reach the user twice, with one code; where the centre can, the second replaces it."""
    sender = sender_to(centre, replace=replace)
    sent = message()
    centre.script.append(takes_and_cuts(centre))
    fails(Unavailable, sender, sent)
    sender.send(sent)
    assert [sent.id, sent.id] == [each.heard.id for each in centre.taken]
    assert {"493817"} == {each.heard.code for each in centre.taken}
    assert [0, int(replace)] == [each.pdu.replace_if_present_flag for each in centre.taken]
    first, second = (each.tlvs[0x0204] for each in centre.taken)
    assert first == second


def test_only_so_many_messages_are_remembered(centre, sender_to, message):
    """Beyond, the oldest is forgotten, and a repeat of it is sent: the bound is a setting."""
    sender = sender_to(centre, remembered=1)
    first, second = message(), message()
    for each in (first, second, second, first):
        sender.send(each)
    assert [first.id, second.id, first.id] == [each.heard.id for each in centre.taken]


# --- crowds -----------------------------------------------------------------------------


def test_answers_may_come_in_any_order(centre, sender_to, message):
    """Each caller gets the answer to what it sent."""
    sender = sender_to(centre)
    slow, refused, quick = message("slow"), message("refused"), message("quick")
    by_id = {
        "slow": takes_after(centre, 0.2),
        "refused": lambda _, sequence: unit(SUBMIT | ANSWER, sequence, status=0x0A),
        "quick": takes(centre),
    }
    centre.script.extend([lambda given, sequence: by_id[given.heard.id](given, sequence)] * 3)
    with ThreadPoolExecutor(3) as pool:
        outcomes = [pool.submit(sender.send, each) for each in (slow, refused, quick)]
        assert outcomes[0].result() is None
        assert isinstance(outcomes[1].exception(), Misconfigured)
        assert outcomes[2].result() is None
    assert 1 == len(centre.binds)


def test_no_more_than_the_window_wait_at_once(centre, sender_to, message):
    """Whoever does not fit waits for a place, and is not refused (2.9.1)."""
    sender = sender_to(centre, window=2)
    open_at_once, most = set(), []

    def counted(submitted, sequence):
        open_at_once.add(sequence)
        most.append(len(open_at_once))
        centre.loop.call_later(0.03, open_at_once.discard, sequence)
        return takes_after(centre, 0.03)(submitted, sequence)

    centre.script.extend([counted] * 8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sender.send, [message() for _ in range(8)]))
    assert 8 == len(centre.taken)
    assert 2 == max(most)


def test_who_waits_for_a_place_is_told_that_the_session_ended(centre, sender_to, message):
    """Its message was not sent, and it does not wait for an answer."""
    sender = sender_to(centre, window=1)
    centre.script.append(is_silent)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sender.send, message())
        waits_for(lambda: centre.submits)
        second = pool.submit(sender.send, message())
        time.sleep(0.1)
        centre.cut()
        for each in (first, second):
            assert "the session with the centre ended" in str(each.exception())
    assert 1 == len(centre.submits)


def test_a_crowd_is_served(centre, sender_to, message):
    """Each of many messages of many callers is taken once."""
    sender = sender_to(centre, timeout=timedelta(seconds=20))
    crowd = [message(code=OneTimeCode(f"{each:06}")) for each in range(200)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(sender.send, crowd))
    assert {each.id: each.code.digits for each in crowd} == {
        each.id: each.code for each in centre.heard()
    }
    assert len(crowd) == len(centre.submits)


# --- what is sent -----------------------------------------------------------------------


def test_the_text_is_that_of_the_locale(centre, sender, message):
    """And goes to the number, in E.164 without a plus."""
    sender.send(message(locale="ru-RU", number=SubscriberNumber("+77011234567")))
    (sent,) = centre.taken
    assert ("Ваш код: 493817", "77011234567") == (sent.text, sent.pdu.destination_addr)


def test_nothing_is_begun_before_the_first_message(centre, sender_to, message):
    """Neither a thread nor a connection."""
    threads = set(threading.enumerate())
    sender = sender_to(centre)
    assert threads == set(threading.enumerate())
    sender.send(message())
    assert ["abonent-smpp"] == [each.name for each in set(threading.enumerate()) - threads]
    assert 1 == len(centre.binds)


@pytest.mark.parametrize(
    "what",
    [
        cuts,
        says(b"\xff" * 40),
        says(b"\0" * 16),
        says(b"\0\x02\0\0" + b"\x80\0\0\x04" + b"\0" * 8),
        lambda _, sequence: unit(0x80000009, sequence),
        lambda _, sequence: unit(0x80000015, sequence),
    ],
    ids=["cut", "garbage", "short", "long", "answer to a bind", "answer to an enquiry"],
)
def test_what_cannot_be_understood_ends_the_session_not_the_sender(centre, sender, message, what):
    """Nothing is taken for an answer (P21), and the next message has a session of its own."""
    sent = message()
    centre.script.append(what)
    assert "the session with the centre ended" in str(fails(Unavailable, sender, sent))
    sender.send(sent)
    assert [sent.id] == [each.heard.id for each in centre.taken]
    assert 2 == len(centre.binds)


def test_half_a_unit_is_waited_for_in_vain(centre, hasty, message):
    """The rest never comes, and the centre is silent: another session is begun."""
    sent = message()
    centre.script.append(says(unit(SUBMIT | ANSWER, 2, body=b"x" * 30)[:20]))
    fails(Unavailable, hasty, sent)
    waits_for(lambda: centre.binds_taken > 1)
    hasty.send(sent)
    assert [sent.id] == [each.heard.id for each in centre.taken]


def test_an_answer_to_nothing_is_ignored(centre, sender, message):
    """A stray answer belongs to nobody."""
    sender.send(message())
    centre.write(unit(SUBMIT | ANSWER, 4711, body=b"m\0") + unit(ANSWER, 0, status=3))
    centre.write(unit(0x102, 2))  # an alert wants no answer
    sender.send(message())
    assert 1 == len(centre.binds)
