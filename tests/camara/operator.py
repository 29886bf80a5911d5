"""An operator that answers as CAMARA says, in this process: a transport with somebody behind it.

It keeps to the specifications by code of its own, so that the ordinary tests need none of them;
`python -m tests.camara` holds it to the files. It fails on demand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from abonent.core.states import EffectKind
from abonent.errors import Unavailable
from abonent.simulation import Reply
from abonent.testing import Heard
from abonent.transport import Request, Response

ROOT: Final = "https://operator.example"
TOKEN_URL: Final = f"{ROOT}/token"
BACKCHANNEL_URL: Final = f"{ROOT}/bc-authorize"
CLIENT: Final = "messenger-at-operator"
PAIR: Final = jwk.generate_key("EC", "P-256")
"""The key pair of the messenger: it signs with one half, the operator has the other."""

_CORRELATOR: Final = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{0,256}", re.ASCII)
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HASH: Final = re.compile(r"[a-fA-F0-9]{64}", re.ASCII)
_LONGEST_MESSAGE: Final = 160
_CODE_LENGTH: Final = 6
_TRIES: Final = 3
MOST_CODES: Final = 5


def now() -> datetime:
    return datetime.now(UTC)


@define
class Subscriber:
    """A number that the operator serves. What it refuses is a code of CAMARA, by API."""

    since: date = date(2020, 1, 1)
    recycled_at: date | None = None
    refused: dict[str, tuple[int, str]] = field(factory=dict)


@frozen
class Granted:
    """A token: for what, until when, and whose number it stands for."""

    scopes: frozenset[str]
    until: datetime
    number: str | None = None
    by_network: bool = False


@define
class Verification:
    """A code that was sent."""

    number: str
    code: str
    until: datetime
    tries: int = 0


class Refusal(Exception):
    """An error reply: status and code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class OAuthRefusal(Exception):
    """An error of a token endpoint."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class CamaraOperator:
    """One operator. Every number is its subscriber's, unless `subscribers` says otherwise.

    `requests` are all that came. `show` has every API reply so from now on; `script` queues
    replies for whatever comes next, token endpoint included: a response, or an error to raise.
    """

    test_double = True

    def __init__(self, clock: Callable[[], datetime] = now) -> None:
        self._now = clock
        self.reply = Reply.HELD
        self.token_life = 3600
        self.requests: list[Request] = []
        self.subscribers: dict[str, Subscriber | None] = {}
        self.tokens: dict[str, Granted] = {}
        self.recorded: dict[str, dict[str, str]] = {}
        self.withdrawn: set[str] = set()
        self.script: list[Response | Exception] = []
        self.waiting: list[str] = []
        """Errors that the next polls of a token get, before it is there."""
        self._heard: dict[tuple[EffectKind, str], Heard] = {}
        self._assertions: set[str] = set()
        self._asked: dict[str, tuple[str, frozenset[str]]] = {}
        self._authorized: dict[str, tuple[str, str, str]] = {}
        self._verifications: dict[str, Verification] = {}

    # --- the handle ---------------------------------------------------------------------------

    def show(self, reply: Reply) -> None:
        self.reply = reply

    def heard(self) -> list[Heard]:
        return list(self._heard.values())

    def issue(self, *scopes: str, life: int = 3600, **of: Any) -> str:
        """Give out a token past the token endpoint."""
        value = secrets.token_urlsafe(16)
        until = self._now() + timedelta(seconds=life)
        self.tokens[value] = Granted(frozenset(scopes), until, **of)
        return value

    def authorize(self, number: str, challenge: str, redirect: str) -> str:
        """A device in the operator's network asks for a code, with nobody doing anything."""
        code = secrets.token_urlsafe(12)
        self._authorized[code] = (number, challenge, redirect)
        return code

    def sent_code(self, number: str) -> str:
        return [each.code for each in self._verifications.values() if each.number == number][-1]

    # --- a transport --------------------------------------------------------------------------

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        if self.script:
            scripted = self.script.pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return scripted
        path = urlsplit(request.url).path
        if path in ("/token", "/bc-authorize"):
            return self._authorizes(path, request)
        if self.reply is Reply.HANGS:
            raise Unavailable("nobody replies")
        response = self._serves(path, request)
        if self.reply is Reply.SLOW:
            raise Unavailable("nobody waits any more")
        return response

    async def send_awaited(self, request: Request) -> Response:
        return self.send(request)

    # --- authorization ------------------------------------------------------------------------

    def _authorizes(self, path: str, request: Request) -> Response:
        form = {key: value[0] for key, value in parse_qs(request.body.decode()).items()}
        try:
            said = self._asks(form) if path == "/bc-authorize" else self._grants(form)
        except OAuthRefusal as refusal:
            return _json(refusal.status, {"error": refusal.error})
        return _json(200, said)

    def _grants(self, form: dict[str, str]) -> dict[str, Any]:
        match form.get("grant_type"):
            case "client_credentials":
                self._client(form, TOKEN_URL)
                return self._granted(_scopes(form.get("scope", "")))
            case "authorization_code":
                self._client(form, TOKEN_URL)
                return self._exchanged(form)
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                claims = self._asserted(form.get("assertion", ""), TOKEN_URL)
                if "scope" in form:
                    raise OAuthRefusal("invalid_request")
                subject = claims["sub"]
                number = self._subject(subject)
                by_network = subject.startswith("operatortoken:")
                return self._granted(_scopes(claims.get("scope", "")), number, by_network)
            case "urn:openid:params:grant-type:ciba":
                self._client(form, TOKEN_URL)
                if form.get("auth_req_id") not in self._asked:
                    raise OAuthRefusal("invalid_grant")
                if self.waiting:
                    raise OAuthRefusal(self.waiting.pop(0))
                number, scopes = self._asked.pop(form["auth_req_id"])
                return self._granted(scopes, number)
            case _:
                raise OAuthRefusal("unsupported_grant_type")

    def _asks(self, form: dict[str, str]) -> dict[str, Any]:
        self._client(form, BACKCHANNEL_URL)
        number = form.get("login_hint", "").removeprefix("tel:")
        if not _NUMBER.fullmatch(number) or self._subscriber(number) is None:
            raise OAuthRefusal("unknown_user_id")
        request = secrets.token_urlsafe(12)
        self._asked[request] = (number, _scopes(form.get("scope", "")))
        return {"auth_req_id": request, "expires_in": 120, "interval": 5}

    def _client(self, form: dict[str, str], audience: str) -> None:
        if form.get("client_assertion_type") != (
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        ):
            raise OAuthRefusal("invalid_client", 401)
        claims = self._asserted(form.get("client_assertion", ""), audience)
        if claims["sub"] != CLIENT:
            raise OAuthRefusal("invalid_client", 401)

    def _asserted(self, assertion: str, audience: str) -> dict[str, Any]:
        public = jwk.import_key(PAIR.as_pem(private=False), "EC")
        at = self._now().timestamp()
        try:
            claims = jwt.decode(assertion, public, algorithms=["ES256"]).claims
            fresh = at - 300 <= claims["iat"] <= at < claims["exp"] <= claims["iat"] + 300
            ours = claims["iss"] == CLIENT and claims["aud"] == audience and claims["sub"]
            new = claims["jti"] not in self._assertions
        except (JoseError, KeyError, TypeError, ValueError):
            raise OAuthRefusal("invalid_client", 401) from None
        if not (fresh and ours and new):
            raise OAuthRefusal("invalid_client", 401)
        self._assertions.add(claims["jti"])
        return claims

    def _subject(self, subject: str) -> str:
        kind, _, value = subject.partition(":")
        if kind == "operatortoken" and value in self._authorized:
            return self._authorized.pop(value)[0]
        if kind != "tel" or not _NUMBER.fullmatch(value) or self._subscriber(value) is None:
            raise OAuthRefusal("invalid_grant")
        return value

    def _exchanged(self, form: dict[str, str]) -> dict[str, Any]:
        number, challenge, redirect = self._authorized.pop(form.get("code", ""), ("", "", ""))
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        hashed = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if not number or (challenge, redirect) != (hashed, form.get("redirect_uri")):
            raise OAuthRefusal("invalid_grant")
        return self._granted(frozenset({"number-verification:verify"}), number, True)

    def _granted(
        self, scopes: frozenset[str], number: str | None = None, by_network: bool = False
    ) -> dict[str, Any]:
        token = self.issue(*scopes, life=self.token_life, number=number, by_network=by_network)
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.token_life}

    # --- the APIs -----------------------------------------------------------------------------

    def _serves(self, path: str, request: Request) -> Response:
        correlator = request.headers.get("x-correlator", "")
        try:
            response = self._served(path, request)
        except Refusal as refusal:
            body = {
                "status": refusal.status,
                "code": refusal.code,
                "message": "What went wrong, for people to read.",
            }
            response = _json(refusal.status, body)
        echoed = {"x-correlator": correlator} if _CORRELATOR.fullmatch(correlator) else {}
        return Response(
            status=response.status, headers={**response.headers, **echoed}, body=response.body
        )

    def _served(self, path: str, request: Request) -> Response:
        operations: dict[str, tuple[str, Callable[..., Response]]] = {
            "/kyc-tenure/v0.2/check-tenure": ("kyc-tenure:check-tenure", self._tenure),
            "/number-recycling/v0.2/check": ("number-recycling:check", self._recycling),
            "/one-time-password-sms/v1/send-code": (
                "one-time-password-sms:send-validate",
                self._send_code,
            ),
            "/one-time-password-sms/v1/validate-code": (
                "one-time-password-sms:send-validate",
                self._validate_code,
            ),
            "/number-verification/v2/verify": ("number-verification:verify", self._verify),
            "/abonent-records/v1/record": ("abonent-records:write", self._record),
            "/abonent-records/v1/withdraw": ("abonent-records:write", self._withdraw),
        }
        if self.reply is Reply.UNAVAILABLE:
            raise Refusal(503, "UNAVAILABLE")
        if not _CORRELATOR.fullmatch(request.headers.get("x-correlator", "")):
            raise Refusal(400, "INVALID_ARGUMENT")
        if path not in operations:
            raise Refusal(404, "NOT_FOUND")
        if request.method != "POST":
            raise Refusal(405, "METHOD_NOT_ALLOWED")
        scope, operation = operations[path]
        token = self._authorized_by(request, scope)
        if self.reply is Reply.MISCONFIGURED:
            raise Refusal(403, "PERMISSION_DENIED")
        if request.headers.get("content-type") != "application/json":
            raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE")
        response = operation(token, _body(request), request)
        if self.reply is Reply.MALFORMED:
            return Response(status=200, headers={"content-type": "text/html"}, body=b"<html>")
        return response

    def _authorized_by(self, request: Request, scope: str) -> Granted:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(value)
        if kind != "Bearer" or token is None or token.until <= self._now():
            raise Refusal(401, "UNAUTHENTICATED")
        if scope not in token.scopes:
            raise Refusal(403, "PERMISSION_DENIED")
        return token

    def _tenure(self, token: Granted, body: dict[str, Any], request: Request) -> Response:
        _only(body, {"tenureDate"}, {"phoneNumber"})
        since = self._past(body["tenureDate"])
        number, subscriber = self._identified(token, body, "kyc-tenure")
        question = request.headers.get("x-correlator", "").partition("/")[0]
        self._hear(EffectKind.ASK_OPERATOR, question, number)
        if self.reply is Reply.NOT_HELD:
            raise Refusal(404, "ABONENT.NOT_HELD")
        if self.reply is Reply.NOT_OURS:
            raise Refusal(404, "IDENTIFIER_NOT_FOUND")
        if self.reply is Reply.UNDETERMINED:
            raise Refusal(422, "SERVICE_NOT_APPLICABLE")
        long_enough = subscriber.since <= since
        return _json(200, {"tenureDateCheck": long_enough, "contractType": "PAYM"})

    def _recycling(self, token: Granted, body: dict[str, Any], _: Request) -> Response:
        _only(body, {"specifiedDate"}, {"phoneNumber"})
        since = self._past(body["specifiedDate"])
        _, subscriber = self._identified(token, body, "number-recycling")
        changed = subscriber.recycled_at is not None and since < subscriber.recycled_at
        return _json(200, {"phoneNumberRecycled": changed})

    def _send_code(self, _: Granted, body: dict[str, Any], __: Request) -> Response:
        _only(body, {"phoneNumber", "message"})
        number, message = body["phoneNumber"], body["message"]
        if not isinstance(number, str) or not _NUMBER.fullmatch(number):
            raise Refusal(400, "INVALID_ARGUMENT")
        if not isinstance(message, str) or "{{code}}" not in message:
            raise Refusal(400, "INVALID_ARGUMENT")
        if len(message) > _LONGEST_MESSAGE:
            raise Refusal(400, "INVALID_ARGUMENT")
        subscriber = self._subscriber(number)
        if subscriber is None:
            raise Refusal(404, "NOT_FOUND")
        self._refuse(subscriber, "one-time-password-sms")
        sent = [each for each in self._verifications.values() if each.number == number]
        if len(sent) >= MOST_CODES:
            raise Refusal(403, "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED")
        code = "".join(secrets.choice("0123456789") for _ in range(_CODE_LENGTH))
        attempt = str(len(self._verifications)) + secrets.token_hex(8)
        until = self._now() + timedelta(minutes=5)
        self._verifications[attempt] = Verification(number, code, until)
        self._hear(EffectKind.SEND_CODE, attempt, number, code)
        return _json(200, {"authenticationId": attempt})

    def _validate_code(self, _: Granted, body: dict[str, Any], __: Request) -> Response:
        _only(body, {"authenticationId", "code"})
        attempt, code = body["authenticationId"], body["code"]
        if not isinstance(attempt, str) or not isinstance(code, str) or len(code) > 10:
            raise Refusal(400, "INVALID_ARGUMENT")
        found = self._verifications.get(attempt)
        if found is None:
            raise Refusal(404, "NOT_FOUND")
        if found.until <= self._now():
            raise Refusal(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED")
        if found.tries >= _TRIES + 2:
            raise Refusal(400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED")
        found.tries += 1
        if found.code != code:
            raise Refusal(400, "ONE_TIME_PASSWORD_SMS.INVALID_OTP")
        return Response(status=204)

    def _verify(self, token: Granted, body: dict[str, Any], _: Request) -> Response:
        if len(body) != 1 or not body.keys() <= {"phoneNumber", "hashedPhoneNumber"}:
            raise Refusal(400, "INVALID_ARGUMENT")
        ((name, value),) = body.items()
        shape = _NUMBER if name == "phoneNumber" else _HASH
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise Refusal(400, "INVALID_ARGUMENT")
        if token.number is None or not token.by_network:
            raise Refusal(403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK")
        hashed = hashlib.sha256(token.number.encode()).hexdigest()
        same = value == token.number if name == "phoneNumber" else value.lower() == hashed
        return _json(200, {"devicePhoneNumberVerified": same})

    # --- our extension ------------------------------------------------------------------------

    def _record(self, _: Granted, body: dict[str, Any], __: Request) -> Response:
        _only(body, {"id", "messenger", "phoneNumber", "identificationCode"})
        code = body["identificationCode"]
        self._hear(EffectKind.RECORD, body["id"], body["phoneNumber"], code)
        if code not in self.withdrawn:  # a removal that overtook its record
            self.recorded[code] = body
        return Response(status=204)

    def _withdraw(self, _: Granted, body: dict[str, Any], __: Request) -> Response:
        _only(body, {"id", "messenger", "identificationCode"})
        code = body["identificationCode"]
        self._hear(EffectKind.WITHDRAW, body["id"], code=code)
        self.recorded.pop(code, None)
        self.withdrawn.add(code)
        return Response(status=204)

    # --- what several of them need --------------------------------------------------------------

    def _hear(self, kind: EffectKind, call_id: str, number: str = "", code: str = "") -> None:
        heard = Heard(kind=kind, id=call_id, number=number, code=code)
        self._heard.setdefault((kind, call_id), heard)

    def _subscriber(self, number: str) -> Subscriber | None:
        return self.subscribers.setdefault(number, Subscriber())

    def _refuse(self, subscriber: Subscriber, api: str) -> None:
        if api in subscriber.refused:
            raise Refusal(*subscriber.refused[api])

    def _past(self, text: Any) -> date:
        if not isinstance(text, str) or not _DATE.fullmatch(text):
            raise Refusal(400, "INVALID_ARGUMENT")
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise Refusal(400, "INVALID_ARGUMENT") from None
        if day > self._now().date():
            raise Refusal(400, "OUT_OF_RANGE")
        return day

    def _identified(self, token: Granted, body: dict[str, Any], api: str) -> tuple[str, Subscriber]:
        given = body.get("phoneNumber")
        if given is not None and (not isinstance(given, str) or not _NUMBER.fullmatch(given)):
            raise Refusal(400, "INVALID_ARGUMENT")
        if token.number is not None and given is not None:
            raise Refusal(422, "UNNECESSARY_IDENTIFIER")
        number = token.number or given
        if number is None:
            raise Refusal(422, "MISSING_IDENTIFIER")
        subscriber = self._subscriber(number)
        if subscriber is None:
            raise Refusal(404, "IDENTIFIER_NOT_FOUND")
        self._refuse(subscriber, api)
        return number, subscriber


def _scopes(text: str) -> frozenset[str]:
    scopes = frozenset(text.split())
    if sum(each.startswith("dpv:") for each in scopes) != 1 or len(scopes) < 2:
        raise OAuthRefusal("invalid_scope")
    return scopes


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        raise Refusal(400, "INVALID_ARGUMENT") from None
    if not isinstance(body, dict):
        raise Refusal(400, "INVALID_ARGUMENT")
    return body


def _only(body: dict[str, Any], required: set[str], optional: set[str] = frozenset()) -> None:
    if not required <= body.keys() <= required | optional:
        raise Refusal(400, "INVALID_ARGUMENT")


def _json(status: int, body: dict[str, Any]) -> Response:
    headers = {"content-type": "application/json"}
    return Response(status=status, headers=headers, body=json.dumps(body).encode())


class Awaited:
    """The same operator for asyncio."""

    test_double = True

    def __init__(self, operator: CamaraOperator) -> None:
        self._operator = operator

    async def send(self, request: Request) -> Response:
        return self._operator.send(request)
