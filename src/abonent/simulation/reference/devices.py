"""What users' devices get from a reference operator: codes by message, and proofs by network.

Knows how long each of them counts and that it counts once. Refuses to send anything: a code that
would be sent is read by a tester (`control.py`). All of it is in memory, and gone with the process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from attrs import define, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.ports import Clock
from abonent.simulation.reference.refusals import OAuthRefusal, Refusal

CODE_LIFE: Final = timedelta(minutes=10)
TRIES: Final = 5
"""Tries that one code takes."""
MOST_CODES: Final = 5
"""Codes to one number at once, whoever asks for them."""
_PROOF_LIFE: Final = timedelta(minutes=5)
_MOST: Final = 10_000


@define(repr=False)
class _Sent:
    messenger: str
    number: SubscriberNumber
    code: str
    until: datetime
    tries: int = 0
    used: bool = False


class Phones:
    """The codes that are under way to phones, or there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: dict[str, _Sent] = {}

    def send(self, messenger: str, number: SubscriberNumber) -> str:
        """Send a code, and return the name of the attempt.

        Raises:
            CallRefused: the number has had its codes for now.
        """
        self._clear()
        if len(self.read(number)) >= MOST_CODES or len(self._sent) >= _MOST:
            raise Refusal.TOO_MANY_CODES.error()
        attempt = str(uuid4())
        code = f"{secrets.randbelow(10**6):06d}"
        self._sent[attempt] = _Sent(messenger, number, code, self._clock.now() + CODE_LIFE)
        return attempt

    def read(self, number: SubscriberNumber) -> list[str]:
        """Return the codes that a phone has and that still count, the newest last."""
        now = self._clock.now()
        return [
            each.code
            for each in self._sent.values()
            if each.number == number and now <= each.until and not each.used
        ]

    def check(self, messenger: str, attempt: str, code: str) -> None:
        """Compare a code; a try is counted before it is judged, and a right one counts once.

        Raises:
            CallRefused: there is no such attempt, or the code is not the one, or not any more.
        """
        sent = self._sent.get(attempt)
        if sent is None or sent.messenger != messenger:
            raise Refusal.NOT_HERE.error()
        if self._clock.now() > sent.until:
            raise Refusal.CODE_EXPIRED.error()
        if sent.used or sent.tries >= TRIES:
            raise Refusal.CODE_SPENT.error()
        sent.tries += 1
        if not hmac.compare_digest(sent.code.encode(), code.encode()):
            raise Refusal.CODE_WRONG.error()
        sent.used = True

    def _clear(self) -> None:
        # One that has run out is kept for as long again, so that it is told from a made-up one.
        now = self._clock.now()
        self._sent = {k: v for k, v in self._sent.items() if now <= v.until + CODE_LIFE}


@frozen(repr=False)
class _Proof:
    number: SubscriberNumber
    until: datetime
    challenge: str = ""
    redirect: str = ""


class Network:
    """What the operator's network gives to the devices in it: proofs of which number theirs is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codes: dict[str, _Proof] = {}
        self._tokens: dict[str, _Proof] = {}
        self._mutex = threading.Lock()

    def authorize(self, number: SubscriberNumber, challenge: str, redirect: str) -> str:
        """Give a device an authorization code (RFC 7636: with the challenge it came with)."""
        proof = _Proof(number, self._clock.now() + _PROOF_LIFE, challenge, redirect)
        with self._mutex:
            return _added(self._codes, proof)

    def give_token(self, number: SubscriberNumber) -> str:
        """Give a device a token from its SIM (GSMA TS.43)."""
        with self._mutex:
            return _added(self._tokens, _Proof(number, self._clock.now() + _PROOF_LIFE))

    def number_of_code(self, code: str, verifier: str, redirect: str) -> SubscriberNumber:
        """Return whose device an authorization code was given to; it counts once.

        Raises:
            CallRefused: it is none, or it was given to somebody else's flow.
        """
        proof = self._codes.pop(code, None)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            proof is None
            or self._clock.now() > proof.until
            or not hmac.compare_digest(challenge.encode(), proof.challenge.encode())
            or redirect != proof.redirect
        ):
            raise OAuthRefusal.GRANT.error()
        return proof.number

    def number_of_token(self, token: str) -> SubscriberNumber:
        """Return whose SIM a token is from; it counts once.

        Raises:
            CallRefused: it is none.
        """
        proof = self._tokens.pop(token, None)
        if proof is None or self._clock.now() > proof.until:
            raise OAuthRefusal.GRANT.error()
        return proof.number


def _added(proofs: dict[str, _Proof], proof: _Proof) -> str:
    while len(proofs) >= _MOST:
        proofs.pop(next(iter(proofs)))
    value = secrets.token_urlsafe(24)
    proofs[value] = proof
    return value
