"""A request, a reply, and the one method between them.

Knows what may leave: an address with TLS, or on this machine by name, and headers of one line.
Refuses to know an HTTP client. Reprs show neither addresses' queries, nor headers, nor bodies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from abonent.errors import InvalidValue

LONGEST_WAIT: Final = 300.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)


def check_url(url: str) -> str:
    """Return an address to which requests may go.

    TLS is required (`https`), except where the host is a loopback address in figures, such as
    `http://127.0.0.1:8000` or `http://[::1]`: a name may lead anywhere. No user, no query and no
    fragment: what stands in an address stands in logs.

    Raises:
        InvalidValue: anything else. The text says what is wrong, and does not quote the address.
    """
    if not _VISIBLE.fullmatch(url):
        raise InvalidValue("an address is visible ASCII characters, without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidValue("an address whose host or port cannot be read") from None
    if not host or port == 0:
        raise InvalidValue("an address names a host, and a port from 1 to 65535 if any")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise InvalidValue("an address has no user, no query and no fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return url
    raise InvalidValue("an address begins with https://, or with http:// and a loopback address")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_url(_: object, attribute: Attribute[Any], value: str) -> None:
    check_url(value)


def _is_method(_: object, attribute: Attribute[Any], value: str) -> None:
    if not _TOKEN.fullmatch(value):
        raise InvalidValue("a method is a token, such as POST")


def _is_wait(_: object, attribute: Attribute[Any], value: float) -> None:
    if not 0 < value <= LONGEST_WAIT:
        raise InvalidValue(f"a request waits for up to {LONGEST_WAIT:g} seconds, and not for none")


def _lines(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidValue("a header is a token and one line of ASCII")
    return MappingProxyType({name.lower(): value for name, value in headers.items()})


def _none() -> dict[str, str]:
    return {}


@frozen(kw_only=True)
class Request:
    """What is sent. `timeout` is in seconds and bounds all of it, from connecting to the last byte.

    Names of headers are kept in lower case; host, length and encoding are the transport's own.

    Raises:
        InvalidValue: an address to which nothing goes (see `check_url`), a header that is not one
            line, a timeout that is not in (0, 300].
    """

    url: str = field(validator=_is_url)
    method: str = field(default="POST", validator=_is_method)
    headers: Mapping[str, str] = field(factory=_none, converter=_lines, repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout: float = field(default=10.0, validator=_is_wait)


@frozen(kw_only=True)
class Response:
    """What came back. `whole` is false if there was more of the body than is read of one.

    Names of headers are in lower case; a header that came several times is one, joined by commas.
    """

    status: int
    headers: Mapping[str, str] = field(factory=_none, converter=_lines, repr=False)
    body: bytes = field(default=b"", repr=False)
    whole: bool = True


class Transport(Protocol):
    """Sends a request, once. Safe for threads."""

    def send(self, request: Request) -> Response:
        """Send, and return the reply, whatever its status. A redirect is a reply like any other.

        Raises:
            Unavailable: no reply in time, no connection, or what came is not HTTP. The other side
                may have taken the request all the same.
            Misconfigured: the certificate of the other side is not accepted.
        """
        ...


class AsyncTransport(Protocol):
    """The same in one event loop."""

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        ...
