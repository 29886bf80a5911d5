"""The plain words of the search: what is held of a user, and what is asked.

Knows shapes. Refuses to know the core, and what follows from what. Instants are microseconds from
one of the search's choice; operators and numbers are capital letters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


# --- what is held ---------------------------------------------------------------------


class Code(NamedTuple):
    """A one-time code; `sending` is (tries, next try), None once it is sent."""

    issue: int
    key: str
    issued: int
    expires: int
    tries: int
    sending: tuple[int, int] | None
    opaque: bytes


class Proving(NamedTuple):
    number: str
    tag: bytes
    claim: str
    operator: str | None
    rules: str
    locale: str
    expires: int
    issued: int
    issued_at: int
    code: Code | None


class Awaiting(NamedTuple):
    number: str
    proven: int
    operator: str
    agreement: str | None
    query: str
    asked: int
    due: int
    asking: tuple[int, int] | None
    rerouted: bool
    rules: str
    opaque: bytes


class Held(NamedTuple):
    """An identification that stands."""

    number: str
    proven: int
    asked: int | None
    since: int
    operator: str | None
    agreement: str | None
    code: str
    basis: str
    rules: str


class Due(NamedTuple):
    """That what stands is to be made anew until `until`, inclusive."""

    cause: str
    happened: int | None
    noticed: int
    until: int


class End(NamedTuple):
    reason: str
    at: int
    due: int | None
    retry: int | None


class Debt(NamedTuple):
    kind: str
    operator: str
    code: str
    since: int
    tries: int
    next: int


class User(NamedTuple):
    """All of one user; `was` is "new", "known" or "forgotten"."""

    was: str = "new"
    attempt: Proving | Awaiting | None = None
    held: Held | None = None
    due: Due | None = None
    end: End | None = None
    debts: tuple[Debt, ...] = ()
    failures: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    sends: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        if isinstance(self.attempt, Proving):
            return "proving_possession"
        if self.attempt is not None:
            return "awaiting_answer"
        if self.held is not None:
            return "identified" if self.due is None else "reidentification_due"
        if self.end is not None:
            return "not_passed"
        return "forgotten" if self.was == "forgotten" else "unidentified"


class Figures(NamedTuple):
    """What messenger, rules and policy come to. Times in microseconds, counts a day."""

    foreign: bool = True
    asks_too: bool = False
    agreements: tuple[tuple[str, str, int, int | None], ...] = ()
    rules: tuple[tuple[str, int, int], ...] = ()
    named: str | None = None
    within: tuple[tuple[str, int, int], ...] = (("1801", 20 * MINUTE, 20 * MINUTE),)
    """By rule set: the time to answer, and the time to identify anew."""
    code_valid: int = 10 * MINUTE
    claim_valid: int = 24 * HOUR
    resend_after: int = MINUTE
    tries_per_code: int = 2
    failures_per_day: int = 3
    sends_per_user: int = 4
    sends_per_number: int = 5
    lease: int = 3 * HOUR
    retry_first: int = 5 * SECOND
    retry_longest: int = 5 * MINUTE
    debt_kept: int = 30 * DAY

    @property
    def asks(self) -> bool:
        return self.foreign or self.asks_too

    def rules_at(self, at: int) -> str | None:
        if self.named is not None:
            return self.named
        return next((name for name, starts, ends in self.rules if starts <= at < ends), None)

    def answer_within(self, rules: str) -> int:
        return next(answer for name, answer, _ in self.within if name == rules)

    def reidentify_within(self, basis: str, at: int) -> int:
        """Under the rule set in force, or that of the basis where none is."""
        rules = self.rules_at(at) or basis
        return next(anew for name, _, anew in self.within if name == rules)

    def agreement_with(self, operator: str, at: int) -> str | None:
        for name, other, starts, ends in self.agreements:
            if other == operator and starts <= at and (ends is None or at < ends):
                return name
        return None


# --- what is asked --------------------------------------------------------------------


class Tick(NamedTuple):
    """Time has passed; what was due `lag` ago is settled."""

    lag: int = 0


class Claim(NamedTuple):
    number: str = "X"
    operator: str | None = "M"
    tags: tuple[bytes, ...] = (b"X",)
    key: str = "k1"
    number_sends: tuple[int, ...] = ()
    unsendable: int | str | None = None
    """Until when no code may be sent to whomever; a text: until a person has looked."""


class Try(NamedTuple):
    """A proof is offered and charged; its verdict comes by `Judge`."""


class Judge(NamedTuple):
    """The verdict on a try that was charged at `tried`."""

    tried: int
    claim: str
    issue: int
    key: str
    right: bool
    rival: int | None = None


class Answer(NamedTuple):
    outcome: str
    operator: str = "M"
    query: str = "q1"
    serving: str | None = None
    rival: int | None = None


class Notice(NamedTuple):
    name: str
    operator: str
    kind: str
    number: str = "X"
    happened: int | None = None
    serving: str | None = None


class Sent(NamedTuple):
    claim: str
    issue: int


class Failed(NamedTuple):
    kind: str
    name: str


class Acknowledged(NamedTuple):
    kind: str
    operator: str
    code: str


class Displace(NamedTuple):
    number: str = "X"


class Disclose(NamedTuple):
    pass


class Declare(NamedTuple):
    number: str = "X"
    operator: str | None = None
    ago: int = 0
    taken: bool = False


class Forget(NamedTuple):
    pass


Ask = (
    Tick
    | Claim
    | Try
    | Judge
    | Answer
    | Notice
    | Sent
    | Failed
    | Acknowledged
    | Displace
    | Disclose
    | Declare
    | Forget
)

NEW_CLAIM, NEW_QUERY, NEW_CODE = "c9", "q9", "i9"
"""What is fresh where a command needs something fresh."""
SENT_OPAQUE, ANSWER_OPAQUE = b"sent", b"later"
PERFORMED = (Tick, Claim, Judge, Answer, Notice, Forget)
"""After these somebody stands by to perform what is owed."""


class Said(NamedTuple):
    """What a command must lead to: the user afterwards, what is told, and what is owed at once."""

    user: User
    told: tuple[tuple[Any, ...], ...] = ()
    owed: tuple[tuple[Any, ...], ...] = ()
    error: tuple[str, int | None] | None = None
