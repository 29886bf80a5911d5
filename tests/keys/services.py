"""A key service in this process: what the contract asks of one, and told to fail as any other."""

import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from abonent.errors import Misconfigured, Unavailable
from abonent.simulation import Reply


class LocalService:
    """Wraps under its newest key: version, nonce, ciphertext; the id is associated data.

    `asked` counts what it was asked to wrap and unwrap.
    """

    def __init__(self) -> None:
        self._keys = [AESGCM(AESGCM.generate_key(256))]
        self._reply = Reply.HELD
        self.asked: list[str] = []
        self.last_wrapped = b""

    def show(self, reply: Reply) -> None:
        self._reply = reply

    def turn(self) -> None:
        self._keys.append(AESGCM(AESGCM.generate_key(256)))

    def wrap(self, key_id: str, secret: bytes) -> bytes:
        self._heard(f"wrap {key_id}")
        nonce = os.urandom(12)
        version = bytes((len(self._keys) - 1,))
        text = self._keys[-1].encrypt(nonce, secret, self._place(key_id))
        self.last_wrapped = version + nonce + text
        return self.last_wrapped

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        self._heard(f"unwrap {key_id}")
        try:
            key = self._keys[wrapped[0]]
            return key.decrypt(wrapped[1:13], wrapped[13:], self._place(key_id))
        except (IndexError, ValueError, InvalidTag):
            raise Misconfigured("the service did not wrap this") from None

    def wrapped_by(self, key_id: str, wrapped: bytes) -> str:
        return f"local/{wrapped[0]}"

    def _place(self, key_id: str) -> bytes:
        return key_id.encode()

    def _heard(self, what: str) -> None:
        self.asked.append(what)
        if self._reply in {Reply.UNAVAILABLE, Reply.SLOW, Reply.HANGS}:
            raise Unavailable("no answer")
        if self._reply in {Reply.MISCONFIGURED, Reply.MALFORMED}:
            raise Misconfigured("refused")


class Gives(LocalService):
    """It gives what it is told to, in place of what it should; an error is raised."""

    def __init__(self, **told: Any) -> None:
        super().__init__()
        self._told = told

    def wrap(self, key_id: str, secret: bytes) -> Any:
        return self._instead("wrap", secret, super().wrap(key_id, secret))

    def unwrap(self, key_id: str, wrapped: bytes) -> Any:
        return self._instead("unwrap", wrapped, super().unwrap(key_id, wrapped))

    def wrapped_by(self, key_id: str, wrapped: bytes) -> Any:
        return self._instead("wrapped_by", wrapped, super().wrapped_by(key_id, wrapped))

    def _instead(self, call: str, given: bytes, right: Any) -> Any:
        if call not in self._told:
            return right
        told = self._told[call]
        found = told(given) if callable(told) else told
        if isinstance(found, BaseException):
            raise found
        return found
