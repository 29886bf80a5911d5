"""One way out over HTTP, for everything here that calls another side.

Knows the shape of a request and a reply, and to which addresses one may go. Refuses to know what
is asked, and of whom. The client that sends is in `abonent.transport.http`.
"""

from abonent.transport.messages import (
    AsyncTransport,
    Request,
    Response,
    Transport,
    check_url,
)

__all__ = ["AsyncTransport", "Request", "Response", "Transport", "check_url"]
