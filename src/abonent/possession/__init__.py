"""Ways to find out whether a user holds a number.

Knows possession checks and senders of codes. Refuses to know what an identification is.
"""

from abonent.possession.codes import AsyncOneTimeCodes, OneTimeCodes

__all__ = ["AsyncOneTimeCodes", "OneTimeCodes"]
