"""Delivery receipts, read strictly.

Knows what a centre says of a message that it took. Refuses to guess, and to read what a receipt
repeats of the message: that has the code in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final

from attrs import frozen

from abonent.possession.delivery import DeliveryState

USER_MESSAGE_REFERENCE: Final = 0x0204
RECEIPTED_MESSAGE_ID: Final = 0x001E
MESSAGE_PAYLOAD: Final = 0x0424
MESSAGE_STATE: Final = 0x0427

_KIND: Final = 0x3C
_RECEIPT: Final = 0x04
_SHOWN: Final = 400
"""Octets of a receipt's text that are looked at: the form of Appendix B takes about 120."""
_FLAGS: Final = re.ASCII | re.IGNORECASE | re.DOTALL
_FIELD: Final = re.compile(r"(?:^|(?<=\s))(id|stat):([\x21-\x7e]{1,64})(?=\s|$)", _FLAGS)
_REPEATED_TEXT: Final = re.compile(r"(?:^|\s)text:.*", _FLAGS)


class Ignored(Enum):
    """Why something that came as a receipt was not taken for one. The values are stable."""

    UNREADABLE = "unreadable"
    """It is no unit, or not in ASCII."""
    NOT_A_RECEIPT = "not_a_receipt"
    """A message of somebody to us, which we have no place for."""
    NO_STATE = "no_state"
    """It tells no state, or none that the standard knows."""
    NOT_FINAL = "not_final"
    """The message is still on its way."""
    CONTRADICTORY = "contradictory"
    """It tells two states, or names two messages."""
    UNKNOWN_MESSAGE = "unknown_message"
    """It names no message that we sent lately."""
    REPEATED = "repeated"
    """How the message ended was told before."""


_ON_ITS_WAY: Final = {1: "ENROUTE", 6: "ACCEPTD"}
_STATES: Final = {
    2: ("DELIVRD", DeliveryState.DELIVERED),
    3: ("EXPIRED", DeliveryState.EXPIRED),
    4: ("DELETED", DeliveryState.DELETED),
    5: ("UNDELIV", DeliveryState.UNDELIVERABLE),
    7: ("UNKNOWN", DeliveryState.UNKNOWN),
    8: ("REJECTD", DeliveryState.REJECTED),
}
"""By message_state (5.2.28), and by the word in a receipt's text (Appendix B)."""
_BY_NUMBER: Final[dict[int, DeliveryState | None]] = {
    **dict.fromkeys(_ON_ITS_WAY),
    **{number: state for number, (_, state) in _STATES.items()},
}
_BY_WORD: Final[dict[str, DeliveryState | None]] = {
    **dict.fromkeys(_ON_ITS_WAY.values()),
    **dict(_STATES.values()),
}


@frozen(kw_only=True)
class Receipt:
    """That a message has ended, and how.

    `named`: the ids of the message at the centre, as it may be called there. `reference`: our own
    of 16 bits, where the centre hands it back.
    """

    named: tuple[str, ...]
    reference: bytes | None
    state: DeliveryState


def read_receipt(
    esm_class: int, text: bytes, parameters: Iterable[tuple[int, bytes]]
) -> Receipt | Ignored:
    """Read what came as `deliver_sm`, or say why it is ignored (5.2.12, Appendix B)."""
    if esm_class & _KIND != _RECEIPT:
        return Ignored.NOT_A_RECEIPT
    given = list(parameters)
    octets = (text or next((value for tag, value in given if tag == MESSAGE_PAYLOAD), b""))[:_SHOWN]
    if not octets.isascii():
        return Ignored.UNREADABLE
    shown = _REPEATED_TEXT.sub("", octets.decode("ascii"))
    fields = [(name.lower(), value) for name, value in _FIELD.findall(shown)]
    state = _state(
        [value.upper() for name, value in fields if name == "stat"],
        [value for tag, value in given if tag == MESSAGE_STATE],
    )
    if not isinstance(state, DeliveryState):
        return state
    in_text = {value for name, value in fields if name == "id"}
    in_parameter = {_c_string(value) for tag, value in given if tag == RECEIPTED_MESSAGE_ID}
    references = {value for tag, value in given if tag == USER_MESSAGE_REFERENCE}
    if any(len(each) > 1 for each in (in_text, in_parameter, references)):
        return Ignored.CONTRADICTORY
    # The parameter first: it is what the standard defines, the text is what vendors do.
    return Receipt(
        named=tuple(each for each in (*in_parameter, *in_text) if each),
        reference=next(iter(references), None),
        state=state,
    )


def _state(words: list[str], numbers: list[bytes]) -> DeliveryState | Ignored:
    if any(each not in _BY_WORD for each in words):
        return Ignored.NO_STATE
    if any(len(each) != 1 or each[0] not in _BY_NUMBER for each in numbers):
        return Ignored.NO_STATE
    told = {_BY_WORD[each] for each in words} | {_BY_NUMBER[each[0]] for each in numbers}
    if not told:
        return Ignored.NO_STATE
    if len(told) > 1:
        return Ignored.CONTRADICTORY
    return told.pop() or Ignored.NOT_FINAL


def _c_string(value: bytes) -> str:
    octets = value.removesuffix(b"\0")
    return octets.decode("ascii") if octets.isascii() else ""
