"""What a compliance officer needs: the register, proceedings, and a calendar of what is due.

Knows duties, deadlines and figures. Refuses to identify anybody, and to file anything anywhere.
"""

from abonent.compliance.calendar import calendar_of
from abonent.compliance.due import DueItem, DueKind
from abonent.compliance.register import Register
from abonent.compliance.register_file import read_register

__all__ = ["DueItem", "DueKind", "Register", "calendar_of", "read_register"]
