"""A reference operator over HTTP, on loopback, for messengers to be developed against.

Knows how the operator's side of the protocol looks from outside: CAMARA's APIs, an extension that
records codes, signed notices. It lives among the doubles because it is one: a real desk works in
it, but its subscribers are a file, the codes that it "sends" can be read, and subscriptions end
when a tester says so. Needs the extra `serve`.
"""

try:
    import starlette as _starlette
    import uvicorn as _uvicorn

    import abonent.wire as _wire
except ImportError:
    raise ModuleNotFoundError("a reference operator needs: pip install 'abonent[serve]'") from None

from abonent.simulation.reference.app import app_of
from abonent.simulation.reference.clients import Client, public_keys, read_clients, read_keys
from abonent.simulation.reference.faults import Fault, Faults, What, read_faults
from abonent.simulation.reference.inboxes import inbox_app
from abonent.simulation.reference.operator import ReferenceOperator, Setup
from abonent.simulation.reference.serving import Running, listening, serve, url_of
from abonent.simulation.reference.subscribers import Subscriber, SubscriberState, read_subscribers

del _starlette, _uvicorn, _wire

__all__ = [
    "Client",
    "Fault",
    "Faults",
    "ReferenceOperator",
    "Running",
    "Setup",
    "Subscriber",
    "SubscriberState",
    "What",
    "app_of",
    "inbox_app",
    "listening",
    "public_keys",
    "read_clients",
    "read_faults",
    "read_keys",
    "read_subscribers",
    "serve",
    "url_of",
]
