"""Ways to find out whether a user holds a number.

Knows possession checks, senders of codes and what they may spend. Refuses to know what an
identification is.
"""

from abonent.possession.budgets import SendBudget, SendBudgets
from abonent.possession.codes import AsyncOneTimeCodes, OneTimeCodes

__all__ = ["AsyncOneTimeCodes", "OneTimeCodes", "SendBudget", "SendBudgets"]
