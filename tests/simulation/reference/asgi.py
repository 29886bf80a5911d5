"""A reference operator in this process, asked without a socket.

Every reply is held to the description that the operator publishes of itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from joserfc import jwk, jwt
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from abonent import SubscriberNumber
from abonent.simulation import SimulatedClock
from abonent.simulation.reference import (
    Client,
    ReferenceOperator,
    Setup,
    Subscriber,
    SubscriberState,
    app_of,
    public_keys,
)
from abonent.transport import Request, Response

ROOT = "http://127.0.0.1:8765"
TOKEN_URL = f"{ROOT}/token"
BACKCHANNEL_URL = f"{ROOT}/bc-authorize"
INBOX = "https://chat.example/operators/notices"
PURPOSE = "dpv:FraudPreventionAndDetection"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CIBA = "urn:openid:params:grant-type:ciba"
CHAT, OTHER = "chat", "talk"
HELD, ENDED, PORTED, MACHINE, STRANGER, BARRED = (f"+7916000000{digit}" for digit in range(1, 7))
PAIRS = {each: jwk.generate_key("EC", "P-256") for each in (CHAT, OTHER)}
TENURE = "/kyc-tenure/v0.2/check-tenure"
RECYCLING = "/number-recycling/v0.2/check"
SEND = "/one-time-password-sms/v1/send-code"
VALIDATE = "/one-time-password-sms/v1/validate-code"
VERIFY = "/number-verification/v2/verify"
RECORD = "/abonent-records/v1/record"
WITHDRAW = "/abonent-records/v1/withdraw"
SCOPES = {
    TENURE: "kyc-tenure:check-tenure",
    RECYCLING: "number-recycling:check",
    SEND: "one-time-password-sms:send-validate",
    VALIDATE: "one-time-password-sms:send-validate",
    VERIFY: "number-verification:verify",
    RECORD: "abonent-records:write",
    WITHDRAW: "abonent-records:write",
}


def clients(**changes: Any) -> tuple[Client, ...]:
    return tuple(
        Client(
            messenger=name,
            client_id=f"{name}-at-mts",
            keys=public_keys(pair.as_dict(private=False)),
            **({"inbox": INBOX} if name == CHAT else {}) | changes,
        )
        for name, pair in PAIRS.items()
    )


def subscribers(now: datetime) -> dict[SubscriberNumber, Subscriber]:
    long_ago = now - timedelta(days=1000)
    states = {
        HELD: SubscriberState.ACTIVE,
        ENDED: SubscriberState.ENDED,
        PORTED: SubscriberState.PORTED,
        MACHINE: SubscriberState.UNDETERMINED,
        BARRED: SubscriberState.BARRED,
    }
    return {
        SubscriberNumber(number): Subscriber(since=long_ago, state=state)
        for number, state in states.items()
    }


class Inboxes:
    """An asynchronous transport to messengers: keeps what was posted and replies as told."""

    def __init__(self) -> None:
        self.posted: list[Request] = []
        self.statuses: list[int] = []

    async def send(self, request: Request) -> Response:
        self.posted.append(request)
        return Response(status=self.statuses.pop(0) if self.statuses else 204)


class Reached:
    """An operator, and how to call it as a messenger does."""

    def __init__(self, http: TestClient, operator: ReferenceOperator, inboxes: Inboxes) -> None:
        self.http = http
        self.operator = operator
        self.inboxes = inboxes
        self.clock: Any = operator.clock
        self.description = http.get("/openapi.json").json()

    # what a messenger sends

    def assertion(
        self, client: str = CHAT, *, pair: Any = None, alg: str = "ES256", **claims: Any
    ) -> str:
        now = int(self.clock.now().timestamp())
        said = {
            "iss": f"{client}-at-mts",
            "sub": f"{client}-at-mts",
            "aud": TOKEN_URL,
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid4()),
        } | claims
        said = {name: value for name, value in said.items() if value is not ...}
        return jwt.encode({"alg": alg}, said, pair or PAIRS[client], algorithms=[alg])

    def form(self, path: str, **fields: Any) -> Any:
        given = {name: value for name, value in fields.items() if value is not ...}
        return self.checked(
            "POST",
            path,
            content=urlencode(given),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )

    def grant(self, *scopes: str, client: str = CHAT, **fields: Any) -> Any:
        given = {
            "grant_type": "client_credentials",
            "scope": " ".join((PURPOSE, *scopes)),
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(client),
        }
        return self.form("/token", **(given | fields))

    def token(self, *scopes: str, client: str = CHAT) -> str:
        reply = self.grant(*scopes, client=client)
        assert 200 == reply.status_code, reply.text
        return reply.json()["access_token"]

    def by_bearer(self, subject: str, *scopes: str) -> Any:
        assertion = self.assertion(sub=subject, scope=" ".join((PURPOSE, *scopes)))
        return self.form("/token", grant_type=JWT_BEARER, assertion=assertion)

    def call(
        self,
        path: str,
        body: Any,
        *,
        token: str | None = None,
        client: str = CHAT,
        **headers: str,
    ) -> Any:
        value = token or self.token(SCOPES[path], client=client)
        given = {"authorization": f"Bearer {value}", "content_type": "application/json"}
        return self.checked(
            "POST",
            path,
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={
                name.replace("_", "-"): value.encode("latin-1")
                for name, value in (given | headers).items()
            },
        )

    def control(self, path: str, body: Any = None, method: str | None = None) -> Any:
        if body is None:
            return self.checked(method or "GET", f"/_control/{path}")
        return self.checked(
            method or "POST",
            f"/_control/{path}",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )

    def faults(self, *several: dict[str, Any]) -> None:
        assert 204 == self.control("faults", {"faults": list(several)}, "PUT").status_code

    def move(self, number: str = HELD, kind: str = "terminated", **more: Any) -> Any:
        return self.control("movements", {"phoneNumber": number, "kind": kind, **more})

    def tenure(self, number: str = HELD, **more: Any) -> Any:
        return self.call(TENURE, {"phoneNumber": number, "tenureDate": "2020-01-01"}, **more)

    def record(self, code: str = "code-1", number: str = HELD, **more: Any) -> Any:
        body = {
            "id": f"{code}.record",
            "messenger": more.get("client", CHAT),
            "phoneNumber": number,
            "identificationCode": code,
        }
        return self.call(RECORD, body | more.pop("body", {}), **more)

    # what the description says of a reply

    def checked(self, method: str, url: str, **options: Any) -> Any:
        reply = self.http.request(method, url, **options)
        told = self.description["paths"].get(urlsplit(url).path, {}).get(method.lower())
        if told is not None:
            self._check(told["responses"], reply)
        return reply

    def _check(self, responses: dict[str, Any], reply: Any) -> None:
        told = responses.get(str(reply.status_code))
        assert told is not None, f"{reply.status_code} is not described: {reply.text}"
        if reply.status_code == 204:
            assert b"" == reply.content
            return
        content = told["content"][reply.headers["content-type"]]
        schema = content["schema"] | {"components": self.description["components"]}
        Draft202012Validator(schema).validate(reply.json())


@contextmanager
def reached(folder: Path, clock: SimulatedClock | None = None, **changes: Any) -> Iterator[Reached]:
    clock = clock or SimulatedClock()
    given: dict[str, Any] = {
        "operator": "mts",
        "url": ROOT,
        "folder": folder,
        "clients": clients(),
        "subscribers": subscribers(clock.now()),
    }
    inboxes = Inboxes()
    operator = ReferenceOperator(Setup(**(given | changes)), clock=clock, transport=inboxes)
    app = app_of(operator)
    with TestClient(app, base_url=ROOT, client=("127.0.0.1", 50000)) as http:
        yield Reached(http, operator, inboxes)


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
