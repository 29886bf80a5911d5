"""One target under atheris, in a process of its own: libFuzzer ends the process when it is done.

    python -m tests.fuzz.guided NAME SECONDS SEED CORPUS FINDINGS

Knows atheris and the options of libFuzzer. Refuses to know what a target promises.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

# The readers are instrumented for coverage, and of what they call the parsers.
READERS = ["abonent", "http_message_signatures", "http_sf", "phonenumbers.phonenumberutil"]
with atheris.instrument_imports(include=READERS):
    from tests.fuzz import targets

SLOWEST = 5
"""Seconds in which an input has to be read; a reader that takes longer hangs."""


def main(name: str, seconds: str, seed: str, corpus: str, findings: str) -> None:
    """Fuzz until the time is over or a promise is broken."""
    for number, each in enumerate(targets.target(name).seeds()):
        (Path(corpus) / f"seed-{number:04d}").write_bytes(each[: targets.LONGEST])
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={SLOWEST}",
        f"-max_len={targets.LONGEST}",
        f"-artifact_prefix={findings}/{name}-",
        "-verbosity=1",
        corpus,
    ]
    atheris.Setup([sys.argv[0], *options], lambda data: targets.run(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
