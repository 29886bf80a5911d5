"""Adapters that are wrong in one thing: gateways, senders, checks, routers and key providers.

Each overrides one method of an adapter that passes its contract; `named_by` is the test of that
contract which must name it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import uuid4

import attrs
import pytest

from abonent import FileKeys, MemoryKeys, OneTimeCodes, Outcome, SubscriberNumber
from abonent.errors import KeyUnavailable, Misconfigured, Unavailable
from abonent.ports import (
    Answer,
    Begun,
    CodeMessage,
    Keys,
    OneTimeCode,
    PossessionClaim,
    PossessionFeatures,
    Query,
    RecordEntry,
    Unrouted,
    Verdict,
    WithdrawEntry,
)
from abonent.simulation import Reply, SimulatedOperator, SimulatedRouter, SimulatedSender
from abonent.testing import (
    AsyncCodeSenderContract,
    AsyncOperatorGatewayContract,
    CodeSenderContract,
    KeyProviderContract,
    NumberRouterContract,
    OperatorGatewayContract,
    PossessionCheckContract,
    Route,
    Stage,
)
from tests.contracts.stages import file_stage, operator_stage, router_stage, sender_stage
from tests.contracts.test_gateways import AwaitedOperator
from tests.contracts.test_senders import AwaitedSender

log = logging.getLogger("an.integrator")
LONGER_THAN_ANY_PATIENCE = 60


# --- gateways ---------------------------------------------------------------------------


class WaitsForEver(SimulatedOperator):
    """It has no time limit."""

    named_by = "test_silence_is_unavailable[ask]"
    patience = 0.1

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            threading.Event().wait(LONGER_THAN_ANY_PATIENCE)
            raise


class TakesALateAnswer(SimulatedOperator):
    """It stays on the line until the answer is there, however late."""

    named_by = "test_too_slow_is_unavailable[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            return super().ask(query)


class TakesNotOursForNotHeld(SimulatedOperator):
    """It reads a 404 as *no such subscriber*."""

    named_by = "test_not_ours_is_not_ours"

    def ask(self, query: Query) -> Answer:
        answer = super().ask(query)
        if answer.outcome is Outcome.NOT_OURS:
            return Answer(outcome=Outcome.NOT_HELD)
        return answer


class TakesLaterForHeld(SimulatedOperator):
    """It reads a 202 as a yes."""

    named_by = "test_later_is_later"

    def ask(self, query: Query) -> Answer:
        answer = super().ask(query)
        return Answer(outcome=Outcome.HELD) if answer.outcome is Outcome.LATER else answer


class TakesRefusedCredentialsForNotHeld(SimulatedOperator):
    """It reads a 403 as a no."""

    named_by = "test_refused_credentials_are_misconfigured[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Misconfigured:
            return Answer(outcome=Outcome.NOT_HELD)


class TakesSilenceForNotHeld(SimulatedOperator):
    """It reads a dead link as a no."""

    named_by = "test_out_of_reach_is_unavailable[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            return Answer(outcome=Outcome.NOT_HELD)


class TakesGibberishForHeld(SimulatedOperator):
    """It reads every 200 as a yes."""

    named_by = "test_a_malformed_reply_is_an_error[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Misconfigured as error:
            if "malformed" in str(error):
                return Answer(outcome=Outcome.HELD)
            raise


class RaisesRaw(SimulatedOperator):
    """It lets through what its HTTP client raises."""

    named_by = "test_out_of_reach_is_unavailable[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            raise ConnectionResetError("connection reset by peer") from None


class RaisesLate(SimulatedOperator):
    """It is a generator: nothing is asked, and nothing fails, before somebody iterates."""

    named_by = "test_held_is_held"

    def ask(self, query: Query) -> Iterator[Answer]:
        yield super().ask(query)


class TakesOtherArguments(SimulatedOperator):
    """Its signature is not the port's."""

    named_by = "test_held_is_held"

    def ask(self, number: SubscriberNumber, due: datetime) -> Answer:
        return Answer(outcome=Outcome.HELD)


class AnswersWithADict(SimulatedOperator):
    """It hands on the JSON that it got."""

    named_by = "test_held_is_held"

    def ask(self, query: Query) -> dict[str, str]:
        return {"outcome": super().ask(query).outcome.value}


class AsksUnderAFreshId(SimulatedOperator):
    """It makes an id of its own for each request."""

    named_by = "test_the_same_question_again_is_one_question"

    def ask(self, query: Query) -> Answer:
        return super().ask(attrs.evolve(query, id=str(uuid4())))


class IgnoresTheId(SimulatedOperator):
    """It takes the number for the question."""

    named_by = "test_another_question_is_another_question"

    def ask(self, query: Query) -> Answer:
        return super().ask(attrs.evolve(query, id=query.number.e164))


class HandsBackAView(SimulatedOperator):
    """What it hands back changes when its buffer is used again."""

    named_by = "test_what_it_hands_back_is_few_bytes"

    def ask(self, query: Query) -> Answer:
        return attrs.evolve(super().ask(query), opaque=bytearray(b"ticket"))


class HandsBackTheReply(SimulatedOperator):
    """It hands back the whole reply, headers and all."""

    named_by = "test_what_it_hands_back_is_few_bytes"

    def ask(self, query: Query) -> Answer:
        return attrs.evolve(super().ask(query), opaque=b"X-Header: value\n" * 300)


class QuotesTheNumber(SimulatedOperator):
    """Its error says which number it could not ask about."""

    named_by = "test_errors_show_nobody[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            raise Unavailable(f"no reply for {query.number.e164}") from None


class KeepsTheUrl(SimulatedOperator):
    """Its error is raised from one that has the number in its URL, grouped by hyphens."""

    named_by = "test_errors_show_nobody[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            digits = query.number.e164
            cause = ConnectionError(f"GET /subscribers/{digits[2:5]}-{digits[5:]} timed out")
            raise Unavailable("no reply") from cause


class NamesANaiveInstant(SimulatedOperator):
    """Its error says from when to try again, by nobody knows whose clock."""

    named_by = "test_errors_name_instants_with_a_time_zone[ask]"

    def ask(self, query: Query) -> Answer:
        try:
            return super().ask(query)
        except Unavailable:
            raise Unavailable("try later", retry_at=datetime(2026, 6, 1, 9, 5)) from None


class LogsTheNumber(SimulatedOperator):
    """It logs whom it asks about, at debug level."""

    named_by = "test_nothing_shows_anybody[ask]"

    def ask(self, query: Query) -> Answer:
        log.debug("asking about %s", query.number.e164)
        return super().ask(query)


class IsNotSafeForThreads(SimulatedOperator):
    """It has one connection, and says that it has eight."""

    named_by = "test_as_many_at_once_as_it_says"
    busy: ClassVar[threading.Lock] = threading.Lock()

    def ask(self, query: Query) -> Answer:
        if not self.busy.acquire(blocking=False):
            raise Unavailable("the connection is in use")
        try:
            threading.Event().wait(0.02)
            return super().ask(query)
        finally:
            self.busy.release()


class AcknowledgesForTheOperator(SimulatedOperator):
    """It acknowledges a record that did not arrive."""

    named_by = "test_out_of_reach_is_unavailable[record]"

    def record(self, entry: RecordEntry) -> None:
        with suppress(Unavailable):
            super().record(entry)


class RecordsInTheBackground(SimulatedOperator):
    """Nobody awaits what it returns."""

    named_by = "test_a_record_arrives_as_given"

    async def record(self, entry: RecordEntry) -> None:
        super().record(entry)


class RecordsTheHandle(SimulatedOperator):
    """It records the first part of the code, for there the operator's column ends."""

    named_by = "test_a_record_arrives_as_given"

    def record(self, entry: RecordEntry) -> None:
        super().record(attrs.evolve(entry, code=entry.code[:16]))


class WithdrawsOnlyWhatIsThere(SimulatedOperator):
    """It reports a record that is not there as an error."""

    named_by = "test_withdrawing_what_is_not_there_succeeds"

    def withdraw(self, entry: WithdrawEntry) -> None:
        if entry.code not in self.recorded:
            raise Misconfigured("there is no such record")
        super().withdraw(entry)


class SaysItTakesNone(SimulatedOperator):
    """Its features leave no place for a call."""

    named_by = "test_its_features_are_data"

    def __init__(self) -> None:
        super().__init__(concurrency=0)


# --- awaited gateways -------------------------------------------------------------------


class HasNothingToAwait(AwaitedOperator):
    """One of its methods is an ordinary function."""

    named_by = "test_held_is_held"

    def ask(self, query: Query) -> Answer:
        return self.operator.ask(query)


class BlocksTheLoop(AwaitedOperator):
    """It waits without giving the loop a turn."""

    named_by = "test_silence_is_unavailable[ask]"
    patience = 0.1

    async def ask(self, query: Query) -> Answer:
        try:
            return self.operator.ask(query)
        except Unavailable:
            threading.Event().wait(LONGER_THAN_ANY_PATIENCE)
            raise


class ForgetsToAwait(AwaitedOperator):
    """It begins its work and does not wait for what comes of it."""

    named_by = "test_out_of_reach_is_unavailable[record]"

    async def record(self, entry: RecordEntry) -> None:
        work = super().record(entry)
        with suppress(Unavailable, Misconfigured):
            await work


# --- senders ----------------------------------------------------------------------------


class SendsAgain(SimulatedSender):
    """It tells its provider of a fresh message each time."""

    named_by = "test_the_same_message_again_reaches_the_user_once"

    def send(self, message: CodeMessage) -> None:
        super().send(attrs.evolve(message, id=str(uuid4())))


class SendsOnceToANumber(SimulatedSender):
    """It takes the number for the message."""

    named_by = "test_another_message_is_sent_too"

    def send(self, message: CodeMessage) -> None:
        super().send(attrs.evolve(message, id=message.number.e164))


class LogsTheCode(SimulatedSender):
    """It logs what it sends."""

    named_by = "test_nothing_shows_anybody[send]"

    def send(self, message: CodeMessage) -> None:
        log.warning("sent %s", message.code.digits)
        super().send(message)


class SendsANumber(SimulatedSender):
    """It takes a code for an integer."""

    named_by = "test_a_code_begins_with_any_digit"

    def send(self, message: CodeMessage) -> None:
        code = OneTimeCode(str(int(message.code.digits)))
        super().send(attrs.evolve(message, code=code))


class TakesAFailureForSent(SimulatedSender):
    """It swallows what its provider refuses."""

    named_by = "test_refused_credentials_are_misconfigured[send]"

    def send(self, message: CodeMessage) -> None:
        with suppress(Misconfigured):
            super().send(message)


class RemembersTooEarly(SimulatedSender):
    """It notes that a message was sent before it was."""

    named_by = "test_a_message_that_failed_is_sent_when_it_comes_again"

    def send(self, message: CodeMessage) -> None:
        noted: set[str] = vars(self).setdefault("noted", set())
        if message.id not in noted:
            noted.add(message.id)
            super().send(message)


class IsNotAwaited(AwaitedSender):
    """It sends at once, in the way of everybody else in the loop."""

    named_by = "test_a_code_arrives_as_given"

    def send(self, message: CodeMessage) -> None:  # type: ignore[override]  # the fault
        self.sender.send(message)


# --- possession checks ------------------------------------------------------------------


class SessionCodes:
    """Codes of the operator's own: a session for each claim, named by what is handed back."""

    features = PossessionFeatures()

    def __init__(self, sender: SimulatedSender) -> None:
        self.sender = sender
        self.line = SimulatedRouter()
        self.sessions: dict[bytes, OneTimeCode] = {}

    def begin(self, claim: PossessionClaim) -> Begun:
        self.sender.send(
            CodeMessage(id=claim.id, number=claim.number, code=claim.code, locale=claim.locale)
        )
        session = claim.id.encode()
        self.sessions[session] = claim.code
        return Begun(opaque=session)

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        self.line.serving(claim.number)  # may be out of reach
        right = self.sessions.get(claim.opaque)
        proven = right is not None and right.digits == proof.digits
        return Verdict.PROVEN if proven else Verdict.FAILED


class DropsTheSession(SessionCodes):
    """It hands nothing back, and no longer knows which session is meant."""

    named_by = "test_who_has_the_code_has_the_number"

    def begin(self, claim: PossessionClaim) -> Begun:
        super().begin(claim)
        return Begun()


class TakesAnyCodeItSent(SessionCodes):
    """A code of one session opens the next (P3)."""

    named_by = "test_a_code_of_another_issue_fails"

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        verdict = super().check(proof, claim)
        sent = {each.digits for each in self.sessions.values()}
        return Verdict.PROVEN if proof.digits in sent else verdict


class TakesNoVerdictForFailed(SessionCodes):
    """A check that nobody made counts against the user."""

    named_by = "test_out_of_reach_is_unavailable[check]"

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        try:
            return super().check(proof, claim)
        except Unavailable:
            return Verdict.FAILED


class ComparesNumbers(OneTimeCodes):
    """It compares codes as integers (P8)."""

    named_by = "test_any_other_code_fails"

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        same = int(proof.digits) == int(claim.code.digits)
        return Verdict.PROVEN if same else Verdict.FAILED


# --- routers ----------------------------------------------------------------------------


class AnswersByTheRange(SimulatedRouter):
    """It has not heard of ported numbers."""

    named_by = "test_a_ported_number_is_served_by_the_operator_it_went_to"

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        serving = super().serving(number)
        return "mts" if number.e164.startswith("+7916") else serving


class RaisesKeyError(SimulatedRouter):
    """It looks numbers up as if it knew them all."""

    named_by = "test_a_number_in_no_range_is_unrouted"

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        serving = super().serving(number)
        return {"mts": "mts", "beeline": "beeline", Unrouted.UNKNOWN_OPERATOR: serving}[serving]


class GuessesAnOperator(SimulatedRouter):
    """Who is not configured is taken for the largest."""

    named_by = "test_a_number_of_a_stranger_is_unrouted"

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        serving = super().serving(number)
        return "mts" if serving is Unrouted.UNKNOWN_OPERATOR else serving


class OperatorName(StrEnum):
    MTS = "mts"
    BEELINE = "beeline"


class NamesByAnEnum(SimulatedRouter):
    """Its ids are members of an enumeration of its own."""

    named_by = "test_an_operator_is_named_by_plain_text"

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        serving = super().serving(number)
        return serving if isinstance(serving, Unrouted) else OperatorName(serving)


class GuessesWhenOutOfReach(SimulatedRouter):
    """It answers by the range when its source does not."""

    named_by = "test_out_of_reach_is_unavailable[serving]"

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        try:
            return super().serving(number)
        except Unavailable:
            return "mts"


# --- key providers ----------------------------------------------------------------------


class ShowsItsKeys(MemoryKeys):
    """Its repr is that of a dataclass."""

    named_by = "test_nothing_shows_a_key"

    def __repr__(self) -> str:
        return f"MemoryKeys({dict(self.keys().roots)!r})"


class DropsOlderKeys(MemoryKeys):
    """It gives the key that seals, and none that opens."""

    named_by = "test_older_keys_are_kept"

    def keys(self) -> Keys:
        held = super().keys()
        return Keys(current=held.current, roots={held.current: held.roots[held.current]})


class MakesFreshKeys(MemoryKeys):
    """It makes keys each time that it is asked."""

    named_by = "test_the_same_keys_each_time"

    def keys(self) -> Keys:
        return MemoryKeys.random().keys()


class MakesUpAKey(FileKeys):
    """Where there is no file it makes a key, and what is sealed under it is lost."""

    named_by = "test_a_source_that_is_gone_is_key_unavailable"

    def keys(self) -> Keys:
        try:
            return super().keys()
        except KeyUnavailable:
            return MemoryKeys.random().keys()


# --- each on its stage ------------------------------------------------------------------

Setting = Callable[..., Stage[Any]]
"""What becomes the fixture `stage` of a contract."""


def _hasty(stage: Stage[Any]) -> Stage[Any]:
    """Those that hang say how soon they may be given up."""
    return attrs.evolve(stage, patience=getattr(stage.adapter, "patience", stage.patience))


def on_operator(adapter: Callable[[], SimulatedOperator]) -> Setting:
    def stage(self: object) -> Stage[Any]:
        return _hasty(operator_stage(adapter()))

    return stage


def awaited(adapter: Callable[[SimulatedOperator], AwaitedOperator]) -> Setting:
    def stage(self: object) -> Stage[Any]:
        operator = SimulatedOperator()
        return _hasty(operator_stage(operator, adapter(operator)))

    return stage


def on_sender(adapter: Callable[[], SimulatedSender]) -> Setting:
    def stage(self: object) -> Stage[Any]:
        return sender_stage(adapter())

    return stage


def awaited_sender(adapter: Callable[[SimulatedSender], AwaitedSender]) -> Setting:
    def stage(self: object) -> Stage[Any]:
        sender = SimulatedSender()
        return sender_stage(sender, adapter(sender))

    return stage


def with_codes(adapter: Callable[[SimulatedSender], Any]) -> Setting:
    def stage(self: object) -> Stage[Any]:
        sender = SimulatedSender()
        check = adapter(sender)
        lines = [sender, *([check.line] if isinstance(check, SessionCodes) else [])]

        def tell(reply: Reply) -> None:
            for each in lines:
                each.show(reply)

        return attrs.evolve(sender_stage(sender, check), tell=tell)

    return stage


def on_routes(adapter: Callable[[], SimulatedRouter]) -> Setting:
    def stage(self: object, routes: tuple[Route, ...]) -> Stage[Any]:
        return router_stage(adapter(), routes)

    return stage


def holding_keys(adapter: Callable[[Keys], MemoryKeys]) -> Setting:
    def stage(self: object, keys: Keys) -> Stage[Any]:
        return Stage(adapter=adapter(keys), shows=frozenset())

    return stage


def over_a_file(adapter: Callable[[Path], FileKeys]) -> Setting:
    def stage(self: object, keys: Keys, tmp_path: Path) -> Stage[Any]:
        path = tmp_path / "keys.json"
        return file_stage(path, keys, adapter(path))

    return stage


_RIGHT: Final[Mapping[type[Any], tuple[type[Any], Callable[..., Setting]]]] = {
    SimulatedOperator: (OperatorGatewayContract, on_operator),
    AwaitedOperator: (AsyncOperatorGatewayContract, awaited),
    SimulatedSender: (CodeSenderContract, on_sender),
    AwaitedSender: (AsyncCodeSenderContract, awaited_sender),
    SessionCodes: (PossessionCheckContract, with_codes),
    OneTimeCodes: (PossessionCheckContract, with_codes),
    SimulatedRouter: (NumberRouterContract, on_routes),
    MemoryKeys: (KeyProviderContract, holding_keys),
    FileKeys: (KeyProviderContract, over_a_file),
}
"""What passes, its contract, and how it is put on a stage."""

RIGHT: Final = tuple(_RIGHT)
WRONG: Final = tuple(
    wrong for right in RIGHT for wrong in right.__subclasses__() if "named_by" in vars(wrong)
)


def contract_of(adapter: type[Any]) -> type[Any]:
    """The contract, with the adapter as an integrator would give it."""
    right = next(each for each in adapter.__mro__ if each in _RIGHT)
    contract, setting = _RIGHT[right]
    return type(f"Test{adapter.__name__}", (contract,), {"stage": pytest.fixture(setting(adapter))})


globals().update({f"Test{each.__name__}": contract_of(each) for each in (*RIGHT, *WRONG)})
