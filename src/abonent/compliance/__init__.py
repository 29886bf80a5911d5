"""What a compliance officer needs: the register, proceedings, a calendar, and a report of a period.

Knows duties, deadlines and figures. Refuses to identify anybody, and to file anything anywhere.
"""

from abonent.compliance.calendar import calendar_of
from abonent.compliance.due import DueItem, DueKind
from abonent.compliance.figures import (
    Answers,
    Case,
    Duty,
    Ended,
    Entries,
    Exposures,
    Notices,
    Reidentifications,
    Tally,
    Times,
)
from abonent.compliance.outlook import (
    AgreementEnd,
    FeedHeard,
    Outlook,
    Unwatched,
    UnwatchedUsers,
)
from abonent.compliance.period import instant_of
from abonent.compliance.reading import user_at
from abonent.compliance.register import Register
from abonent.compliance.register_file import read_register
from abonent.compliance.report import Limits, Report, report_of
from abonent.compliance.verdict import Lateness

__all__ = [
    "AgreementEnd",
    "Answers",
    "Case",
    "DueItem",
    "DueKind",
    "Duty",
    "Ended",
    "Entries",
    "Exposures",
    "FeedHeard",
    "Lateness",
    "Limits",
    "Notices",
    "Outlook",
    "Register",
    "Reidentifications",
    "Report",
    "Tally",
    "Times",
    "Unwatched",
    "UnwatchedUsers",
    "calendar_of",
    "instant_of",
    "read_register",
    "report_of",
    "user_at",
]
