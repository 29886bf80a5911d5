"""A journal's log: how fast entries are added, a proof is made, all of it is checked.

python -m benchmarks.audit                     a million entries, on SQLite
python -m benchmarks.audit --entries 50000     fewer

Seconds are those of the clock; those of the processor, which a busy machine does not stretch, stand
beside them.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from abonent import SqliteStorage
from abonent.audit.evidence import Published, entry_at
from abonent.audit.log import Log
from abonent.audit.signing import Signer, create_key
from abonent.audit.verifying import verify, verify_entries
from abonent.ports import Append, Storage, Unit

_SPACE: Final = "m"
_BATCH: Final = 5_000
_BODY: Final = 180
"""Bytes of a sealed entry, as an identification leaves them."""
_PROOFS: Final = 1_000


def figures(folder: Path, entries: int) -> dict[str, float]:
    """Log so many entries, prove some and check all; the journal is filled before."""
    storage = SqliteStorage(folder / "journal.db", territory="RU")
    _fill(storage, entries)
    key = create_key(folder / "log.key", "example.com/benchmark")
    with Signer(folder / "log.key") as signer:
        began, worked = time.perf_counter(), time.process_time()
        Log(folder / "log", signer).extend(storage, _SPACE)
        taken, work = time.perf_counter() - began, time.process_time() - worked
    published = Published(folder / "log", key)
    made, checked = [], []
    for cursor in random.Random(1).sample(range(1, entries + 1), min(entries, _PROOFS)):
        entry = entry_at(storage, _SPACE, cursor)
        began = time.perf_counter()
        proof = published.prove(entry).text
        made.append(time.perf_counter() - began)
        began = time.perf_counter()
        verify_entries(proof, key)
        checked.append(time.perf_counter() - began)
    began = time.perf_counter()
    verify(folder / "log", key)
    whole = time.perf_counter() - began
    storage.close()
    return {
        "audit_entries_per_s": entries / taken,
        "audit_entries_per_cpu_s": entries / work,
        "audit_proof_ms": statistics.median(made) * 1e3,
        "audit_check_ms": statistics.median(checked) * 1e3,
        "audit_verified_per_s": entries / whole,
    }


def _fill(storage: Storage, entries: int) -> None:
    for first in range(0, entries, _BATCH):
        numbers = range(first, min(entries, first + _BATCH))
        appends = tuple(Append(os.urandom(16), each, os.urandom(_BODY)) for each in numbers)
        storage.commit([Unit(_SPACE, appends=appends)])


def main() -> None:
    """Read the command line and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit")
    parser.add_argument("--entries", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, value in figures(Path(folder), options.entries).items():
            print(f"{name:26} {value:12,.3f}")


if __name__ == "__main__":
    main()
