"""What goes wrong at a reference operator, on demand.

Knows places and faults, and a file of them. Refuses a fault that a place cannot have, or a name
that it does not know: a fault that is misspelt would never happen, and nobody would notice.
"""

from __future__ import annotations

import threading
import tomllib
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from abonent.errors import CallerError, InvalidValue

CALLS: Final = frozenset(
    {
        *("checkTenure", "checkNumberRecycling", "sendCode", "validateCode"),
        *("phoneNumberVerify", "recordCode", "withdrawCode"),
    }
)
"""The operations of the APIs, by their ids."""
EVERY: Final = "*"
"""Each of them."""
TOKEN, BACKCHANNEL, JWKS, BASE = "token", "backchannel", "jwks", "base"
NOTICES, ANSWERS = "notices", "answers"
_MOST: Final = 100


class FaultsFileError(CallerError):
    """A file of faults that cannot be read, or that asks for what is no fault."""

    code: ClassVar[str] = "OPERATOR_FAULTS_FILE"
    remedy: ClassVar[str] = "Give a TOML file with a table [[faults]] for each: at, what, and when."


class What(Enum):
    """What goes wrong."""

    UNAVAILABLE = "unavailable"
    """Nothing is done: 503. A notice does not get through; the base is out of reach."""
    TOO_MANY = "too_many"
    """Nothing is done: 429."""
    UNAUTHENTICATED = "unauthenticated"
    """Nothing is done: the token, or the client, does not count."""
    DENIED = "denied"
    """Nothing is done: 403."""
    FAILED = "failed"
    """Nothing is done: 500."""
    PENDING = "pending"
    """The subscriber has not been asked yet (CIBA)."""
    MALFORMED = "malformed"
    """It is done, and what is replied cannot be read."""
    LOST = "lost"
    """It is done, and the reply is 504; a notice gets through, and nobody hears that it did."""
    SLOW = "slow"
    """It is done, and takes so many seconds."""
    WRONG_SIGNATURE = "wrong_signature"
    """A notice is signed by a key that nobody knows."""
    TWICE = "twice"
    """A notice gets through two times."""


_REPLIED: Final = frozenset(
    {
        *(What.UNAVAILABLE, What.TOO_MANY, What.UNAUTHENTICATED, What.DENIED, What.FAILED),
        *(What.MALFORMED, What.LOST, What.SLOW),
    }
)
_CARRIED: Final = frozenset(
    {What.UNAVAILABLE, What.LOST, What.SLOW, What.WRONG_SIGNATURE, What.TWICE}
)
PLACES: Final[dict[str, frozenset[What]]] = {
    **dict.fromkeys(sorted(CALLS), _REPLIED),
    EVERY: _REPLIED,
    TOKEN: _REPLIED - {What.DENIED} | {What.PENDING},
    BACKCHANNEL: _REPLIED - {What.DENIED},
    JWKS: _REPLIED - {What.UNAUTHENTICATED, What.DENIED},
    BASE: frozenset({What.UNAVAILABLE, What.SLOW}),
    NOTICES: _CARRIED,
    ANSWERS: _CARRIED,
}
"""Where something can go wrong, and what."""


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Something that goes wrong at a place: always, so many times, or in part of the cases.

    `seconds` is how long SLOW takes, or what TOO_MANY and UNAVAILABLE say in Retry-After.
    """

    at: str
    what: What
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Meta(gt=0, le=60)] | UnsetType = UNSET


def check_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return faults that can happen.

    Raises:
        InvalidValue: there is no such place, or it cannot go wrong in that way; or too many.
    """
    found = tuple(faults)
    if len(found) > _MOST:
        raise InvalidValue(f"there are at most {_MOST} faults")
    for each in found:
        if each.at not in PLACES:
            raise InvalidValue(f"faults are at one of {', '.join(PLACES)}")
        if each.what not in PLACES[each.at]:
            names = ", ".join(sorted(what.value for what in PLACES[each.at]))
            raise InvalidValue(f"at {each.at} can happen: {names}")
    return found


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    faults: list[Fault] = []


def read_faults(path: Path) -> tuple[Fault, ...]:
    """Read a TOML file of faults.

    Raises:
        FaultsFileError: it cannot be read, or asks for what is no fault.
    """
    try:
        given = msgspec.convert(tomllib.loads(path.read_text("utf-8")), type=_File)
        return check_faults(given.faults)
    except OSError as error:
        raise FaultsFileError(f"{path.name} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidValue) as error:
        # What these say names a place in the file, or what there is, and no more.
        raise FaultsFileError(f"{path.name}: {error.args[0]}") from None
    except ValueError:
        raise FaultsFileError(f"{path.name} is not UTF-8") from None


class Faults:
    """The faults that are asked for now. They are drawn, so a seed makes them repeatable."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self._random = Random(seed)
        self._mutex = threading.Lock()
        self._faults: list[Fault] = []
        self._left: list[int | None] = []
        self.met: Counter[str] = Counter()
        self.set(faults)

    def set(self, faults: Iterable[Fault]) -> None:
        """Ask for these in place of all others.

        Raises:
            InvalidValue: see `check_faults`.
        """
        found = check_faults(faults)
        with self._mutex:
            self._faults = list(found)
            self._left = [None if isinstance(f.times, UnsetType) else f.times for f in found]

    def now(self) -> list[Fault]:
        """Return those that may still happen."""
        with self._mutex:
            pairs = zip(self._faults, self._left, strict=True)
            return [
                each if left is None else msgspec.structs.replace(each, times=left)
                for each, left in pairs
                if left != 0
            ]

    def meet(self, place: str) -> Fault | None:
        """Return what goes wrong at a place this time, if anything: the first that does."""
        with self._mutex:
            for at, fault in enumerate(self._faults):
                left = self._left[at]
                if not _is_at(fault, place) or left == 0:
                    continue
                if fault.share < 1 and self._random.random() >= fault.share:
                    continue
                if left is not None:
                    self._left[at] = left - 1
                self.met[f"{place} {fault.what.value}"] += 1
                return fault
        return None


def _is_at(fault: Fault, place: str) -> bool:
    return fault.at == place or (fault.at == EVERY and place in CALLS)
