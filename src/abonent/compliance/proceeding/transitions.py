"""What may follow what in the register and in a proceeding: one literal table.

Knows, for each state and event, the states that may result. Refuses to know days and contents
(evolve). The diagram and the reference page are drawn from this table. One way leads to a
restriction: by an order that was not met.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from abonent.compliance.proceeding.events import (
    AccessRestricted,
    CaseClosed,
    EnteredInRegister,
    Event,
    FineImposed,
    NoticeDrawnUp,
    OrderLapsed,
    RemedyOrdered,
    RestrictionLifted,
    StruckFromRegister,
    ViolationRemedied,
)
from abonent.compliance.proceeding.states import (
    Blank,
    Closed,
    Lifted,
    NoticeDrawn,
    Ordered,
    OrderUnmet,
    Registered,
    Remedied,
    Restricted,
    State,
    Struck,
)

TRANSITIONS: Final[Mapping[type[State], Mapping[type[Event], tuple[type[State], ...]]]] = {
    Blank: {
        EnteredInRegister: (Registered,),
        NoticeDrawnUp: (NoticeDrawn,),
    },
    Registered: {
        StruckFromRegister: (Struck,),
    },
    Struck: {
        EnteredInRegister: (Registered,),
    },
    NoticeDrawn: {
        FineImposed: (NoticeDrawn,),
        RemedyOrdered: (Ordered,),
        CaseClosed: (Closed,),
    },
    Ordered: {
        FineImposed: (Ordered,),
        ViolationRemedied: (Remedied,),
        OrderLapsed: (OrderUnmet,),
        CaseClosed: (Closed,),
    },
    OrderUnmet: {
        FineImposed: (OrderUnmet,),
        ViolationRemedied: (Remedied,),
        AccessRestricted: (Restricted,),
        CaseClosed: (Closed,),
    },
    Restricted: {
        FineImposed: (Restricted,),
        ViolationRemedied: (Restricted,),
        RestrictionLifted: (Lifted,),
    },
    Lifted: {
        FineImposed: (Lifted,),
        CaseClosed: (Closed,),
    },
    Remedied: {
        FineImposed: (Remedied,),
        CaseClosed: (Closed,),
    },
    Closed: {},
}
