"""A journal, its log and its key in one folder, and the entries to fill it with."""

from __future__ import annotations

import random
from pathlib import Path

from abonent import MemoryStorage
from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint, VerifierKey
from abonent.audit.signing import Signer, create_key
from abonent.ports import Append, Storage, Unit
from tests.audit import naive

NAME = "example.com/abonent"
SPACE = "m"


def entries(count: int, *, seed: int = 0, subjects: int = 7) -> list[Append]:
    """Entries as a messenger's: a few subjects, numbered, with bodies that are random."""
    chance = random.Random(seed)
    names = [chance.randbytes(16) for _ in range(subjects)]
    numbers = dict.fromkeys(names, 0)
    made = []
    for _ in range(count):
        name = chance.choice(names)
        numbers[name] += 1
        made.append(Append(name, numbers[name], chance.randbytes(chance.randint(28, 90))))
    return made


class Ledger:
    """A journal with its log."""

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        self.root = folder
        self.folder = folder / "log"
        self.key_file = folder / "log.key"
        self.storage = MemoryStorage() if storage is None else storage
        if self.key_file.exists():
            self.key = VerifierKey.parse((folder / "log.key.vkey").read_text())
        else:
            self.key = create_key(self.key_file, NAME)

    def append(self, *appends: Append) -> None:
        self.storage.commit([Unit(SPACE, appends=appends)])

    def publish(self, storage: Storage | None = None, *, rebuild: bool = False) -> Checkpoint:
        with Signer(self.key_file) as signer:
            log = Log(self.folder, signer, rebuild=rebuild)
            return log.extend(storage or self.storage, SPACE)

    def note(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    def leaves(self) -> list[bytes]:
        """The hashes that the tree must have, by the format's description alone."""
        found = []
        for each in self.storage.journal(SPACE, 0, 10**6):
            head = b"\x01" + each.cursor.to_bytes(8, "big") + each.number.to_bytes(8, "big")
            subject = len(each.subject).to_bytes(2, "big") + each.subject
            found.append(naive.hash_leaf(head + subject + each.body))
        return found
