"""How notices travel: CloudEvents, signatures, keys. Needs the extra `http`.

Knows the way of an operator's notice or late answer over HTTP, both ends of it, as plain function
calls. Refuses to know a web framework, and what a notice leads to.
"""

try:
    import http_message_signatures as _signatures
    import joserfc as _joserfc
except ImportError:
    raise ModuleNotFoundError("notices over HTTP need: pip install 'abonent[http]'") from None

from abonent.wire.carrier import AsyncSignedCarrier, SignedCarrier
from abonent.wire.events import (
    ANSWER_TYPE,
    CONTENT_TYPE,
    EVENT_TYPES,
    Event,
    decode_event,
    encode_event,
)
from abonent.wire.inbox import AsyncInbox, Inbox
from abonent.wire.jwks import FetchedJwks, JwksKeys, VerificationKeys
from abonent.wire.keys import FileSigningKeys, SigningKey, SigningKeys, SigningKeySource
from abonent.wire.refusals import HttpReply, Refusal

del _signatures, _joserfc

__all__ = [
    "ANSWER_TYPE",
    "CONTENT_TYPE",
    "EVENT_TYPES",
    "AsyncInbox",
    "AsyncSignedCarrier",
    "Event",
    "FetchedJwks",
    "FileSigningKeys",
    "HttpReply",
    "Inbox",
    "JwksKeys",
    "Refusal",
    "SignedCarrier",
    "SigningKey",
    "SigningKeySource",
    "SigningKeys",
    "VerificationKeys",
    "decode_event",
    "encode_event",
]
