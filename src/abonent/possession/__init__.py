"""Ways to find out whether a user holds a number.

Knows possession checks. Refuses to know what an identification is.
"""

from abonent.possession.budgets import SendBudget, SendBudgets
from abonent.possession.codes import OneTimeCodes

__all__ = ["OneTimeCodes", "SendBudget", "SendBudgets"]
