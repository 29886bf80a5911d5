"""What may follow what at an operator's desk: one literal table, a row for every state.

Knows, for each state and event, the states that may result. Refuses to know why (decide) and
with which contents (evolve). The diagram and the reference page are drawn from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from abonent.operator.core.events import (
    AnswerFound,
    AnswerGiven,
    AnswerLapsed,
    AnswerPromised,
    AttemptFailed,
    AttemptStarted,
    CodeRecorded,
    Event,
    HoldingTold,
    LineCleared,
    NoticeAcknowledged,
    NoticeOverdue,
    NoticeRequired,
    QuestionCleared,
    QuestionReceived,
    RecordListed,
    RecordUnlisted,
    RecordWithdrawn,
    SubscriptionEnded,
)
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Blank,
    Lapsed,
    Line,
    NoticeOwed,
    Recorded,
    State,
    Told,
    Withdrawn,
)

TRANSITIONS: Final[Mapping[type[State], Mapping[type[Event], tuple[type[State], ...]]]] = {
    Blank: {
        QuestionReceived: (Asked,),
        CodeRecorded: (Recorded,),
        RecordWithdrawn: (Withdrawn,),
        HoldingTold: (Line,),
        SubscriptionEnded: (Line,),
        RecordListed: (Line,),
    },
    Asked: {
        AnswerPromised: (Asked,),
        AttemptStarted: (Asked,),
        AttemptFailed: (Asked,),
        AnswerFound: (AnswerOwed,),
        AnswerGiven: (Answered,),
        AnswerLapsed: (Lapsed,),
    },
    AnswerOwed: {
        AttemptStarted: (AnswerOwed,),
        AttemptFailed: (AnswerOwed,),
        AnswerGiven: (Answered,),
        AnswerLapsed: (Lapsed,),
    },
    Answered: {
        QuestionCleared: (Blank,),
    },
    Lapsed: {
        QuestionCleared: (Blank,),
    },
    Recorded: {
        NoticeRequired: (NoticeOwed,),
        RecordWithdrawn: (Withdrawn,),
    },
    NoticeOwed: {
        AttemptStarted: (NoticeOwed,),
        AttemptFailed: (NoticeOwed,),
        NoticeOverdue: (NoticeOwed,),
        NoticeAcknowledged: (Told,),
        RecordWithdrawn: (Withdrawn,),
    },
    Told: {},
    Withdrawn: {},
    Line: {
        HoldingTold: (Line,),
        SubscriptionEnded: (Line,),
        RecordListed: (Line,),
        RecordUnlisted: (Line, Blank),
        LineCleared: (Line, Blank),
    },
}
