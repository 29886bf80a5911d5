"""Message centres to send to, on the loopback: a faulty one that does as told, and a real one.

The faulty one is a few lines over the codec, because no real centre refuses a password or cuts a
unit in two when asked. The real one is the server of `smpp34`, a session of its own in Rust.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

import smpp34

from abonent.core.states import EffectKind
from abonent.possession.smpp import SmppLink
from abonent.possession.smpp.pdus import HEADER, unit
from abonent.simulation import Reply
from abonent.testing import Heard

BIND_TRANSMITTER, BIND_TRANSCEIVER = 0x02, 0x09
SUBMIT, DELIVER, UNBIND, ENQUIRE_LINK = 0x04, 0x05, 0x06, 0x15
ANSWER = 0x80000000
RECEIPT = 0x04
ID_TAG = 0x1401
SYSTEM_ID, PASSWORD = "abonent", "s3cr3t-pw"
_CODE = re.compile(r"\d{4,10}")

# What to do with a submit: the octets to write, None for nothing, or the end of the connection.
CUT = object()


class Submitted:
    """A `submit_sm` as it came."""

    def __init__(self, pdu, centre_id):
        self.pdu = pdu
        self.centre_id = centre_id
        self.tlvs = {each.tag: each.value for each in pdu.tlvs}

    @property
    def text(self):
        coding = {0x00: "ascii", 0x08: "utf-16-be"}[self.pdu.data_coding]
        return self.pdu.short_message.decode(coding)

    def tlvs_item(self):
        """Our reference, as a centre hands it back."""
        return 0x0204, self.tlvs[0x0204]

    @property
    def heard(self):
        return Heard(
            kind=EffectKind.SEND_CODE,
            id=self.tlvs[ID_TAG].rstrip(b"\0").decode() if ID_TAG in self.tlvs else "",
            number=f"+{self.pdu.destination_addr}",
            code=_CODE.search(self.text).group(),
        )


class Looped:
    """Something that lives in an event loop in a thread of its own, until it is left."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        try:
            self.do(self._begin())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self.do(self._end())
        self._stop()

    def _stop(self):
        self.do(self._cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()

    def do(self, work, timeout=5):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    async def _cancel_others(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class FaultyCentre(Looped):
    """A centre that does as it is told.

    `taken` are the messages that count as sent to the user; `submits` all that came. `script` is a
    queue of what to do with the next submits: a function of the unit's sequence number.
    """

    def __init__(self, *, slow=1.2, tls=None):
        self.port = 0
        self.unbinds = 0
        self.others = []  # what else came: command, status, sequence number
        self._tls = tls
        self.binds = []
        self.binds_taken = 0
        self.submits = []
        self.taken = []
        self.enquiries = 0
        self.answers = {}  # what came back to our deliver_sm, by sequence number
        self.bind_status = 0
        self.bind_answer = None
        self.answers_enquiries = True
        self.script = deque()
        self.reply = Reply.HELD
        self.writers = set()
        self._slow = slow
        self._sequence = 0

    # --- what tests tell it -------------------------------------------------------------

    def show(self, reply):
        self.reply = reply

    def heard(self):
        by_id = {each.heard.id or id(each): each.heard for each in self.taken}
        return list(by_id.values())

    def cut(self):
        """End every connection."""

        async def close():
            for writer in list(self.writers):
                writer.transport.abort()

        self.do(close())

    def write(self, octets):
        """Write this to whoever is bound."""

        async def put():
            for writer in list(self.writers):
                writer.write(octets)

        self.do(put())

    def deliver(self, text=b"", *, esm_class=RECEIPT, tlvs=(), waits=True, **fields):
        """Send a `deliver_sm`; return the status that it was answered with, None if none came."""
        self._sequence += 1
        sequence = self._sequence
        octets = smpp34.DeliverSm(
            "79161234567",
            "abonent",
            text,
            esm_class=esm_class,
            tlvs=[smpp34.Tlv(tag, value) for tag, value in tlvs],
            sequence_number=sequence,
            **fields,
        ).encode()
        self.write(octets)
        return self.answer_to(sequence) if waits else None

    def answer_to(self, sequence):
        async def wait():
            for _ in range(200):
                if sequence in self.answers:
                    return self.answers[sequence]
                await asyncio.sleep(0.01)
            return None

        return self.do(wait())

    def receipt(self, centre_id, stat="DELIVRD", **more):
        text = f"id:{centre_id} sub:001 dlvrd:001 submit date:2606010900 done date:2606010901"
        return self.deliver(f"{text} stat:{stat} err:000 text:Your code: 493817".encode(), **more)

    # --- serving ------------------------------------------------------------------------

    async def _begin(self):
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self):
        self._server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            while True:
                header = await reader.readexactly(HEADER.size)
                length, command, status, sequence = HEADER.unpack(header)
                body = await reader.readexactly(length - HEADER.size)
                await self._take(writer, command, status, sequence, header + body)
        self.writers.discard(writer)
        writer.transport.abort()

    async def _take(self, writer, command, status, sequence, octets):
        if command in {BIND_TRANSMITTER, BIND_TRANSCEIVER}:
            self.binds.append(octets)
            if self.bind_answer is not None:
                writer.write(self.bind_answer(sequence))
            else:
                self.binds_taken += self.bind_status == 0
                body = b"smsc\0" if self.bind_status == 0 else b""
                writer.write(unit(command | ANSWER, sequence, status=self.bind_status, body=body))
        elif command == SUBMIT:
            submitted = Submitted(smpp34.decode(octets), f"m{len(self.submits) + 1:04x}")
            self.submits.append(submitted)
            done = self.script.popleft() if self.script else self._as_told
            outcome = done(submitted, sequence)
            if asyncio.iscoroutine(outcome):
                outcome = await outcome
            if outcome is CUT:
                writer.transport.abort()
            elif outcome is not None:
                writer.write(outcome)
        elif command == ENQUIRE_LINK:
            self.enquiries += 1
            if self.answers_enquiries:
                writer.write(unit(command | ANSWER, sequence))
        elif command == UNBIND:
            self.unbinds += 1
            writer.write(unit(command | ANSWER, sequence))
        elif command == DELIVER | ANSWER:
            self.answers[sequence] = status
        else:
            self.others.append((command, status, sequence))

    def _as_told(self, submitted, sequence):
        return _REPLIES[self.reply](self, submitted, sequence)


PATIENT = timedelta(seconds=5)
HASTY = timedelta(seconds=0.5)
"""For tests of what nobody answers: each of them takes as long as this."""


def link_to(centre, **more):
    """A link to a centre of these, which is tried again at once."""
    given = {
        "host": "127.0.0.1",
        "port": centre.port,
        "system_id": SYSTEM_ID,
        "password": PASSWORD,
        "source": "abonent",
        "timeout": PATIENT,
        "retry_longest": timedelta(seconds=0.05),
        "id_tag": ID_TAG,
    }
    return SmppLink(**{**given, **more})


# --- what it can do with a message ------------------------------------------------------


def take(centre, submitted, sequence):
    centre.taken.append(submitted)
    return unit(SUBMIT | ANSWER, sequence, body=submitted.centre_id.encode() + b"\0")


def takes(centre):
    return lambda submitted, sequence: take(centre, submitted, sequence)


def refuses(status):
    return lambda _, sequence: unit(SUBMIT | ANSWER, sequence, status=status)


def says(octets: bytes) -> Callable[..., bytes]:
    return lambda _, sequence: octets


def is_silent(_, sequence):
    return None


def cuts(_, sequence):
    return CUT


def takes_and_cuts(centre):
    """It takes the message, and the connection ends in the middle of the answer."""

    async def half(submitted, sequence):
        answer = take(centre, submitted, sequence)
        for writer in list(centre.writers):
            writer.write(answer[:9])
            await writer.drain()
        await asyncio.sleep(0.02)
        return CUT

    return half


def takes_after(centre, seconds):
    """It takes the message; its answer comes later, while it goes on with what comes."""

    def slowly(submitted, sequence):
        answer = take(centre, submitted, sequence)
        for writer in list(centre.writers):
            asyncio.get_running_loop().call_later(seconds, writer.write, answer)

    return slowly


_REPLIES = {
    Reply.HELD: take,
    Reply.UNAVAILABLE: lambda *_: CUT,
    Reply.MISCONFIGURED: lambda _, __, sequence: unit(SUBMIT | ANSWER, sequence, status=0x0A),
    Reply.MALFORMED: lambda *_: b"\xff" * 40,
    Reply.HANGS: lambda *_: None,
    Reply.SLOW: lambda centre, *given: takes_after(centre, centre._slow)(*given),
}
SHOWS = frozenset(_REPLIES)


class RealCentre(Looped):
    """The server of `smpp34`. It takes every message, and sends the receipts it is told to."""

    def __init__(self):
        self.port = _free_port()
        self.sessions = {}
        self.taken = []

    def receipt(self, text, tlvs=()):
        """Send a receipt to whoever is bound; return the statuses it was answered with."""

        async def send():
            return [
                (
                    await each.deliver_sm(
                        "abonent",
                        text,
                        source_addr="79161234567",
                        esm_class=RECEIPT,
                        tlvs=[smpp34.Tlv(tag, value) for tag, value in tlvs],
                    )
                ).command_status
                for each in self.sessions.values()
            ]

        return self.do(send())

    async def _begin(self):
        self._server = smpp34.Server("127.0.0.1", self.port, system_id="smsc")
        await self._server.start()
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _end(self):
        self._task.cancel()
        await self._server.stop()

    async def _serve(self):
        while True:
            event = await self._server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions[event.session_id] = event
            elif isinstance(event, smpp34.Unbound):
                self.sessions.pop(event.session_id, None)
            elif isinstance(event, smpp34.SubmitSmEvent):
                centre_id = f"real-{len(self.taken) + 1}"
                self.taken.append(Submitted(event, centre_id))
                event.accept(message_id=centre_id)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
