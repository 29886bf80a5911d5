"""A messenger and a reference operator, as tests need them: in one process, or in two."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jwk

from abonent import (
    Agreement,
    Identifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Status,
)
from abonent.gateways.camara import (
    Api,
    CamaraGateway,
    CamaraLink,
    CamaraProfile,
    PrivateKeyJwt,
    Rate,
    Service,
    SigningKey,
)
from abonent.simulation import SimulatedRouter, SimulatedSender
from abonent.simulation.reference import Running, inbox_app, listening, url_of
from abonent.transport import Request, Response
from abonent.transport.http import HttpTransport
from abonent.wire import FetchedJwks, Inbox

X = "+79161234567"
Y = "+79262345678"
CHAT = "chat"
MTS = "mts"
PAIR = jwk.generate_key("EC", "P-256")
"""The messenger's key pair: it signs with one half, the operator has the other."""
VERSIONS = {
    Service.TENURE: "v0.2",
    Service.RECYCLING: "v0.2",
    Service.CODES: "v1",
    Service.VERIFICATION: "v2",
    Service.RECORDS: "v1",
}


def profile_of(root: str, operator: str = MTS, **changes: Any) -> CamaraProfile:
    given: dict[str, Any] = {
        "operator": operator,
        "authentication": PrivateKeyJwt(
            token_url=f"{root}/token",
            client_id=CHAT,
            key=SigningKey(PAIR.as_pem(private=True), alg="ES256"),
            backchannel_url=f"{root}/bc-authorize",
        ),
        "purpose": "dpv:FraudPreventionAndDetection",
        "apis": {each: Api(root=root, version=version) for each, version in VERSIONS.items()},
        "rate": Rate(calls=1000),
    }
    return CamaraProfile(**(given | changes))


class Chat:
    """A foreign messenger whose operator is reached over HTTP, and reaches it."""

    def __init__(self, root: str, inbox_url: str, transport: HttpTransport) -> None:
        self.root = root
        self.transport = transport
        self.sender = SimulatedSender()
        link = CamaraLink(profile_of(root), transport=transport)
        self.identifier = Identifier(
            messenger=Messenger(id=CHAT, kind=MessengerKind.FOREIGN),
            storage=MemoryStorage(),
            keys=MemoryKeys.random(),
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=[
                Agreement(
                    id="a",
                    messenger=CHAT,
                    operator=MTS,
                    starts=datetime(2026, 1, 1, tzinfo=UTC),
                )
            ],
            gateways={MTS: CamaraGateway(link)},
            router=SimulatedRouter(MTS),
            unsafe_test_doubles=True,
        )
        keys = FetchedJwks(f"{root}/.well-known/jwks.json", transport)
        self.inbox = Inbox(self.identifier, url=inbox_url, keys={MTS: keys})

    def identify(self, user: str, number: str = X) -> Status:
        self.identifier.claim(user, number)
        return self.identifier.prove(user, self.sender.code_for(number)).status

    def control(self, path: str, body: Any = None, method: str = "POST") -> Response:
        return self.transport.send(
            Request(
                url=f"{self.root}/_control/{path}",
                method=method,
                headers={} if body is None else {"content-type": "application/json"},
                body=b"" if body is None else json.dumps(body).encode(),
            )
        )

    def eventually(self, holds: Callable[[], bool], seconds: float = 20) -> bool:
        until = time.monotonic() + seconds
        while not holds() and time.monotonic() < until:
            self.identifier.sweep()
            time.sleep(0.02)
        return holds()


def files(folder: Path, numbers: tuple[str, ...] = (X,)) -> list[str]:
    """The files that a reference operator is started with, as options."""
    lines = ["number;since", *(f"{each};2020-01-01" for each in numbers)]
    (folder / "subscribers.csv").write_text("\n".join(lines))
    (folder / "chat.jwk").write_text(json.dumps(PAIR.as_dict(private=False)))
    return [
        *("--subscribers", str(folder / "subscribers.csv")),
        *("--messenger", CHAT, "--client-key", str(folder / "chat.jwk")),
        *("--operator", MTS, "--folder", str(folder / "operator"), "--port", "0"),
    ]


def started(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start `abonent operator serve` and return it with its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "abonent.cli", "operator", "serve", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


@contextmanager
def two_processes(folder: Path) -> Iterator[tuple[Chat, subprocess.Popen[str]]]:
    """A messenger in this process, its operator in another."""
    with ExitStack() as stack:
        listener = listening("127.0.0.1", 0)
        inbox_url = f"{url_of(listener)}/operators/notices"
        process, root = started(*files(folder), "--inbox", inbox_url)
        stack.enter_context(process)
        stack.callback(process.terminate)
        chat = Chat(root, inbox_url, stack.enter_context(HttpTransport()))
        stack.enter_context(chat.identifier)
        stack.enter_context(Running(inbox_app(chat.inbox, inbox_url), listener))
        yield chat, process
