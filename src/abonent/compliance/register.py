"""A messenger's entry in the register, and its proceedings, as they stand at an instant."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Register:
    """What the officer's facts come to."""
