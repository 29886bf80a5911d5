"""The protocol data units of SMPP 3.4, as octets and back.

Knows headers, the few units without a body worth the name, and what is asked of the codec for the
others. Refuses to know connections and times.
"""

from __future__ import annotations

from enum import IntEnum
from hashlib import blake2s
from struct import Struct
from typing import Final

from attrs import field, frozen

from abonent.possession.smpp.link import SmppLink
from abonent.possession.smpp.receipts import USER_MESSAGE_REFERENCE
from abonent.possession.texts import Wording

try:
    import smpp34
except ImportError:
    raise ModuleNotFoundError("SMPP needs a codec: pip install 'abonent[smpp]'") from None

HEADER: Final = Struct("!IIII")
LONGEST: Final = 70_000
"""Octets that a unit may have: one with a message of 64 KiB, and some. What claims to be longer is
no unit."""
SEQUENCES: Final = 0x7FFFFFFF
_ANSWER: Final = 0x80000000
_VERSION_3_4: Final = 0x34
_INTERNATIONAL: Final = 1
_ISDN: Final = 1
_RECEIPT: Final = 0x01
_LONGEST_MESSAGE_ID: Final = 64


class Command(IntEnum):
    """What a unit is for (5.1.2.1). Those that are answered, and what is answered to none."""

    NACK = 0x80000000
    BIND_TRANSMITTER = 0x02
    SUBMIT = 0x04
    DELIVER = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    ENQUIRE_LINK = 0x15
    ALERT = 0x102


@frozen(kw_only=True)
class Pdu:
    """A unit as it came: its header, and a body that may hold anything."""

    command: int
    status: int
    sequence: int
    body: bytes = field(repr=False)

    @property
    def answers(self) -> int | None:
        """The command that this answers; None for a request, or an answer to no command."""
        if not self.command & _ANSWER or self.command == Command.NACK:
            return None
        return self.command ^ _ANSWER

    @property
    def asks(self) -> bool:
        """Whether this wants an answer."""
        return not self.command & _ANSWER and self.command != Command.ALERT


def unit(command: int, sequence: int, *, status: int = 0, body: bytes = b"") -> bytes:
    """Return a unit with this body."""
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


def answer(to: Pdu, *, status: int = 0) -> bytes:
    """Return the answer to a request. The one to `deliver_sm` has an empty id (4.6.2)."""
    body = b"\0" if to.command == Command.DELIVER else b""
    return unit(to.command | _ANSWER, to.sequence, status=status, body=body)


def nack(to: Pdu, status: int) -> bytes:
    """Return the answer to what cannot be answered (4.3)."""
    return unit(Command.NACK, to.sequence, status=status)


def bind(link: SmppLink, sequence: int) -> bytes:
    """Return the request to let us in, as one who also receives if there are receipts (4.1)."""
    command = Command.BIND_TRANSCEIVER if link.receipts else Command.BIND_TRANSMITTER
    texts = b"".join(
        each.encode("ascii") + b"\0" for each in (link.system_id, link.password, link.system_type)
    )
    # No range of addresses is ours: what comes are receipts of our own messages.
    return unit(command, sequence, body=texts + bytes((_VERSION_3_4, 0, 0, 0)))


def submit(
    link: SmppLink, *, message_id: str, number: str, text: Wording, repeat: bool, sequence: int
) -> bytes:
    """Return the request to deliver a text (4.4.1). `number` is E.164 without its plus."""
    references = [smpp34.Tlv(USER_MESSAGE_REFERENCE, reference(message_id))]
    if link.id_tag is not None:
        references.append(smpp34.Tlv(link.id_tag, message_id.encode("utf-8") + b"\0"))
    return smpp34.SubmitSm(
        link.source,
        number,
        text.octets,
        service_type=link.service_type,
        source_addr_ton=link.source_ton,
        source_addr_npi=link.source_npi,
        dest_addr_ton=_INTERNATIONAL,
        dest_addr_npi=_ISDN,
        validity_period=_relative(link),
        registered_delivery=_RECEIPT if link.receipts else 0,
        replace_if_present_flag=int(repeat and link.replace),
        data_coding=text.coding,
        tlvs=references,
        sequence_number=sequence,
    ).encode()


def _relative(link: SmppLink) -> str:
    """A time from now on, as YYMMDDhhmmss000R (7.1.1.2)."""
    minutes, seconds = divmod(round(link.valid.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{days:02}{hours:02}{minutes:02}{seconds:02}000R"


def reference(message_id: str) -> bytes:
    """Return the user_message_reference of a message (5.3.2.17): the same for every repeat."""
    return blake2s(message_id.encode("utf-8"), digest_size=2).digest()


def message_id_in(body: bytes) -> str:
    """Return the id that the centre gave a message, "" if it is none that could come back."""
    octets, _, _ = body.partition(b"\0")
    if not octets or len(octets) > _LONGEST_MESSAGE_ID or not octets.isascii():
        return ""
    text = octets.decode("ascii")
    return text if text.isprintable() and " " not in text else ""


def delivered_in(pdu: Pdu) -> smpp34.DeliverSm | None:
    """Return the `deliver_sm` in a unit; None if it cannot be read."""
    try:
        read = smpp34.decode(unit(pdu.command, pdu.sequence, status=pdu.status, body=pdu.body))
    except smpp34.SmppError:
        return None
    return read if isinstance(read, smpp34.DeliverSm) else None
