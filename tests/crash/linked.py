"""Killing either side of a link, again and again, while users are identified and numbers move.

Knows when to strike, and plays the operator's own systems, which repeat what they tell until they
are heard. Ends only processes that it has forked. Refuses to know what the stores must hold.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path

from attrs import define, field

from abonent import SubscriberNumber
from tests.crash.killing import HANGS, Life, Tally, born
from tests.crash.linked_judging import Begun, Ended, Heard, judge
from tests.crash.linked_lives import MOVING, Place, Wrong, chat, operate, warm_up
from tests.crash.messages import Mark, Message

KINDS = ("terminated", "reassigned", "ported", "number_changed")
TOLD_OF = (
    *("Passed", "CodeRecorded", "RecordWithdrawn", "NoticeReceived", "AttemptFailed"),
    *("LateAnswerIgnored", "StaleNoticeIgnored"),
)
"""Events whose count shows that something was put to the test."""
QUIET = 40.0
"""Seconds in which everything that is owed has to come through, once nobody dies any more."""


class Strike(Enum):
    """Who died, and when."""

    OPERATOR = "the operator, at any moment"
    IN_MOVEMENT = "the operator, while it was told of an end"
    MESSENGER = "the messenger, at any moment"
    IN_NOTICE = "the messenger, as a notice may come"
    BOTH = "both of them"


def free_port() -> int:
    """A port below those that the system gives out by itself, so that it is free again later."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@define
class Side:
    """One side, and the process in which it lives now, if it does."""

    run: Callable[[Callable[[Message], None]], None]
    heard: Heard
    life: Life | None = None

    def start(self) -> None:
        self.life = born(self.run)

    def hear(self, wait: float = 0.0) -> None:
        if self.life is None:
            return
        told = self.life.hear(wait)
        self.heard.hear(told or [])
        if told is None:
            self.heard.failures.append("a process ended by itself")

    @property
    def place(self) -> str:
        """The place that it said last to have reached."""
        told = [] if self.life is None else self.life.told
        return next((each.place for each in reversed(told) if isinstance(each, Mark)), "")

    def wait_for_its_start(self) -> None:
        until = time.monotonic() + HANGS
        while not self.place and not self.heard.failures:
            self.hear(0.05)
            if time.monotonic() > until:
                self.heard.failures.append("a process does not start")

    def kill(self) -> None:
        """Kill it, and hear what it told before."""
        if self.life is not None:
            with suppress(ProcessLookupError):
                self.life.kill()
            self._bury(self.life)

    def end(self) -> None:
        """Tell it to stop; it has to finish well."""
        if self.life is not None:
            life = self.life
            life.terminate()
            self._bury(life)
            if life.status != 0:
                self.heard.failures.append(f"told to stop, a process ended with {life.status}")

    def _bury(self, life: Life) -> None:
        known = len(life.told)
        life.end()
        self.heard.hear(life.told[known:])
        self.life = None


@define
class Systems:
    """The operator's own systems: they end subscriptions and begin them, and repeat themselves."""

    place: Place
    chance: random.Random
    heard: Heard
    pending: list[tuple[str, dict[str, str]]] = field(factory=list)
    told: int = 0

    def think(self) -> None:
        """Have something to tell: mostly of an end, otherwise of a beginning."""
        number = self.chance.choice(MOVING)
        if self.chance.random() < 0.6:
            self.told += 1
            body = {"kind": self.chance.choice(KINDS), "id": f"movement-{self.told}"}
            self.pending.append(("movements", {"phoneNumber": number.e164, **body}))
        else:
            self.pending.append(("subscribers", {"phoneNumber": number.e164}))

    def tell(self) -> None:
        """Tell what is pending, in order, as long as somebody listens."""
        while self.pending:
            path, body = self.pending[0]
            status = self._post(path, body)
            if status is None:
                return  # nobody heard, or nobody said so: it is told again
            if status not in (200, 204):
                self.heard.failures.append(f"{path} was refused with {status}")
            if path == "movements":
                self.heard.ended[-1].heard_at = datetime.now().astimezone()
            self.pending.pop(0)

    def begin_to_tell(self) -> http.client.HTTPConnection | None:
        """Tell of an end without waiting for whether it is heard."""
        if not self.pending:
            self.think()
        path, body = self.pending[0]
        connection = http.client.HTTPConnection("127.0.0.1", self.place.operator_port, timeout=2)
        try:
            self._request(connection, path, body)
        except OSError:
            connection.close()
            return None
        return connection

    def _post(self, path: str, body: dict[str, str]) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.place.operator_port, timeout=2)
        try:
            self._request(connection, path, body)
            reply = connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return reply.status

    def _request(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, str]
    ) -> None:
        # When it happened, or begins, is said once: whoever hears it again hears the same.
        instant = "happenedAt" if path == "movements" else "since"
        if instant not in body:
            at = datetime.now().astimezone()
            body[instant] = at.isoformat()
            number = SubscriberNumber(body["phoneNumber"])
            if path == "movements":
                self.heard.ended.append(Ended(number, body["kind"], at))
            else:
                self.heard.begun.append(Begun(number, at))
        headers = {"content-type": "application/json"}
        connection.request("POST", f"/_control/{path}", json.dumps(body), headers)

    def owes(self) -> int:
        """How many notices the operator owes still."""
        connection = http.client.HTTPConnection("127.0.0.1", self.place.operator_port, timeout=5)
        try:
            connection.request("GET", "/_control/owed-notices")
            return len(json.load(connection.getresponse())["notices"])
        finally:
            connection.close()


def kill_links(folder: Path, kills: int, seed: int, wrong: Wrong | None = None) -> Tally:
    """Kill one side or the other so many times, let what is owed come through, and judge."""
    if threading.active_count() != 1:
        raise RuntimeError("a process is forked from one without further threads")
    chance = random.Random(f"link {seed}")
    folder.mkdir(exist_ok=True)
    place = Place(folder, free_port(), free_port())
    heard, tally = Heard(), Tally()
    warm_up()
    link = _Link(
        operator=Side(partial(operate, place, seed, wrong), heard),
        messenger=Side(partial(chat, place, f"{seed}", wrong), heard),
        systems=Systems(place, chance, heard),
        heard=heard,
    )
    turns: list[Strike] = []
    try:
        link.begin()
        while tally.kills < kills and not heard.failures:
            if not turns:
                turns = chance.sample(tuple(Strike), len(Strike))
            strike = turns.pop()
            link.live(chance.uniform(0.1, 0.9))
            struck = link.strike(strike)
            tally.kills += 1
            tally.moments[strike.value] = tally.moments.get(strike.value, 0) + 1
            # Sometimes the next one dies while this one wakes.
            link.wake(struck, patiently=chance.random() < 0.7)
        link.come_to_rest(Side(partial(chat, place, "calm", wrong, calm=True), heard))
    finally:
        for side in (link.operator, link.messenger):
            side.kill()
    tally.acknowledged = heard.acknowledged
    tally.violations = heard.failures or judge(place, heard)
    tally.calls = {
        "ends told": len(heard.ended),
        "beginnings told": len(heard.begun),
        **{name: heard.happened[name] for name in TOLD_OF},
    }
    return tally


@define
class _Link:
    """Both sides and the operator's systems."""

    operator: Side
    messenger: Side
    systems: Systems
    heard: Heard

    def begin(self) -> None:
        self.wake((self.operator, self.messenger), patiently=True)

    def wake(self, sides: tuple[Side, ...], *, patiently: bool) -> None:
        for side in sides:
            side.start()
        for side in sides if patiently else ():
            side.wait_for_its_start()

    def live(self, seconds: float) -> None:
        """Let users act and numbers move."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.systems.chance.random() < 0.5:
                self.systems.think()
            self.systems.tell()
            self.operator.hear()
            self.messenger.hear(0.02)

    def strike(self, strike: Strike) -> tuple[Side, ...]:
        """Kill, in this way; return who died."""
        connection = None
        if strike in (Strike.IN_MOVEMENT, Strike.IN_NOTICE):
            connection = self.systems.begin_to_tell()
            longest = 0.02 if strike is Strike.IN_MOVEMENT else 0.15
            time.sleep(self.systems.chance.uniform(0, longest))
        struck = {
            Strike.OPERATOR: (self.operator,),
            Strike.IN_MOVEMENT: (self.operator,),
            Strike.MESSENGER: (self.messenger,),
            Strike.IN_NOTICE: (self.messenger,),
            Strike.BOTH: (self.operator, self.messenger),
        }[strike]
        for side in struck:
            side.kill()
        if connection is not None:
            connection.close()
        return struck

    def come_to_rest(self, calm: Side) -> None:
        """Let nobody act any more, and everything that is owed come through."""
        for side in (self.operator, self.messenger):
            side.wait_for_its_start()
        self.messenger.end()
        self.messenger = calm
        self.wake((calm,), patiently=True)
        until = time.monotonic() + QUIET
        while not self.heard.failures and not self._is_quiet():
            self.operator.hear()
            calm.hear(0.1)
            if time.monotonic() > until:
                self.heard.failures.append("not everything that is owed came through")
        for side in (calm, self.operator):
            side.end()

    def _is_quiet(self) -> bool:
        self.systems.tell()
        if self.systems.pending or self.systems.owes():
            return False
        self.messenger.hear()  # what the last notice led to
        return self.messenger.place == "quiet"
