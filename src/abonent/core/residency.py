"""Where what identifies users may be kept.

Knows what a store declares and what a rule set demands. Refuses to know where anything really is:
that is its owner's word.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from abonent.core.parties import check_territory
from abonent.core.rules import Rules
from abonent.errors import ResidencyUnmet


@frozen(kw_only=True)
class Residency:
    """Where a store keeps its data. `keeps`: anything outlives the process, or leaves it."""

    keeps: bool
    territory: str | None = field(validator=check_territory)

    def check(self, rules: Rules) -> None:
        """Do nothing if this rule set may be followed with what is kept here.

        Raises:
            ResidencyUnmet: it demands a territory, and this is another, or none is declared.
        """
        demanded, clause = rules.kept_only_in.value, rules.kept_only_in.source
        if demanded is None or not self.keeps or self.territory == demanded:
            return
        declared = "no territory" if self.territory is None else self.territory
        raise ResidencyUnmet(
            f"rule set {rules.id} has identification data kept in {demanded} only ({clause}),"
            f" and the store declares {declared}",
            demanded=demanded,
            clause=clause,
            declared=self.territory,
        )


NOWHERE: Final = Residency(keeps=False, territory=None)
"""Of a store in memory: what it holds is gone with the process."""
