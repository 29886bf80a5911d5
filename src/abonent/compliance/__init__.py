"""What a compliance officer needs: a report of a period, from the journal.

Knows duties, deadlines and figures. Refuses to identify anybody, and to file anything anywhere.
"""

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
from abonent.compliance.report import Limits, Report, report_of
from abonent.compliance.verdict import Lateness

__all__ = [
    "AgreementEnd",
    "Answers",
    "Case",
    "Duty",
    "Ended",
    "Entries",
    "Exposures",
    "FeedHeard",
    "Lateness",
    "Limits",
    "Notices",
    "Outlook",
    "Reidentifications",
    "Report",
    "Tally",
    "Times",
    "Unwatched",
    "UnwatchedUsers",
    "instant_of",
    "report_of",
    "user_at",
]
