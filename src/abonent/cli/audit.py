"""The commands `abonent audit`: publish checkpoints of the journal, make proofs, check them.

Knows their options, exit statuses and what they say. Refuses to know trees and signatures, and to
import a store or the engine where files are checked.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from abonent.errors import (
    AbonentError,
    EvidenceDamaged,
    EvidenceError,
    EvidenceForeign,
    EvidenceTampered,
    EvidenceUnavailable,
)

if TYPE_CHECKING:
    from abonent.audit.leaves import Opening
    from abonent.audit.log import Log
    from abonent.audit.notes import Checkpoint, VerifierKey
    from abonent.audit.verifying import Proven
    from abonent.engine.archive import Archive
    from abonent.identifier import Identifier

STATUSES: Final = ((EvidenceTampered, 3), (EvidenceDamaged, 4), (EvidenceForeign, 5))
"""Exit statuses of what does not hold. 1 is any other failure, 2 a command line that is none."""
_LONGEST_PAUSE: Final = 30.0
_log: Final = logging.getLogger("abonent")

app = typer.Typer(help="Evidence: checkpoints of the journal, and proofs.", no_args_is_help=True)
keys = typer.Typer(help="The key that signs checkpoints.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
    ),
]
Folder = Annotated[
    Path, typer.Option("--log", metavar="FOLDER", help="Where checkpoint and tiles are kept.")
]
Private = Annotated[
    Path, typer.Option("--key", metavar="FILE", help="The key's file, as `audit keys` made it.")
]
Public = Annotated[
    str,
    typer.Option("--key", metavar="VKEY", help="The log's public key, or a file that holds it."),
]
Since = Annotated[
    Path | None,
    typer.Option("--since", metavar="FILE", help="An older checkpoint, as it was published."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@keys.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; mode 0600.")],
    name: Annotated[
        str, typer.Option(help="The log's name for ever, such as example.com/abonent.")
    ],
) -> None:
    """Make a key. FILE.vkey gets the public part, for all who are to check checkpoints."""
    from abonent.audit.signing import create_key

    typer.echo(create_key(file, name))


@keys.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key's file.")],
) -> None:
    """Print the public part of a key."""
    from abonent.audit.signing import read_key

    typer.echo(read_key(file))


@app.command()
def checkpoint(
    target: Target,
    *,
    log: Folder,
    key: Private,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Fill an empty folder from the journal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Log what the journal has beyond the last checkpoint, and publish a new one."""
    from abonent.audit.log import Log
    from abonent.audit.signing import Signer

    with _judged(as_json), Signer(key) as signer, _archive(target) as archive:
        made = Log(log, signer, rebuild=rebuild).extend(archive.storage, archive.space)
        _tell(_checkpoint(made), as_json)


@app.command()
def watch(
    target: Target,
    *,
    log: Folder,
    key: Private,
    every: Annotated[
        float, typer.Option(min=0.01, max=86_400, help="Seconds between checkpoints.")
    ] = 60.0,
) -> None:
    """Publish a checkpoint again and again, until SIGTERM. One process does this for a log.

    A store that is out of reach is tried again, at growing pauses. What shows that something was
    tampered with ends it.
    """
    from abonent.audit.log import Log
    from abonent.audit.signing import Signer
    from abonent.cli.worker import told_to_stop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with (
        _judged(as_json=False),
        told_to_stop() as told,
        Signer(key) as signer,
        _archive(target) as archive,
    ):
        follow(Log(log, signer), archive, every, told)


def follow(log: Log, archive: Archive, every: float, told: SimpleQueue[None]) -> None:
    """Publish every so many seconds, until told to stop.

    Raises:
        AbonentError: in a way that trying again does not mend.
    """
    pause, size = 0.0, -1
    while not _stopped(told, pause):
        try:
            made = log.extend(archive.storage, archive.space)
        except AbonentError as error:
            if not error.retryable:
                raise
            pause = min(2 * max(pause, every), max(every, _LONGEST_PAUSE))
            _log.warning("abonent.audit_failed cause=%s pause=%.1f", error.code, pause)
            continue
        pause = every
        if made.size != size:
            size = made.size
            _log.info("abonent.checkpoint size=%d", size)


def _stopped(told: SimpleQueue[None], pause: float) -> bool:
    try:
        told.get(timeout=pause) if pause else told.get_nowait()
    except Empty:
        return False
    return True


@app.command()
def prove(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:FUNCTION]",
            help="A function of yours that returns an Identifier; not needed with --since.",
        ),
    ] = None,
    *,
    log: Folder,
    key: Public,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the proof.")],
    entry: Annotated[
        int | None, typer.Option(min=1, metavar="CURSOR", help="Prove one entry of the journal.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="Prove all entries about a user.")
    ] = None,
    opening: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --user: write the key (mode 0600) by which the entries can be read.",
        ),
    ] = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Write a proof that an entry or a user's history is logged, or that the log only grew.

    Entries are in it as they are stored, sealed: it names no user and no number. Who is to read
    them needs the opening as well, which opens all entries about that user.
    """
    if [entry, user, since].count(None) != 2 or (since is None and target is None):
        raise typer.BadParameter("give MODULE:FUNCTION and --entry or --user, or else --since")
    if opening is not None and user is None:
        raise typer.BadParameter("--opening goes with --user")
    from abonent.audit.disk import put
    from abonent.audit.evidence import Published, entry_at, history_of
    from abonent.audit.verifying import checkpoint_in

    with _judged(as_json):
        public = _public(key)
        published = Published(log, public)
        told: dict[str, Any] = {**_checkpoint(published.checkpoint), "entries": 0, "unlogged": 0}
        if since is not None:
            put(out, published.prove_extension(checkpoint_in(since, public)).text)
        else:
            with _service(target or "") as identifier:
                if user is not None:
                    history = history_of(published, identifier, user)
                    put(out, history.text)
                    told.update(entries=len(history.proofs), unlogged=history.unlogged)
                    if opening is not None:
                        put(opening, history.opening.text.encode(), 0o600)
                else:
                    archive = identifier._engine.archive
                    found = entry_at(archive.storage, archive.space, entry or 0)
                    put(out, published.prove(found).text)
                    told["entries"] = 1
        _tell(told, as_json)


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A proof, a checkpoint, or a log's folder.")
    ],
    *,
    key: Public,
    since: Since = None,
    entry: Annotated[
        int | None, typer.Option(metavar="CURSOR", help="It has to be the proof of this entry.")
    ] = None,
    opening: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read what the entries of a proof tell.")
    ] = None,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="With --opening: show the numbers as well.")
    ] = False,
    journal: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION", help="With a folder: compare your database with it, too."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check what the owner of a log shows. Files and the public key are enough.

    Exit status 0: it holds. 3: something was tampered with. 4: a file is damaged. 5: it is another
    log's, or another key's. 1: it could not be checked.
    """
    if journal is not None and not path.is_dir():
        raise typer.BadParameter("--journal goes with a log's folder")
    if numbers and opening is None:
        raise typer.BadParameter("--numbers goes with --opening")
    from abonent.audit.verifying import checkpoint_in
    from abonent.audit.verifying import verify as check

    with _judged(as_json):
        public = _public(key)
        older = None if since is None else checkpoint_in(since, public)
        proven = check(path, public, older)
        if not proven.entries and (entry is not None or opening is not None):
            raise typer.BadParameter("--entry and --opening go with a proof of entries")
        if entry is not None and [each.cursor for each in proven.entries] != [entry]:
            message = "this is not the proof of that entry"
            raise EvidenceTampered(message, finding="other_entry", where=f"cursor {entry}")
        told = {"ok": True, **_proven(proven)}
        if opening is not None:
            told["history"] = _history(proven, _opening(opening), numbers)
        if journal is not None:
            _compare(path, proven.checkpoint, journal)
            told["journal"] = f"its first {proven.checkpoint.size} entries are as they were logged"
        _tell(told, as_json)


# --- small parts of the above -------------------------------------------------------


@contextmanager
def _judged(as_json: bool) -> Generator[None]:
    """Say what does not hold, with an exit status of its own."""
    try:
        yield
    except EvidenceError as error:
        status = next((each for kind, each in STATUSES if isinstance(error, kind)), 1)
        if as_json:
            told = {"ok": False, "code": error.code, "finding": error.finding}
            typer.echo(json.dumps({**told, "where": error.where}))
        else:
            sys.stderr.write(f"abonent: {error}. {error.remedy}\n")
        raise typer.Exit(status) from None


@contextmanager
def _service(target: str) -> Generator[Identifier]:
    from abonent.cli.worker import found

    with found(target)() as identifier:
        yield identifier


@contextmanager
def _archive(target: str) -> Generator[Archive]:
    with _service(target) as identifier:
        yield identifier._engine.archive


def _public(text: str) -> VerifierKey:
    from abonent.audit.notes import LONGEST, VerifierKey

    if text.count("+") > 1 and "\n" not in text:
        return VerifierKey.parse(text)
    return VerifierKey.parse(_read(Path(text), LONGEST).decode("utf-8", "replace"))


def _opening(path: Path) -> Opening:
    from abonent.audit.leaves import Opening

    return Opening.parse(_read(path, 1024))


def _read(path: Path, longest: int) -> bytes:
    from abonent.audit.disk import read

    data = read(path, longest)
    if data is None:
        raise EvidenceUnavailable("there is no such file", finding="file", where=path.name)
    return data


def _checkpoint(made: Checkpoint) -> dict[str, Any]:
    return {"log": made.origin, "size": made.size, "root": made.root.hex()}


def _proven(proven: Proven) -> dict[str, Any]:
    entries = [{"cursor": each.cursor, "number": each.number} for each in proven.entries]
    found: dict[str, Any] = {**_checkpoint(proven.checkpoint), "extends": proven.extends}
    return {**found, "entries": entries, "whole": proven.whole}


def _history(proven: Proven, opening: Opening, numbers: bool) -> list[dict[str, str]]:
    from abonent.cli.telling import words
    from abonent.errors import RecordDamaged
    from abonent.records import decode_entry

    told: list[dict[str, str]] = []
    for leaf in proven.entries:
        try:
            events = decode_entry(opening.open(leaf)).events
        except RecordDamaged:
            message = "the entry opens, and is none that abonent writes"
            where = f"cursor {leaf.cursor}"
            raise EvidenceDamaged(message, finding="entry", where=where) from None
        for event in events:
            line = {"at": event.at.isoformat(), "what": words(event)}
            number = getattr(event, "number", None)
            told.append({**line, "number": number.e164} if numbers and number else line)
    return told


def _compare(folder: Path, made: Checkpoint, target: str) -> None:
    from abonent.audit.comparing import compare
    from abonent.audit.tiles import Tiles

    with _archive(target) as archive:
        compare(archive.storage, archive.space, Tiles(folder, made.size))


def _tell(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told))
        return
    for name, value in told.items():
        if value is None or (name == "whole" and not told["entries"]):
            continue  # nothing was said of it
        several = cast("list[dict[str, Any]]", value) if isinstance(value, list) else [{"": value}]
        for each in several:
            parts = [f"{_NAMED.get(key, key)} {what}".strip() for key, what in each.items()]
            typer.echo(f"{name}: {', '.join(parts)}")


_NAMED: Final = {"at": "", "what": ""}
"""What needs no name before it: an instant, and a sentence."""
