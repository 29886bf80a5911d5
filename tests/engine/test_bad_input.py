"""Bad input to the public API: refused by branch and code, with the blame, and nothing changed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from abonent import (
    DRAFT_2017,
    Agreement,
    Consent,
    LateAnswer,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCode,
    Operator,
    Outcome,
    Policy,
    SqliteStorage,
    Status,
    SubscriberNumber,
    rules_in_force,
)
from abonent import errors as e
from abonent.errors import AbonentError, Fault
from abonent.ports import Unrouted
from abonent.simulation import Reply, SimulatedClock, SimulatedOperator, SimulatedRouter
from tests.properties.parts import HOUR, N1, N2, START, M, N, World, agreement

NAIVE = datetime(2026, 6, 1, 9)


def refused(
    call: Callable[[], object], branch: type[AbonentError], code: str, fault: Fault
) -> AbonentError:
    """Call, and look at how it is refused: its class, code, fault and text."""
    with pytest.raises(AbonentError) as raised:
        call()
    error = raised.value
    assert type(error) is branch
    assert (error.code, error.fault) == (code, fault)
    assert str(error).startswith(f"[{code}] ")
    assert error.remedy
    return error


# --- values ----------------------------------------------------------------------------

VALUES: dict[str, tuple[Callable[[], object], type[AbonentError], str]] = {
    "naive start": (lambda: agreement(M, starts=NAIVE), e.NaiveInstant, "NAIVE_INSTANT"),
    "naive end": (lambda: agreement(M, ends=NAIVE), e.NaiveInstant, "NAIVE_INSTANT"),
    "ends as it begins": (
        lambda: agreement(M, starts=START, ends=START),
        e.InvalidAgreement,
        "INVALID_AGREEMENT",
    ),
    "inverted": (
        lambda: agreement(M, starts=START, ends=START - HOUR),
        e.InvalidAgreement,
        "INVALID_AGREEMENT",
    ),
    "bad agreement id": (lambda: agreement(M, name="A 1"), e.InvalidValue, "INVALID_VALUE"),
    "empty operator": (lambda: agreement(""), e.InvalidValue, "INVALID_VALUE"),
    "bad messenger id": (
        lambda: Messenger(id="Telegram", kind=MessengerKind.FOREIGN),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "messenger with a NUL": (
        lambda: Messenger(id="a\0b", kind=MessengerKind.FOREIGN),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "messenger of a kind by text": (
        lambda: Messenger(id="m", kind="foreign"),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "operator id too long": (lambda: Operator(id="x" * 65), e.InvalidValue, "INVALID_VALUE"),
    "operator id ends in a dot": (lambda: Operator(id="mts."), e.InvalidValue, "INVALID_VALUE"),
    "naive happening": (
        lambda: Notice(id="n", operator=M, kind=NoticeKind.PORTED, number=N1, happened_at=NAIVE),
        e.NaiveInstant,
        "NAIVE_INSTANT",
    ),
    "notice of a kind by text": (
        lambda: Notice(id="n", operator=M, kind="ported", number=N1),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "outcome by text": (
        lambda: LateAnswer(query_id="q", operator=M, outcome="held"),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "naive consent": (
        lambda: Consent(user_id="a", recipient="court", purpose="case", given_at=NAIVE),
        e.NaiveInstant,
        "NAIVE_INSTANT",
    ),
    "naive end of consent": (
        lambda: Consent(user_id="a", recipient="c", purpose="p", given_at=START, until=NAIVE),
        e.NaiveInstant,
        "NAIVE_INSTANT",
    ),
    "bad recipient": (
        lambda: Consent(user_id="a", recipient="The Court", purpose="p", given_at=START),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "naive clock": (lambda: SimulatedClock(NAIVE), e.NaiveInstant, "NAIVE_INSTANT"),
    "rules on a naive day": (lambda: rules_in_force(NAIVE), e.NaiveInstant, "NAIVE_INSTANT"),
    "number not in E.164": (
        lambda: SubscriberNumber("89161234567"),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "number in other digits": (
        lambda: SubscriberNumber("+٧٩١٦١٢٣٤٥٦٧"),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "code too short for NIST": (
        lambda: Policy(code_length=4),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "code too long": (lambda: Policy(code_length=11), e.InvalidValue, "INVALID_VALUE"),
    "code valid too long": (
        lambda: Policy(code_valid=timedelta(minutes=10, microseconds=1)),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "code valid for no time": (
        lambda: Policy(code_valid=timedelta()),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "no tries": (lambda: Policy(tries_per_code=0), e.InvalidValue, "INVALID_VALUE"),
    "too many tries": (lambda: Policy(tries_per_code=11), e.InvalidValue, "INVALID_VALUE"),
    "no failures": (lambda: Policy(failures_per_day=0), e.InvalidValue, "INVALID_VALUE"),
    "too many failures": (lambda: Policy(failures_per_day=101), e.InvalidValue, "INVALID_VALUE"),
    "no sends": (lambda: Policy(sends_per_user=0), e.InvalidValue, "INVALID_VALUE"),
    "no sends to a number": (
        lambda: Policy(sends_per_number=0),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "resend at once": (
        lambda: Policy(resend_after=timedelta(milliseconds=999)),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "negative lease": (
        lambda: Policy(lease=timedelta(seconds=-1)),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
    "no time to answer": (
        lambda: Policy(answer_within=timedelta()),
        e.InvalidValue,
        "INVALID_VALUE",
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_cannot_be_is_not_made(case: str):
    """Each value object refuses what it cannot hold, and blames the caller."""
    make, branch, code = VALUES[case]
    refused(make, branch, code, Fault.CALLER)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Policy(code_length=6, tries_per_code=1, failures_per_day=1),
        lambda: Policy(code_length=10, tries_per_code=10, failures_per_day=100),
        lambda: Policy(code_valid=timedelta(minutes=10), resend_after=timedelta(seconds=1)),
        lambda: agreement(M, starts=START, ends=START + timedelta(microseconds=1)),
        lambda: Operator(id="x" * 64),
        lambda: Operator(id="a.b_c-d"),
    ],
)
def test_the_bounds_themselves_are_allowed(made: Callable[[], object]):
    """What lies on a bound is within it."""
    assert made()


# --- building an identifier ------------------------------------------------------------


def overlapping() -> list[Agreement]:
    return [
        agreement(M, ends=START, name="first"),
        agreement(M, starts=START - timedelta(microseconds=1), name="second"),
    ]


def open_ended() -> list[Agreement]:
    return [agreement(M, name="first"), agreement(M, starts=START, name="second")]


SETUPS: dict[str, tuple[Callable[[], object], type[AbonentError], str, Fault]] = {
    "overlapping agreements": (
        lambda: World(agreements=overlapping()),
        e.InvalidAgreement,
        "INVALID_AGREEMENT",
        Fault.CALLER,
    ),
    "an agreement without end before another": (
        lambda: World(agreements=open_ended()),
        e.InvalidAgreement,
        "INVALID_AGREEMENT",
        Fault.CALLER,
    ),
    "two agreements with one id": (
        lambda: World(agreements=[agreement(M, name="a"), agreement(N, name="a")]),
        e.InvalidAgreement,
        "INVALID_AGREEMENT",
        Fault.CALLER,
    ),
    "another messenger's agreement": (
        lambda: World(agreements=[agreement(M, messenger="other")]),
        e.UnknownMessenger,
        "UNKNOWN_MESSENGER",
        Fault.CALLER,
    ),
    "an agreement without a gateway": (
        lambda: World(agreements=[agreement("tele2")]),
        e.UnknownOperator,
        "UNKNOWN_OPERATOR",
        Fault.CALLER,
    ),
    "the draft without a time to answer": (
        lambda: World(rules=DRAFT_2017),
        e.PolicyIncomplete,
        "POLICY_INCOMPLETE",
        Fault.SETUP,
    ),
}


@pytest.mark.parametrize("case", SETUPS)
def test_what_does_not_fit_together_is_not_built(case: str):
    """An identifier that could not work is refused when it is built."""
    refused(*SETUPS[case])


def test_the_open_figure_is_named():
    """S31: the draft of 2017 needs figures from the policy; the error says which."""
    error = refused(
        lambda: World(rules=DRAFT_2017), *SETUPS["the draft without a time to answer"][1:]
    )
    assert isinstance(error, e.PolicyIncomplete)
    assert error.figure == "answer_within"
    some = Policy(answer_within=HOUR)
    with pytest.raises(e.PolicyIncomplete) as raised:
        World(rules=DRAFT_2017, policy=some)
    assert raised.value.figure == "reidentify_within"
    World(rules=DRAFT_2017, policy=attrs.evolve(some, reidentify_within=HOUR)).identifier.close()


def test_agreements_may_touch():
    """One agreement may begin at the instant at which another of the same two ends."""
    touching = [agreement(M, ends=START, name="a"), agreement(M, starts=START, name="b")]
    with World(agreements=[*touching, agreement(N)]) as world:
        assert world.identify("alice").status is Status.IDENTIFIED
        assert world.kept("alice").state.agreement == "b"


# --- calls -----------------------------------------------------------------------------

C, U, R = Fault.CALLER, Fault.USER, Fault.RULES
Case = tuple[Callable[[World], object], type[AbonentError], str, Fault]


def user_id_cases() -> dict[str, Case]:
    bad = {
        "empty": "",
        "too long": "u" * 129,
        "NUL": "ali\0ce",
        "newline": "alice\n",
        "control": "\x1balice",
        "bidi": "alice\u202e",
        "surrogate": "\ud800",
    }
    calls: dict[str, Callable[[Any, str], object]] = {
        "claim": lambda i, user: i.claim(user, N1.e164),
        "prove": lambda i, user: i.prove(user, "123456"),
        "standing": lambda i, user: i.standing(user),
        "gate": lambda i, user: i.gate(user),
        "require_open": lambda i, user: i.require_open(user),
        "forget": lambda i, user: i.forget(user),
        "history": lambda i, user: i.history(user),
        "disclose": lambda i, user: i.disclose(user, to="c", purpose="p", consent=None),
    }
    return {
        f"{call}: {what} user id": (
            lambda world, make=make, user=user: make(world.identifier, user),
            e.InvalidUserId,
            "INVALID_USER_ID",
            C,
        )
        for call, make in calls.items()
        for what, user in bad.items()
    }


def code_cases() -> dict[str, Case]:
    typed = ["12 34 56", "123_456", "+123456", "-12345", "123456 ", "12345٦", "１２３４５６", ""]
    typed += ["123", "1" * 11, "12.456", "0b1010", "1e5000", "123\n456", "12345\0"]
    return {
        f"code {each!r}": (
            lambda world, each=each: world.identifier.prove("alice", each),
            e.InvalidCode,
            "CODE_FORMAT",
            U,
        )
        for each in typed
    }


def number_cases() -> dict[str, Case]:
    bad: dict[str, tuple[str, type[AbonentError], str]] = {
        "nothing": ("", e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "words": ("call me", e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "too long a text": ("+7" + "9" * 63, e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "too short": ("+7916123", e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "too long": ("+791612345678", e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "no such country": ("+999161234567", e.InvalidNumber, "NUMBER_UNPARSABLE"),
        "extension": ("+79161234567 ext. 5", e.NumberHasExtension, "NUMBER_EXTENSION"),
        "fixed line": ("+7 495 123-45-67", e.NotAMobileNumber, "NUMBER_NOT_MOBILE"),
        "toll-free": ("8 800 555-35-35", e.NotAMobileNumber, "NUMBER_NOT_MOBILE"),
        "Kazakhstan": ("+77011234567", e.NumberNotAllowed, "NUMBER_REGION"),
    }
    return {
        f"number: {what}": (
            lambda world, text=text: world.identifier.claim("alice", text),
            branch,
            code,
            U,
        )
        for what, (text, branch, code) in bad.items()
    }


def notice(operator: str = M, name: str = "n") -> Notice:
    return Notice(id=name, operator=operator, kind=NoticeKind.TERMINATED, number=N2)


def consent(**changes: Any) -> Consent:
    given: dict[str, Any] = {
        "user_id": "holder",
        "recipient": "court",
        "purpose": "case",
        "given_at": START,
        "until": START + HOUR,
    }
    return Consent(**{**given, **changes})


def disclose(world: World, value: Consent | None, **changes: Any) -> object:
    asked = {"user": "holder", "to": "court", "purpose": "case", **changes}
    return world.identifier.disclose(
        asked["user"], to=asked["to"], purpose=asked["purpose"], consent=value
    )


OTHERS: dict[str, Case] = {
    "prove before a claim": (
        lambda world: world.identifier.prove("nobody", "123456"),
        e.UnknownUser,
        "UNKNOWN_USER",
        C,
    ),
    "prove after the claim ended": (
        lambda world: world.identifier.prove("refused", "123456"),
        e.NothingToProve,
        "NOTHING_TO_PROVE",
        C,
    ),
    "disclose nobody": (
        lambda world: disclose(world, consent(user_id="nobody"), user="nobody"),
        e.UnknownUser,
        "UNKNOWN_USER",
        C,
    ),
    "disclose who is not identified": (
        lambda world: disclose(world, consent(user_id="alice"), user="alice"),
        e.UnknownUser,
        "UNKNOWN_USER",
        C,
    ),
    "notice of an unknown operator": (
        lambda world: world.identifier.receive(notice("tele2")),
        e.UnknownOperator,
        "UNKNOWN_OPERATOR",
        C,
    ),
    "answer of an unknown operator": (
        lambda world: world.identifier.receive(
            LateAnswer(query_id="q", operator="tele2", outcome=Outcome.HELD)
        ),
        e.UnknownOperator,
        "UNKNOWN_OPERATOR",
        C,
    ),
    "notice without an id": (
        lambda world: world.identifier.receive(notice(name="")),
        e.InvalidValue,
        "INVALID_VALUE",
        C,
    ),
    "notice with an endless id": (
        lambda world: world.identifier.receive(notice(name="n" * 129)),
        e.InvalidValue,
        "INVALID_VALUE",
        C,
    ),
    "received at a naive instant": (
        lambda world: world.identifier.receive(notice(), received_at=NAIVE),
        e.NaiveInstant,
        "NAIVE_INSTANT",
        C,
    ),
    "many received at a naive instant": (
        lambda world: world.identifier.receive_many([notice()], received_at=NAIVE),
        e.NaiveInstant,
        "NAIVE_INSTANT",
        C,
    ),
    "a locale of 36 characters": (
        lambda world: world.identifier.claim("alice", N1.e164, locale="x" * 36),
        e.InvalidValue,
        "INVALID_VALUE",
        C,
    ),
    "a locale with a NUL": (
        lambda world: world.identifier.claim("alice", N1.e164, locale="ru\0"),
        e.InvalidValue,
        "INVALID_VALUE",
        C,
    ),
    "a bad recipient": (
        lambda world: disclose(world, consent(), to="The Court"),
        e.InvalidValue,
        "INVALID_VALUE",
        C,
    ),
    "no consent": (lambda world: disclose(world, None), e.ConsentMissing, "CONSENT_MISSING", C),
    "another's consent": (
        lambda world: disclose(world, consent(user_id="alice")),
        e.ConsentMissing,
        "CONSENT_MISSING",
        C,
    ),
    "consent for another recipient": (
        lambda world: disclose(world, consent(recipient="press")),
        e.ConsentMissing,
        "CONSENT_MISSING",
        C,
    ),
    "consent for another purpose": (
        lambda world: disclose(world, consent(purpose="fun")),
        e.ConsentMissing,
        "CONSENT_MISSING",
        C,
    ),
    "consent not given yet": (
        lambda world: disclose(world, consent(given_at=START + HOUR, until=None)),
        e.ConsentMissing,
        "CONSENT_MISSING",
        C,
    ),
    "consent that ended": (
        lambda world: disclose(world, consent(given_at=START - HOUR, until=START)),
        e.ConsentMissing,
        "CONSENT_MISSING",
        C,
    ),
    "a gate that is closed": (
        lambda world: world.identifier.require_open("alice"),
        e.GateClosed,
        "GATE_CLOSED",
        R,
    ),
    "no agreement": (
        lambda world: world.identifier.claim("new", "+79261112233"),
        e.NoAgreement,
        "NO_AGREEMENT",
        R,
    ),
    "no operator known": (
        lambda world: world.identifier.claim("new", "+79261112244"),
        e.NumberUnrouted,
        "NUMBER_UNROUTED",
        R,
    ),
}
CASES = {**user_id_cases(), **code_cases(), **number_cases(), **OTHERS}


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One world for all cases, since none of them may change it.

    `holder` is identified, `alice` has a claim, `refused` did not pass.
    """
    storage = None
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("store")
        storage = SqliteStorage(folder / "kept.db", territory="RU")
    operators = {each: SimulatedOperator(each) for each in (M, N, "tele3")}
    router = SimulatedRouter(M)
    router.port("+79261112233", "tele3")
    router.port("+79261112244", Unrouted.UNKNOWN_RANGE)
    agreements = [agreement(M), agreement(N)]
    with World(storage, operators=operators, router=router, agreements=agreements) as made:
        made.identify("holder", N2)
        made.operators[M].script(Reply.NOT_HELD)
        made.identify("refused", SubscriberNumber("+79161110000"))
        made.identifier.claim("alice", N1.e164)
        yield made


@pytest.mark.parametrize("case", CASES)
def test_a_bad_call_is_refused_and_changes_nothing(world: World, case: str):
    """The right branch, code and blame; records and journal are byte for byte what they were."""
    call, branch, code, fault = CASES[case]
    before = world.everything()
    error = refused(lambda: call(world), branch, code, fault)
    assert world.everything() == before
    assert not error.retryable
    assert isinstance(error, Exception)


def test_bad_items_among_many_are_judged_one_by_one(world: World):
    """receive_many gives each item its own verdict; a bad one does not stop the rest."""
    before = world.everything()
    unknown, empty = notice("tele2"), notice(name="")
    results = world.identifier.receive_many([unknown, empty, unknown])
    assert [type(each) for each in results] == [
        e.UnknownOperator,
        e.InvalidValue,
        e.UnknownOperator,
    ]
    assert world.everything() == before


def test_a_stranger_answer_is_journaled_and_changes_no_record(world: World):
    """S29: an answer to a question we never asked is ignored by name; no record moves."""
    before = world.everything()
    late = LateAnswer(query_id="made-up", operator=M, outcome=Outcome.HELD)
    received = world.identifier.receive(late)
    assert (received.users, received.ignored and received.ignored.value) == ((), "not_asked")
    after = world.everything()
    assert after[0] == before[0]
    assert len(after[1]) == len(before[1]) + 1
    assert b"made-up" not in after[1][-1].body


@pytest.mark.parametrize("user_id", ["u" * 128, "Ünï—çødé 用户", "a", "'; DROP TABLE record; --"])
def test_odd_user_ids_are_fine(user_id: str):
    """Any printable text of 1 to 128 characters is a user id."""
    with World() as made:
        assert made.identify(user_id).status is Status.IDENTIFIED
        assert made.identifier.changes()[0].user_id == user_id


def test_a_code_may_be_given_as_a_value(world: World):
    """A OneTimeCode is refused when it is made, before any call."""
    refused(lambda: OneTimeCode("12 34"), e.InvalidCode, "CODE_FORMAT", Fault.USER)
    refused(lambda: OneTimeCode(123456), e.InvalidCode, "CODE_FORMAT", Fault.USER)
    refused(lambda: OneTimeCode(b"123456"), e.InvalidCode, "CODE_FORMAT", Fault.USER)


def test_every_error_has_a_place():
    """Each error class has a code of its own, a blame, a remedy, and one branch above it."""
    classes = [AbonentError]
    for each in classes:
        classes += each.__subclasses__()
    mine = [each for each in set(classes) if each.__module__ == "abonent.errors"]
    codes = [each.code for each in mine]
    assert len(set(codes)) == len(codes)
    for each in mine:
        assert each.remedy
        assert isinstance(each.fault, Fault)
        assert each.code == each.code.upper()
