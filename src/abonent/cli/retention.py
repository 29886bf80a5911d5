"""`abonent data retain`: a policy from a file, and a walk through all users.

Knows the file, and how what was done is said. Refuses to know who may be dropped.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import frozen

from abonent.core.retention import RetentionPolicy, RetentionRule
from abonent.errors import InvalidValue
from abonent.identifier import Identifier


@frozen(kw_only=True)
class Walked:
    """What became of all users."""

    looked_at: int
    dropped: Mapping[str, int]
    failed: int
    dry_run: bool

    def lines(self) -> Iterator[str]:
        """Say it in words."""
        verb = "would be forgotten" if self.dry_run else "forgotten"
        for rule in RetentionRule:
            if count := self.dropped.get(rule.value):
                yield f"{rule.value}: {count} {verb}"
        yield f"{self.looked_at} records looked at, {sum(self.dropped.values())} {verb}"
        if self.failed:
            yield f"{self.failed} records could not be read, and were kept"

    def as_object(self) -> dict[str, Any]:
        """Say it as JSON has it."""
        return {
            "looked_at": self.looked_at,
            "dropped": dict(self.dropped),
            "failed": self.failed,
            "dry_run": self.dry_run,
        }


def read_policy(path: Path) -> RetentionPolicy:
    """Read a policy: a rule a line, with a number of days.

    Raises:
        InvalidValue: it cannot be read, names another rule, or a number that is none of days.
    """
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InvalidValue(f"the policy {path.name} cannot be read") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue(f"the policy {path.name} is no TOML: {error}") from None
    names = {each.value for each in RetentionRule}
    for name, days in told.items():
        if name not in names:
            raise InvalidValue(f"a policy names {', '.join(sorted(names))}, and not {name!r}")
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 36_525:
            raise InvalidValue(f"{name} is a whole number of days, 1 to 36525")
    if not told:
        raise InvalidValue(f"the policy {path.name} names no rule: it would drop nobody")
    return RetentionPolicy(**{name: timedelta(days=days) for name, days in told.items()})


def walked(identifier: Identifier, policy: RetentionPolicy, *, dry_run: bool) -> Walked:
    """Walk through all users, page by page."""
    dropped: Counter[str] = Counter()
    looked_at = failed = 0
    cursor: bytes | None = None
    while True:
        page = identifier.retain(policy, dry_run=dry_run, after=cursor)
        dropped.update(page.dropped)
        looked_at += page.looked_at
        failed += page.failed
        cursor = page.cursor
        if cursor is None:
            return Walked(
                looked_at=looked_at, dropped=dict(dropped), failed=failed, dry_run=dry_run
            )
