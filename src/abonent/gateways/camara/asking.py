"""What is asked of an operator, call by call.

Knows the bodies of requests: the number stands in one if the token names nobody, and nothing
stands there that the API does not know. Refuses to know threads and event loops: each call is a
flow that a link drives.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.errors import AdapterError, InvalidValue, Misconfigured, Unavailable
from abonent.gateways.camara.line import Line
from abonent.gateways.camara.profile import CamaraProfile, Grant, Service
from abonent.gateways.camara.replies import (
    IDENTIFIER_NOT_FOUND,
    code_of,
    content,
    is_passing,
    refusal,
    tenure,
)
from abonent.gateways.camara.steps import Flow
from abonent.gateways.camara.tokens import Token, Tokens
from abonent.ports import Answer, Clock, Query, RecordEntry, WithdrawEntry
from abonent.transport import Response

log: Final = logging.getLogger("abonent")
_CORRELATOR: Final = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{1,200}", re.ASCII)
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)


class Asking:
    """The calls of one operator's APIs, with the tokens and the line that they share."""

    def __init__(
        self, profile: CamaraProfile, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self.profile = profile
        self._clock = clock
        self._line = Line(profile, clock, monotonic)
        self._tokens = Tokens(profile, self._line, clock)
        self._seconds = profile.timeout.total_seconds()

    # --- what is asked ----------------------------------------------------------------------

    def ask(self, query: Query) -> Flow[Answer]:
        """Ask whether information about the subscriber is held, by kyc-tenure."""
        # Since when is no matter. A date has to be given and must not lie in the future, wherever
        # the operator is; it is the same for every try of a question.
        since = query.asked_at.astimezone(UTC).date() - timedelta(days=1)
        body = {"tenureDate": since.isoformat()}
        response, correlator = yield from self._about(
            Service.TENURE, "check-tenure", query.number, body, query.id
        )
        if response is None:
            return Answer(outcome=Outcome.NOT_OURS)
        outcome = tenure(response)
        if outcome is None:
            raise self.fault(Service.TENURE, response, correlator)
        self._tokens.forget(query.id)
        return Answer(outcome=outcome)

    def recycled(self, number: SubscriberNumber, since: date) -> Flow[bool | None]:
        """Ask whether a number has changed hands since a day; None if it is not theirs to say."""
        body = {"specifiedDate": since.isoformat()}
        response, correlator = yield from self._about(
            Service.RECYCLING, "check", number, body, str(uuid4())
        )
        if response is None:
            return None
        if response.status == 200:
            said = content(response).get("phoneNumberRecycled")
            if not isinstance(said, bool):
                raise Misconfigured("the reply does not say what was asked")
            return said
        code = code_of(response)
        if (response.status, code) in {
            (404, IDENTIFIER_NOT_FOUND),
            (422, "SERVICE_NOT_APPLICABLE"),
        }:
            return None
        raise self.fault(Service.RECYCLING, response, correlator)

    def record(self, entry: RecordEntry) -> Flow[None]:
        """Have messenger and code recorded, by our own extension."""
        body = {
            "id": entry.id,
            "messenger": entry.messenger,
            "phoneNumber": e164_of(entry.number),
            "identificationCode": entry.code,
        }
        yield from self._acknowledged("record", body)

    def withdraw(self, entry: WithdrawEntry) -> Flow[None]:
        """Have a record removed, by our own extension."""
        body = {
            "id": entry.id,
            "messenger": entry.messenger,
            "identificationCode": entry.code,
        }
        yield from self._acknowledged("withdraw", body)

    def _acknowledged(self, path: str, body: Mapping[str, str]) -> Flow[None]:
        response, correlator = yield from self.call(Service.RECORDS, path, body)
        if response.status != 204:
            raise self.fault(Service.RECORDS, response, correlator)

    # --- how it is asked --------------------------------------------------------------------

    def _about(
        self,
        service: Service,
        path: str,
        number: SubscriberNumber,
        body: Mapping[str, str],
        question: str,
    ) -> Flow[tuple[Response | None, str]]:
        """Ask about a number, under the grant that was agreed; None if they have nobody with it."""
        if self.profile.grant is Grant.CLIENT_CREDENTIALS:
            named = {**body, "phoneNumber": e164_of(number)}
            return (yield from self.call(service, path, named, question))
        until = self.until()
        scope = self.profile.scope(service)
        token = yield from self._tokens.of_subscriber(scope, number, question, until)
        if token is None:
            return None, ""
        correlator = self._correlator(question)
        response = yield from self._send(
            service, path, body, token=token, correlator=correlator, until=until
        )
        if response.status == 401:
            # The token of an earlier try may have run out; the next try asks for another.
            self._tokens.forget(question)
            if self.profile.grant is Grant.CIBA:
                raise Unavailable("the token of this subscriber does not count any more")
        return response, correlator

    def until(self) -> float:
        """Return when a call that begins now has to be over."""
        return self._line.now() + self._seconds

    @property
    def tokens(self) -> Tokens:
        """Where tokens come from."""
        return self._tokens

    def call_as(
        self, token: Token, service: Service, path: str, body: Mapping[str, str], until: float
    ) -> Flow[tuple[Response, str]]:
        """Call an operation under a token of somebody's, and return reply and correlator."""
        correlator = self._correlator("")
        response = yield from self._send(
            service, path, body, token=token, correlator=correlator, until=until
        )
        return response, correlator

    def call(
        self, service: Service, path: str, body: Mapping[str, str], question: str = ""
    ) -> Flow[tuple[Response, str]]:
        """Call an operation under a two-legged token, and return reply and correlator.

        A token that was kept and is refused is renewed once, and the call repeated once.
        """
        until = self.until()
        scope = self.profile.scope(service)
        token, fresh = yield from self._tokens.shared(scope, until)
        correlator = self._correlator(question)
        response = yield from self._send(
            service, path, body, token=token, correlator=correlator, until=until
        )
        if response.status == 401 and not fresh:
            token, _ = yield from self._tokens.shared(scope, until, token)
            response = yield from self._send(
                service, path, body, token=token, correlator=correlator, until=until
            )
        return response, correlator

    def _correlator(self, question: str) -> str:
        """A fresh id for a call. A question's id stands before it, so that its tries are found."""
        fresh = str(uuid4())
        return f"{question}/{fresh}" if _CORRELATOR.fullmatch(question) else fresh

    def _send(
        self,
        service: Service,
        path: str,
        body: Mapping[str, Any],
        *,
        token: Token,
        correlator: str,
        until: float,
    ) -> Flow[Response]:
        headers = {
            "authorization": f"Bearer {token.value}",
            "content-type": "application/json",
            "accept": "application/json",
            "x-correlator": correlator,
        }
        url = self.profile.url(service, path)
        content = msgspec.json.encode(body)
        response = yield from self._line.send(url, headers=headers, body=content, until=until)
        echoed = response.headers.get("x-correlator", correlator)
        if echoed != correlator and not is_passing(response):
            # Whoever mixes up replies would have us believe what was said of somebody else.
            log.error("abonent.camara_mixed_up operator=%s", self.profile.operator)
            raise Misconfigured("the reply belongs to another request")
        return response

    def fault(self, service: Service, response: Response, correlator: str) -> AdapterError:
        """Return the error that a reply means, and log what the operator can find it by."""
        code = code_of(response)
        log.warning(
            "abonent.camara_refused operator=%s api=%s status=%d code=%s correlator=%s",
            self.profile.operator,
            service.value,
            response.status,
            code or "?",
            correlator.rpartition("/")[2],
        )
        return refusal(response, code)


def e164_of(number: SubscriberNumber) -> str:
    """Return a number as every API takes it.

    Raises:
        InvalidValue: it does not fit the pattern of CAMARA's PhoneNumber.
    """
    if not _NUMBER.fullmatch(number.e164):
        raise InvalidValue("this is no number that CAMARA knows")
    return number.e164
