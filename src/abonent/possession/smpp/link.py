"""The settings of one link to a message centre.

Knows what a provider's sheet says: address, names, limits, and what its own statuses mean. Refuses
to know messages. The password is in no repr.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from ssl import SSLContext
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, frozen

from abonent.errors import InvalidValue

_LONGEST_VALID: Final = timedelta(hours=24)


class Meaning(Enum):
    """What a status says of a message that was not taken."""

    TAKEN = "taken"
    TRY_LATER = "try_later"
    """The centre cannot take it now."""
    SLOW_DOWN = "slow_down"
    """The centre takes no more from us for a while."""
    NUMBER_REFUSED = "number_refused"
    """The centre does not serve this number. It says nothing of our setup."""
    SETUP = "setup"
    """The centre refuses our name, password or request: somebody has to look."""


def _text(
    least: int, most: int, *, spaces: bool = False
) -> Callable[[object, Attribute[Any], Any], None]:
    pattern = re.compile(rf"[\x{20 if spaces else 21}-\x7e]{{{least},{most}}}")

    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        # The value is not told: it may be the password.
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidValue(
                f"SmppLink.{attribute.name} is {least} to {most} printable ASCII characters"
            )

    return check


def _within(least: Any, most: Any) -> Callable[[object, Attribute[Any], Any], None]:
    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        if not least <= value <= most:
            raise InvalidValue(f"SmppLink.{attribute.name} is from {least} to {most}")

    return check


def _vendor_tag(_: object, __: object, value: int | None) -> None:
    if value is not None and not 0x1400 <= value <= 0x3FFF:
        raise InvalidValue("SmppLink.id_tag is from 0x1400 to 0x3FFF (SMPP 3.4, 5.3.2)")


def _read_only(statuses: Mapping[int, Meaning]) -> Mapping[int, Meaning]:
    return MappingProxyType(dict(statuses))


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@frozen(kw_only=True)
class SmppLink:
    """How to reach a message centre, and as whom. Text is printable ASCII.

    Raises:
        InvalidValue: a value is out of its range.
    """

    host: str = field(validator=_text(1, 253))
    port: int = field(default=2775, validator=_within(1, 65_535))
    system_id: str = field(validator=_text(1, 15))
    """Our name, at most 15 characters (SMPP 3.4, 5.2.1)."""
    password: str = field(default="", repr=False, validator=_text(0, 64))
    """At most 8 characters in the standard (5.2.2); some providers give longer ones."""
    system_type: str = field(default="", validator=_text(0, 12))
    tls: SSLContext | None = field(default=None, repr=False)
    """How the connection is encrypted, such as by `ssl.create_default_context()`. With None it is
    not, and password and codes are in clear on the line; that is for a loopback or a tunnel."""
    source: str = field(validator=_text(1, 20, spaces=True))
    """From whom a message comes, as agreed with the provider. It alone may have spaces."""
    source_ton: int = field(default=5, validator=_within(0, 6))
    """Type of number of the source (5.2.5), 5 alphanumeric, 1 international, 3 network specific."""
    source_npi: int = field(default=0, validator=_within(0, 18))
    """Numbering plan of the source (5.2.6), 0 for a name, 1 for a number in E.164."""
    service_type: str = field(default="", validator=_text(0, 5))
    receipts: bool = True
    """Ask for a delivery receipt of each message, and bind so that they can come."""
    valid: timedelta = field(
        default=timedelta(minutes=10), validator=_within(timedelta(minutes=1), _LONGEST_VALID)
    )
    """How long the centre tries to deliver, 1 minute to a day. Give it `Policy.code_valid`."""
    window: int = field(default=10, validator=_within(1, 1000))
    """Messages that may wait for the centre's answer at once (2.9.1)."""
    timeout: timedelta = field(
        default=timedelta(seconds=10),
        validator=_within(_seconds(0.05), _seconds(25)),
    )
    """How long one call may take, connecting included; shorter than `Policy.lease`."""
    enquire_every: timedelta = field(
        default=timedelta(seconds=30), validator=_within(_seconds(0.05), _seconds(3600))
    )
    """After how long without a word from the centre it is asked whether it is there."""
    retry_longest: timedelta = field(
        default=timedelta(seconds=60), validator=_within(_seconds(0.05), _seconds(3600))
    )
    """The longest wait between two tries to connect; it begins at once and doubles."""
    id_tag: int | None = field(default=None, validator=_vendor_tag)
    """The vendor's optional parameter in which this provider takes the client's id of a message, to
    know a repeat by it; None if it has none."""
    hex_ids: bool = False
    """The centre's answers name a message in hexadecimal, and its receipts in decimal."""
    replace: bool = False
    """Have a repeat replace the first, if that still waits at the centre (5.2.18). For a provider
    that can, and a `service_type` that nothing else is sent under."""
    meanings: Mapping[int, Meaning] = field(
        factory=dict[int, Meaning], converter=_read_only, repr=False
    )
    """What statuses of this provider mean, by number, also in place of what is built in."""
    remembered: int = field(default=100_000, validator=_within(1, 10_000_000))
    """Messages of which it is remembered that they were sent."""
