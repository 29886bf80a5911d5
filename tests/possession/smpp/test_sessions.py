"""Sessions with a centre: how they begin, are kept, end, and begin again."""

import asyncio
import os
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from abonent.errors import (
    IdentifierClosed,
    InvalidValue,
    Misconfigured,
    Unavailable,
    UsedAfterFork,
)
from abonent.possession.smpp import AsyncSmppSender
from abonent.possession.smpp.session import Session
from abonent.simulation import Reply
from tests.possession.smpp.test_sending import fails, waits_for
from tests.smsc import (
    ANSWER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    ENQUIRE_LINK,
    HASTY,
    UNBIND,
    FaultyCentre,
    is_silent,
    link_to,
    takes_after,
    unit,
)

QUICK = timedelta(seconds=0.1)
FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads, from 3.12 on


# --- beginning --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F, 0x53, 0x0411])
def test_who_refuses_us_is_misconfigured(centre, sender, message, status):
    """A wrong name or password is an alarm; when it is put right, the next message goes (S11)."""
    centre.bind_status = status
    sent = message()
    assert f"0x{status:08x}" in str(fails(Misconfigured, sender, sent))
    centre.bind_status = 0
    sender.send(sent)
    assert [sent.id] == [each.id for each in centre.heard()]


@pytest.mark.parametrize("status", [0x05, 0x08, 0x58])
def test_who_cannot_let_us_in_now_is_unavailable(centre, sender, message, status):
    """Our last session is not over yet, or the centre is busy."""
    centre.bind_status = status
    fails(Unavailable, sender, message())


@pytest.mark.parametrize(
    "answer",
    [
        lambda sequence: b"\xff" * 40,
        lambda sequence: unit(ANSWER | 0x04, sequence),
        lambda sequence: unit(UNBIND, 1),
        lambda sequence: b"",
    ],
    ids=["garbage", "answer to a message", "unbind", "silence"],
)
def test_a_bind_that_is_not_answered_is_unavailable(centre, hasty, message, answer):
    """Whatever came instead, in bounded time."""
    centre.bind_answer = answer
    began = time.monotonic()
    fails(Unavailable, hasty, message())
    assert time.monotonic() - began < 3


def test_a_centre_that_knocks_is_not_knocked_at(centre, sender_to, message):
    """While a wait is longer than a call may take, the last refusal is repeated, with an instant.

    A provider locks out who comes with a wrong password again and again.
    """
    sender = sender_to(centre, timeout=QUICK, retry_longest=timedelta(seconds=60))
    centre.bind_status = 0x0E
    fails(Misconfigured, sender, message())
    assert fails(Misconfigured, sender, message()).retry_at > datetime.now(UTC)
    assert 1 == len(centre.binds)


def test_a_centre_that_comes_later_is_found(sender_to, message):
    """Nobody there is Unavailable; who is there later is used."""
    with FaultyCentre() as gone:
        pass
    sender, sent = sender_to(gone), message()
    fails(Unavailable, sender, sent)
    with FaultyCentre() as centre:
        centre_elsewhere = sender_to(centre)
        centre_elsewhere.send(sent)
    back = FaultyCentre()
    back.port = gone.port
    with back:
        sender.send(sent)
        assert [sent.id] == [each.id for each in back.heard()]


def test_many_who_come_at_first_share_one_session(centre, sender_to, message):
    """One connection is made, by whoever comes first."""
    sender = sender_to(centre)
    threads = [threading.Thread(target=sender.send, args=(message(),)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(5)
    assert 1 == len(centre.binds)
    assert 8 == len(centre.heard())


@pytest.mark.parametrize(
    ("receipts", "command"), [(True, BIND_TRANSCEIVER), (False, BIND_TRANSMITTER)]
)
def test_it_receives_only_if_there_are_receipts(centre, sender_to, message, receipts, command):
    """Without receipts it binds as one who sends."""
    sender_to(centre, receipts=receipts).send(message())
    assert command == int.from_bytes(centre.binds[0][4:8], "big")


# --- encryption -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for the loopback, and its key, in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "centre")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "centre.pem"
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(encoded + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def encrypted(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with FaultyCentre(tls=context) as centre:
        yield centre


def test_a_message_goes_over_tls(encrypted, sender_to, message, certificate):
    """To a centre whose certificate is known, and has the name that was asked for."""
    trusting = ssl.create_default_context(cafile=certificate)
    settings = {"tls": trusting}
    sender_to(encrypted, host="localhost", **settings).send(message())
    assert 1 == len(encrypted.heard())
    fails(Misconfigured, sender_to(encrypted, host="127.0.0.1", **settings), message())


def test_a_certificate_that_is_not_known_is_refused(encrypted, sender_to, message):
    """No password goes to who cannot show who they are: Misconfigured, an alarm."""
    settings = {"tls": ssl.create_default_context()}
    fails(Misconfigured, sender_to(encrypted, host="localhost", **settings), message())
    assert [] == encrypted.binds


def test_who_does_not_speak_tls_is_unavailable(centre, sender_to, message):
    """The centre's end in clear says nothing that can be understood."""
    settings = {"tls": ssl.create_default_context(), "host": "localhost", "timeout": HASTY}
    fails(Unavailable, sender_to(centre, **settings), message())


# --- keeping ----------------------------------------------------------------------------


def test_a_quiet_centre_is_asked_whether_it_is_there(centre, sender_to, message):
    """And the session goes on for as long as it says so."""
    sender = sender_to(centre, enquire_every=QUICK)
    sender.send(message())
    waits_for(lambda: centre.enquiries >= 3)
    sender.send(message())
    assert 1 == len(centre.binds)


def test_a_centre_that_is_not_there_any_more_is_left(centre, sender_to, message):
    """Who does not answer is not waited for: there is another session, without a message."""
    sender = sender_to(centre, enquire_every=QUICK, timeout=timedelta(seconds=1))
    sender.send(message())
    centre.answers_enquiries = False
    # One time-out, and not the three after which an answer would be taken for lost.
    waits_for(lambda: len(centre.binds) >= 2, seconds=2.5)


def test_a_message_that_is_not_answered_puts_the_session_in_doubt(centre, sender_to, message):
    """The centre is asked at once, long before it counts as quiet."""
    sender = sender_to(centre, enquire_every=timedelta(hours=1), timeout=HASTY)
    centre.script.append(is_silent)
    fails(Unavailable, sender, message())
    waits_for(lambda: centre.enquiries == 1)


def test_it_answers_whether_it_is_there(centre, sender, message):
    """An enquiry of the centre's is answered, and a request it does not know is refused."""
    sender.send(message())
    centre.write(unit(ENQUIRE_LINK, 77))
    centre.write(unit(0x0103, 78, body=b"\0"))  # data_sm
    waits_for(lambda: centre.others == [(ENQUIRE_LINK | ANSWER, 0, 77), (ANSWER, 3, 78)])


def test_who_does_not_read_is_not_read(centre):
    """A centre that asks and takes no answers does not fill our memory with them."""
    taken, room = [], asyncio.Event()

    class Full:
        transport = SimpleNamespace(abort=lambda: None)

        def write(self, octets):
            taken.append(octets)

        async def drain(self):
            await room.wait()

    async def use():
        reader = asyncio.StreamReader()
        session = Session(reader, Full(), link_to(centre), lambda _: True)
        session._start(session._read())
        for sequence in (1, 2):
            reader.feed_data(unit(ENQUIRE_LINK, sequence))
        await asyncio.sleep(0.05)
        before = list(taken)
        room.set()
        await asyncio.sleep(0.05)
        session.end()
        return before

    assert [unit(ENQUIRE_LINK | ANSWER, 1)] == asyncio.run(use())
    assert 2 == len(taken)


# --- end --------------------------------------------------------------------------------


def test_a_session_that_is_lost_is_begun_again_by_itself(centre, sender, message):
    """So that receipts are not waited for in vain."""
    sender.send(message())
    centre.cut()
    waits_for(lambda: len(centre.binds) == 2)


def test_without_receipts_nobody_is_in_a_hurry(centre, sender_to, message):
    """The next message begins the next session."""
    sender = sender_to(centre, receipts=False)
    sender.send(message())
    centre.cut()
    time.sleep(0.3)
    assert 1 == len(centre.binds)
    sender.send(message())
    assert 2 == len(centre.binds)


def test_who_says_good_bye_is_answered(centre, sender, message):
    """The centre restarts: its unbind is answered, and it is looked for again."""
    sender.send(message())
    centre.write(unit(UNBIND, 5))
    waits_for(lambda: len(centre.binds) == 2)
    assert (UNBIND | ANSWER, 0, 5) in centre.others


def test_who_refuses_us_is_not_tried_again_by_itself(centre, sender, message):
    """Only a message knocks again: not every minute, with a password that may be wrong."""
    sender.send(message())
    centre.bind_status = 0x0E
    centre.cut()
    waits_for(lambda: len(centre.binds) == 2)
    time.sleep(0.3)
    assert 2 == len(centre.binds)
    fails(Misconfigured, sender, message())
    assert 3 == len(centre.binds)


def test_a_centre_that_comes_and_goes_is_followed(centre, sender_to, message):
    """Nobody there, again and again, is no reason to give up."""
    sender = sender_to(centre)
    sender.send(message())
    centre.bind_status = 0x08
    centre.cut()
    waits_for(lambda: len(centre.binds) >= 4)
    centre.bind_status = 0
    waits_for(lambda: centre.writers and centre.binds_taken == 2)
    sender.send(message())


def test_it_says_good_bye(centre, sender, message):
    """Closing unbinds, ends the thread, and may come twice; then nothing is sent."""
    sender.send(message())
    sender.close()
    sender.close()
    assert 1 == centre.unbinds
    assert "abonent-smpp" not in [each.name for each in threading.enumerate()]
    fails(IdentifierClosed, sender, message())
    assert 1 == len(centre.submits)


def test_a_sender_that_never_sent_is_closed_too(centre, sender_to, message):
    """There is nothing to end."""
    with sender_to(centre) as sender:
        pass
    fails(IdentifierClosed, sender, message())
    assert [] == centre.binds


@pytest.mark.parametrize("where", ["answer", "bind"])
def test_who_waits_when_it_is_closed_is_told(centre, sender_to, message, where):
    """They get Unavailable, not silence."""
    sender = sender_to(centre)
    if where == "answer":
        centre.show(Reply.HANGS)
    else:
        centre.bind_answer = lambda _: b""
    outcome = []

    def send():
        try:
            sender.send(message())
        except Unavailable as error:
            outcome.append(error)

    waiting = threading.Thread(target=send)
    waiting.start()
    waits_for(lambda: centre.submits if where == "answer" else centre.binds)
    sender.close()
    waiting.join(3)
    assert 1 == len(outcome)


@FORKS
def test_a_sender_does_not_cross_a_fork(centre, sender, message):
    """In the child it refuses to be used, and closing it leaves the parent's session alone."""
    sender.send(message())
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        refused = 1
        try:
            sender.send(message())
        except UsedAfterFork:
            sender.close()
            refused = 0
        finally:
            os._exit(refused)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sender.send(message())
    assert 1 == len(centre.binds)


def test_a_loop_that_is_stuck_is_unavailable(centre, sender_to, message, monkeypatch):
    """An observer that does not return keeps the thread; callers are not kept with it.

    What they handed over goes when the thread is free again, and a repeat of it sends nothing.
    """
    monkeypatch.setattr("abonent.possession.smpp.senders._GRACE", 0.1)
    sender = sender_to(centre, timeout=HASTY)
    stuck = threading.Event()
    sender.watch(lambda *_: stuck.wait(10))
    sender.send(message())
    sent = message()
    try:
        centre.receipt(centre.taken[0].centre_id, waits=False)
        time.sleep(0.1)
        assert "stuck" in str(fails(Unavailable, sender, sent))
    finally:
        stuck.set()
    sender.send(sent)
    assert 2 == len(centre.submits)


# --- awaited ----------------------------------------------------------------------------


def test_a_sender_that_is_awaited_lives_in_one_loop(centre, message):
    """In another it refuses to be used."""
    sender = AsyncSmppSender(link_to(centre))

    async def use():
        async with sender:
            await sender.send(message())
            await asyncio.to_thread(refused)

    def refused():
        with pytest.raises(InvalidValue):
            asyncio.run(sender.send(message()))

    asyncio.run(use())
    assert 1 == centre.unbinds
    with pytest.raises(IdentifierClosed):
        asyncio.run(sender.send(message()))


def test_who_gives_up_does_not_take_the_message_from_others(centre, message):
    """One of two who wait for the same message is cancelled; the other gets the answer."""
    centre.script.append(takes_after(centre, 0.2))
    sent = message()

    async def use():
        async with AsyncSmppSender(link_to(centre)) as sender:
            one, other = (asyncio.create_task(sender.send(sent)) for _ in range(2))
            await asyncio.sleep(0.1)
            one.cancel()
            await other
            with pytest.raises(asyncio.CancelledError):
                await one

    asyncio.run(use())
    assert 1 == len(centre.submits)


def test_a_loop_that_ends_takes_the_session_with_it(centre, message):
    """Without `close`, nothing stays open."""

    async def use():
        await AsyncSmppSender(link_to(centre)).send(message())

    asyncio.run(use())
    waits_for(lambda: not centre.writers)


@FORKS
def test_an_awaited_sender_does_not_cross_a_fork(centre, message):
    """As for threads."""
    sender = AsyncSmppSender(link_to(centre))
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        refused = 1
        try:
            asyncio.run(sender.send(message()))
        except UsedAfterFork:
            asyncio.run(sender.close())
            refused = 0
        finally:
            os._exit(refused)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
