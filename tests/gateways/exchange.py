"""The other side of folders: an operator that takes files and brings files."""

from __future__ import annotations

import json
from pathlib import Path

from abonent.core.states import EffectKind
from abonent.errors import Misconfigured, Unavailable
from abonent.gateways.files import FilesGateway
from abonent.ports import Answer, LateAnswer, Query, RecordEntry, WithdrawEntry
from abonent.simulation import Reply
from abonent.testing import Heard

KINDS = {
    "questions": EffectKind.ASK_OPERATOR,
    "records": EffectKind.RECORD,
    "withdrawals": EffectKind.WITHDRAW,
}
OUTCOMES = {Reply.HELD, Reply.NOT_HELD, Reply.NOT_OURS, Reply.UNDETERMINED}


class Folders:
    """Three folders, and a gateway over them."""

    def __init__(self, root: Path, **options: object) -> None:
        self.outgoing, self.incoming, self.aside = (
            root / name for name in ("outgoing", "incoming", "aside")
        )
        for each in (self.outgoing, self.incoming, self.aside):
            each.mkdir(mode=0o700)
        self.gateway = self.reopened(**options)

    def reopened(self, **options: object) -> FilesGateway:
        return FilesGateway(
            "mts", outgoing=self.outgoing, incoming=self.incoming, aside=self.aside, **options
        )

    def shown(self) -> list[Path]:
        return sorted(self.outgoing.glob("[!.]*"))

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for each in self.shown() for line in each.read_text().splitlines()]

    def bring(self, name: str, *answers: tuple[str, str], end: int | None = -1) -> Path:
        """An answer file; `end=None`: without its end."""
        lines = [json.dumps({"id": query_id, "outcome": said}) for query_id, said in answers]
        if end is not None:
            lines.append(json.dumps({"end": len(answers) if end == -1 else end}))
        return self.bring_bytes(name, "".join(f"{each}\n" for each in lines).encode())

    def bring_bytes(self, name: str, content: bytes) -> Path:
        path = self.incoming / f"answers-{name}.jsonl"
        path.write_bytes(content)
        return path


class Exchange:
    """A gateway, and an operator that answers at once what it finds: both ways in one call.

    Files go out and come back within `ask`, so that the contract of gateways, which asks and is
    answered, can be held against a gateway whose every answer comes later.
    """

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.gateway = folders.gateway
        self.features = self.gateway.features
        self.reply = Reply.HELD
        self._heard: dict[tuple[EffectKind, str], Heard] = {}
        self._files = 0

    def show(self, reply: Reply) -> None:
        self.reply = reply
        # A folder that is full or not ours is what fails here, and it fails in `put`.
        faults = {Reply.UNAVAILABLE: Unavailable("full"), Reply.MISCONFIGURED: Misconfigured("no")}
        self.fault = faults.get(reply)

    fault: Exception | None = None

    def heard(self) -> list[Heard]:
        return list(self._heard.values())

    def ask(self, query: Query) -> Answer:
        answer = self._put(self.gateway.ask, query)
        if self.reply not in OUTCOMES:
            return answer
        self.folders.bring(f"{self._files}", *self._answers(query))
        self._files += 1
        found: list[LateAnswer] = []
        self.gateway.collect(lambda items: found.extend(items) or [None] * len(items))
        return next(
            Answer(outcome=each.outcome) for each in reversed(found) if each.query_id == query.id
        )

    def record(self, entry: RecordEntry) -> None:
        return self._put(self.gateway.record, entry)

    def withdraw(self, entry: WithdrawEntry) -> None:
        return self._put(self.gateway.withdraw, entry)

    def _put(self, call, what):
        if self.fault is not None:
            raise self.fault
        said = call(what)
        self.gateway.dispatch(at_once=True)
        for path in self.folders.shown():
            kind = KINDS[path.name.partition("-")[0]]
            for line in path.read_text().splitlines():
                told = json.loads(line)
                told.pop("messenger", None)
                self._heard.setdefault((kind, told["id"]), Heard(kind=kind, **told))
            path.unlink()
        return said

    def _answers(self, query: Query) -> list[tuple[str, str]]:
        return [(query.id, self.reply.value)]
