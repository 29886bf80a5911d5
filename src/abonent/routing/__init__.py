"""Which operator serves a number: the numbering plan, corrected by a list of ported numbers.

Knows the two file layouts and how to look a number up. Refuses to know a network: it answers from
the files it was given, and a plan is only a proposal, because numbers are ported.
"""

from abonent.routing.lines import RejectedLine
from abonent.routing.plan import NumberingPlan, NumberRange

__all__ = ["NumberRange", "NumberingPlan", "RejectedLine"]
