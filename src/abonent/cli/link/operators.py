"""The operators' process of the demo: three reference operators behind one port.

Knows a plan and how to stand ready. Refuses to know the messenger's story. It ends when it is told
to, or when whoever started it is gone.

    python -m abonent.cli.link.operators PLAN.json
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from abonent.operator import DeskPolicy
from abonent.simulation.reference import (
    Fault,
    ReferenceOperator,
    Setup,
    What,
    app_of,
    listening,
    read_clients,
    read_subscribers,
    serve,
    url_of,
)

POLICY: Final = DeskPolicy(
    lease=timedelta(seconds=6),
    retry_first=timedelta(milliseconds=200),
    retry_longest=timedelta(seconds=1),
    settle_after=timedelta(milliseconds=50),
)
FAULTS: Final = (
    Fault(at="*", what=What.UNAVAILABLE, share=0.02),
    Fault(at="*", what=What.LOST, share=0.01),
    Fault(at="notices", what=What.UNAVAILABLE, share=0.1),
    Fault(at="notices", what=What.WRONG_SIGNATURE, share=0.05),
    Fault(at="notices", what=What.LOST, share=0.05),
    Fault(at="notices", what=What.TWICE, share=0.05),
)
"""What goes wrong on the link."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be served: for each operator there is a file of subscribers in the folder."""

    folder: str
    operators: list[str]
    seed: int


class Ready(Struct, frozen=True, kw_only=True):
    """What is said once it is: where each operator is."""

    urls: dict[str, str]


def stand_ready(plan: Plan) -> None:
    """Serve the operators of a plan until told to stop."""
    folder = Path(plan.folder)
    clients = read_clients(folder / "messengers.toml")
    listener = listening("127.0.0.1", 0)
    root = url_of(listener)
    operators = [
        ReferenceOperator(
            Setup(
                operator=each,
                url=f"{root}/{each}",
                folder=folder / each,
                clients=clients,
                subscribers=read_subscribers(folder / f"{each}.csv"),
                policy=POLICY,
                faults=FAULTS,
                seed=plan.seed,
            )
        )
        for each in plan.operators
    ]
    ready = Ready(urls={each.setup.operator: each.url for each in operators})

    def say() -> None:
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
        sys.stdout.flush()

    threading.Thread(target=_watch, daemon=True).start()
    serve(app_of(*operators), listener, say)


def _watch() -> None:
    """End with whoever started us: our input ends with them."""
    # By its number: the buffer of `sys.stdin` must not be waited in when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stand_ready(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
