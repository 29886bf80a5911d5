"""The same work done with other libraries, by the same hands and in their favour where in doubt.

Each peer identifies in three durable steps: claimed; possession proven and operator asked; passed.
Each step reads the state from the store, changes it, writes one journal entry, and commits. What
all of them do is here: the number is parsed by `phonenumbers`, the code derived by HMAC. What all
of them leave out, and ours does: finding who else holds a number, budgets of codes and failures,
deadlines, debts to operators that are tried again, identification codes, rules with a date.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import phonenumbers

THREADS = (1, 8, 64)
"""How many callers a peer is given; it is judged by what suits it best."""

_KEY = os.urandom(32)


def parsed(spelling: str) -> str:
    """Return a number in its one spelling, E.164."""
    number = phonenumbers.parse(spelling, None)
    if not phonenumbers.is_valid_number(number):
        raise ValueError("not a number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def code_for(user: str, number: str) -> str:
    """Return the six digits that are sent to a number."""
    digest = hmac.digest(_KEY, f"{user} {number}".encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"
