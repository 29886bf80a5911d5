"""Both sides of the demo and what is between them: files, a process, an inbox, gateways.

Knows how they are started, reached and ended. Refuses to know the story.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from attrs import define, field, frozen
from joserfc import jwk

from abonent.cli.cast import OPERATORS, Phones, PresentOperators
from abonent.cli.link.operators import Plan, Ready
from abonent.core.agreements import Agreement
from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.states import NoticeKind
from abonent.engine.observing import Observed
from abonent.errors import AbonentError, SetupError
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
from abonent.identifier import Identifier
from abonent.ports import Answer, Query, RecordEntry, WithdrawEntry
from abonent.possession import OneTimeCodes
from abonent.sealing import FileKeys
from abonent.simulation.reference import Subscriber
from abonent.stores import SqliteStorage
from abonent.transport import Request
from abonent.transport.http import HttpTransport

MESSENGER: Final = Messenger(id="foreign", kind=MessengerKind.FOREIGN)
POLICY: Final = Policy(
    lease=timedelta(seconds=6),
    retry_first=timedelta(milliseconds=200),
    retry_longest=timedelta(seconds=1),
    settle_after=timedelta(milliseconds=50),
    resend_after=timedelta(seconds=1),
)
_ENDING: Final = 30
"""Seconds in which the operators' process is to end once it is told to."""
_PAUSE: Final = 0.05


class OperatorsLost(SetupError):
    """The operators' process did not start, ended by itself, or refused a control call."""

    code: ClassVar[str] = "OPERATORS_LOST"
    remedy: ClassVar[str] = "Read operators.log in the folder that is named."


# --- the operators ----------------------------------------------------------------------


@frozen
class Operators:
    """The operators' process, and the control endpoints of each operator in it."""

    process: subprocess.Popen[bytes]
    urls: Mapping[str, str]
    transport: HttpTransport
    folder: Path

    def call(self, operator: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call a control endpoint; return what it replies, if anything.

        Raises:
            OperatorsLost: it refuses, or is gone.
        """
        kind = {} if body is None else {"content-type": "application/json"}
        request = Request(
            url=f"{self.urls[operator]}/_control/{path}",
            method="GET" if body is None else "POST",
            headers=kind,
            body=b"" if body is None else msgspec.json.encode(body),
            timeout=30.0,
        )
        reply = self.transport.send(request)
        if reply.status not in (200, 204):
            raise OperatorsLost(f"{operator} replies {reply.status}; see {self.folder}")
        return msgspec.json.decode(reply.body) if reply.body else {}

    def end(self, operator: str, number: SubscriberNumber, kind: NoticeKind, movement: str) -> int:
        """End a subscription; return how many messengers have to be told."""
        body = {"phoneNumber": number.e164, "kind": kind.value, "id": movement}
        owed: int = self.call(operator, "movements", body)["notices"]
        return owed

    def add(self, operator: str, number: SubscriberNumber) -> None:
        """Let an operator have a subscriber with this number from now on."""
        self.call(operator, "subscribers", {"phoneNumber": number.e164})


def write_files(
    folder: Path, subscribers: Mapping[str, Mapping[SubscriberNumber, Subscriber]], inbox: str
) -> SigningKey:
    """Write what the operators' process reads; return the key that only the messenger has."""
    for operator, listed in subscribers.items():
        lines = ["number;since;state"]
        lines += [
            f"{number.e164};{each.since.isoformat()};{each.state.value}"
            for number, each in listed.items()
        ]
        with _closed(folder / f"{operator}.csv").open("w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    pair = jwk.generate_key("EC", "P-256")
    (folder / "foreign.jwk").write_text(json.dumps(pair.as_dict(private=False)), "utf-8")
    table = f'[{MESSENGER.id}]\nkeys = "foreign.jwk"\ninbox = "{inbox}"\n'
    (folder / "messengers.toml").write_text(table, "utf-8")
    return SigningKey(pair.as_pem(private=True), alg="ES256")


def _closed(path: Path) -> Path:
    path.touch(mode=0o600)
    return path


@contextmanager
def operators_of(folder: Path, seed: int, transport: HttpTransport) -> Generator[Operators]:
    """Start the operators' process, and end it: it has to finish what it does.

    Raises:
        OperatorsLost: it does not start, or does not end well.
    """
    plan = folder / "plan.json"
    plan.write_bytes(
        msgspec.json.encode(Plan(folder=str(folder), operators=list(OPERATORS), seed=seed))
    )
    with ExitStack() as stack:
        log = stack.enter_context((folder / "operators.log").open("wb"))
        process = stack.enter_context(
            subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "abonent.cli.link.operators", str(plan)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        )
        stack.callback(process.terminate)
        line = b"" if process.stdout is None else process.stdout.readline()
        if not line:
            raise OperatorsLost(f"the operators did not start; see {folder}")
        ready = msgspec.json.decode(line, type=Ready)
        for each in OPERATORS:
            (folder / f"{each}.csv").unlink()  # it was read; from now on numbers are sealed
        yield Operators(process, ready.urls, transport, folder)
        process.terminate()
        if process.wait(_ENDING) != 0:
            raise OperatorsLost(f"the operators ended with {process.returncode}; see {folder}")


# --- the messenger ----------------------------------------------------------------------


class Link:
    """A gateway that keeps count of what was acknowledged, and learns where numbers went.

    What an operator says of a number that is not its own any more is, in this demo, what the
    national base of ported numbers says as well.
    """

    test_double = True

    def __init__(self, gateway: CamaraGateway, operator: str, present: PresentOperators) -> None:
        self.features = gateway.features
        self.recorded: set[str] = set()
        self._gateway = gateway
        self._operator = operator
        self._present = present

    def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`."""
        answer = self._gateway.ask(query)
        if answer.outcome is Outcome.NOT_OURS and not self._present.ported(query.number):
            self._present.port(query.number, self._operator)
        return answer

    def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        self._gateway.record(entry)
        self.recorded.add(entry.code)

    def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        self._gateway.withdraw(entry)


@define
class Counted:
    """What the messenger's side tells of itself."""

    facts: Counter[str] = field(factory=Counter)
    _mutex: threading.Lock = field(factory=threading.Lock)

    def __call__(self, fact: Observed) -> None:
        """Count a fact."""
        with self._mutex:
            self.facts[fact.what] += fact.count


@frozen
class Chat:
    """The messenger: an identifier, its links, and the phones of its users."""

    identifier: Identifier
    links: Mapping[str, Link]
    phones: Phones
    counted: Counted

    def has_recorded(self, code: str) -> bool:
        """Tell whether an operator has acknowledged the record of a code."""
        return any(code in each.recorded for each in self.links.values())


def profile_of(operator: str, url: str, key: SigningKey) -> CamaraProfile:
    """Return what is agreed with a reference operator."""
    return CamaraProfile(
        operator=operator,
        authentication=PrivateKeyJwt(token_url=f"{url}/token", client_id=MESSENGER.id, key=key),
        purpose="dpv:FraudPreventionAndDetection",
        apis={
            Service.TENURE: Api(root=url, version="v0.2"),
            Service.RECORDS: Api(root=url, version="v1"),
        },
        timeout=timedelta(seconds=2),
        rate=Rate(calls=10_000),
    )


@contextmanager
def chat_of(
    database: Path,
    operators: Operators,
    present: PresentOperators,
    key: SigningKey,
) -> Generator[Chat]:
    """Open the messenger's identifier, and sweep for as long as it is open."""
    links = {
        name: Link(
            CamaraGateway(CamaraLink(profile_of(name, url, key), transport=operators.transport)),
            name,
            present,
        )
        for name, url in operators.urls.items()
    }
    phones, counted = Phones(), Counted()
    with (
        Identifier(
            messenger=MESSENGER,
            storage=SqliteStorage(database, territory="RU"),
            keys=FileKeys.create(database.with_name(database.name + ".keys")),
            possession=OneTimeCodes(phones, prompt=True),
            agreements=[
                Agreement(
                    id=f"agreement-with-{each}",
                    messenger=MESSENGER.id,
                    operator=each,
                    starts=datetime.now(UTC) - timedelta(days=90),
                )
                for each in links
            ],
            gateways=links,
            router=present,
            policy=POLICY,
            observer=counted,
            unsafe_test_doubles=True,
        ) as identifier,
        _sweeping(identifier),
    ):
        yield Chat(identifier, links, phones, counted)


@contextmanager
def _sweeping(identifier: Identifier) -> Generator[None]:
    over = threading.Event()

    def sweep() -> None:
        while not over.wait(_PAUSE):
            try:
                identifier.sweep()
            except AbonentError as error:
                logging.getLogger("abonent").warning("abonent.sweep_failed cause=%s", error.code)

    thread = threading.Thread(target=sweep, name="sweeping")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def logged_to(path: Path) -> Generator[None]:
    """Let what the library logs go to a file: here things go wrong on purpose."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("abonent", "uvicorn")]
    for each in loggers:
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)
        handler.close()
