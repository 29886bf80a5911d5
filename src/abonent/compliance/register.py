"""A messenger's entry in the register and its proceedings, as they stand after some facts.

Knows which proceeding a fact is about, and that a last day passes by itself. Refuses to know where
facts come from. Several proceedings may run at once; each is a record of its own.
"""

from __future__ import annotations

from datetime import date

import attrs
from attrs import field, frozen

from abonent.compliance.proceeding.events import EnteredInRegister, Event, StruckFromRegister
from abonent.compliance.proceeding.evolution import evolve, lapse
from abonent.compliance.proceeding.states import Blank, Entry, Proceeding, Registered, State, Struck
from abonent.core.parties import check_id
from abonent.errors import ProceedingRefused


@frozen(kw_only=True)
class Register:
    """What an officer's facts come to. `cases` stand in the order in which they began.

    `last` is the day of the last fact: the next one is not dated before it.
    """

    messenger: str = field(validator=check_id)
    entry: Entry = field(factory=Blank)
    cases: tuple[Proceeding, ...] = ()
    last: date | None = None

    def case(self, case: str) -> Proceeding | None:
        """Return the proceeding with this id."""
        return next((each for each in self.cases if each.matter.case == case), None)

    def after(self, event: Event) -> Register:
        """Return the register after one more fact; a last day that lies before it has passed.

        Raises:
            ProceedingRefused: the fact cannot follow what went before; nothing changed.
        """
        if self.last is not None and event.on < self.last:
            raise ProceedingRefused(
                f"{type(event).__name__} is dated before what stands before it",
                state=type(self.entry).__name__,
                event=type(event).__name__,
            )
        if isinstance(event, EnteredInRegister | StruckFromRegister):
            return self._with(evolve(self.entry, event), event.on)
        before = self.case(event.case)
        state: State = Blank() if before is None else _settled(before, event.on)
        return self._with(evolve(state, event), event.on)

    def on(self, day: date) -> Register:
        """Return the register as it stands on a day, on which no further fact is known."""
        return attrs.evolve(self, cases=tuple(_settled(each, day) for each in self.cases))

    def _with(self, state: State, last: date) -> Register:
        if isinstance(state, Blank | Registered | Struck):
            return attrs.evolve(self, entry=state, last=last)
        known = {each.matter.case: each for each in self.cases}
        known[state.matter.case] = state
        return attrs.evolve(self, cases=tuple(known.values()), last=last)


def _settled(state: Proceeding, day: date) -> Proceeding:
    """Let a last day pass."""
    event = lapse(state, day)
    after = state if event is None else evolve(state, event)
    return state if isinstance(after, Blank | Registered | Struck) else after
