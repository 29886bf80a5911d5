"""For the tests of applications that use abonent: an identifier with simulated surroundings.

Knows where its parts are. Refuses to import them before they are used: a plugin of pytest is
loaded in every run, also where nobody needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abonent.testing.rehearsal import Rehearsal, identifier

__all__ = ["Rehearsal", "identifier"]

_HOMES = {
    "Rehearsal": "abonent.testing.rehearsal",
    "identifier": "abonent.testing.rehearsal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
