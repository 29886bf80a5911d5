"""The commands `abonent keys`: make a key, see what each is used for, turn to the next, retire one.

Knows their options, the order in which things are safe, and what they say. Refuses to know how a
record is resealed, and to print a key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from abonent.errors import InvalidValue, KeyInUse, KeyUnavailable

if TYPE_CHECKING:
    from abonent.engine.resealing import KeyUse
    from abonent.identifier import Identifier
    from abonent.keys import FileKeys, KeyIds, WrappedKeys
    from abonent.ports import KeyService

app = typer.Typer(help="The keys that seal what is stored.", no_args_is_help=True)

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
    ),
]
File = Annotated[Path, typer.Option("--file", metavar="FILE", help="The key file.")]
Service = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="MODULE:FUNCTION",
        help="A function of yours that returns a KeyService: the file holds wrapped keys.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def new(
    *,
    file: File,
    key_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="1 to 16 of a-z, 0-9 and '-'; by default the next."
        ),
    ] = None,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Make a key file with one key; or add a key to one, which opens and does not seal yet."""
    from abonent.keys import FileKeys, WrappedKeys

    made = not file.exists()
    if made:
        first = key_id or "k1"
        if service is None:
            FileKeys.create(file, first)
        else:
            WrappedKeys.create(file, _service(service), first)
        name = first
    else:
        name = _source(file, service).add(key_id)
    if as_json:
        typer.echo(json.dumps({"id": name, "current": made}))
    elif made:
        typer.echo(
            f"key {name} is made, and seals. Keep a copy of {file.name} where no copy of the"
        )
        typer.echo("database is: who has both reads all, and without it nothing opens any more.")
    else:
        typer.echo(f"key {name} is added, and does not seal yet. Next:")
        typer.echo(
            "1. Give the file to every process, and start each anew, so that all open with it."
        )
        typer.echo(f"2. Then: abonent keys rotate MODULE:FUNCTION --file {file} --to {name}")


@app.command("list")
def listed(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODULE:FUNCTION]",
            help="A function of yours that returns an Identifier: tell what is sealed under each.",
        ),
    ] = None,
    *,
    file: File,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Show which keys there are, which one seals, and what still needs each."""
    source = _source(file, service)
    ids = source.ids()
    wrapped_by: Mapping[str, str] = {}
    if service is not None:
        wrapped_by = cast("WrappedKeys", source).wrapped_by()
    uses: list[dict[str, Any]] = []
    if target is not None:
        with _identifier(target) as identifier:
            uses = _uses(identifier)
    told = [
        {**each, **({"wrapped_by": wrapped_by[each["id"]]} if each["id"] in wrapped_by else {})}
        for each in _together(ids, uses)
    ]
    if as_json:
        typer.echo(json.dumps({"current": ids.current, "keys": told}))
        return
    for each in told:
        typer.echo(_line(each))


@app.command()
def rotate(
    target: Target,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="With --to: the key file.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Make this key the current one first; all must know it."),
    ] = None,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Reseal under the current key what is sealed under older ones, while the service runs.

    Killed, it is started again. Exit status 0 if nothing is left under an older key, 1 if
    something is: what waits for a code to expire, or was written meanwhile by a process that was
    not started anew.
    """
    if (file is None) != (to is None):
        raise typer.BadParameter("--file and --to go together")
    from abonent.cli.resealing import reseal, shown

    if file is not None and to is not None:
        _source(file, service).use(to)
    with _identifier(target) as identifier:
        if to is not None and identifier._engine.archive.keyring.current != to:
            message = f"{target} does not take its keys from that file: key {to} does not seal"
            raise InvalidValue(message)
        with shown(identifier) as tell:
            done = reseal(identifier, tell)
        uses = _uses(identifier)
    left = any(each["records"] for each in uses if not each["current"])
    if as_json:
        counts = {"seen": done.seen, "resealed": done.resealed, "waiting": done.waiting}
        typer.echo(json.dumps({**counts, "left": left, "keys": uses}))
    else:
        typer.echo(f"records seen: {done.seen}, resealed: {done.resealed}, waiting: {done.waiting}")
        for each in uses:
            typer.echo(_line(each))
        typer.echo(_next(left, target))
    if left:
        raise typer.Exit(1)


@app.command()
def retire(
    target: Target,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key that is to go.")],
    *,
    file: File,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Remove a key under which nothing is sealed any more. One that is in use is refused."""
    source = _source(file, service)
    ids = source.ids()
    if key_id in ids.removed:
        _said({"id": key_id, "retired": True}, f"key {key_id} was retired before", as_json)
        return
    _check_removable(ids, key_id)
    with _identifier(target) as identifier:
        try:
            identifier.retire_key(key_id)
        except KeyInUse as error:
            if not as_json:
                raise
            told = {"code": error.code, "records": error.records, "retry_at": _iso(error.retry_at)}
            typer.echo(json.dumps({"id": key_id, "retired": False, **told}))
            raise typer.Exit(1) from None
    source.remove(key_id)
    line = f"key {key_id} is retired and no longer in {file.name}. Start every process anew."
    backups = "A backup of the database from before needs a copy of the key file from before."
    _said({"id": key_id, "retired": True}, f"{line}\n{backups}", as_json)


@app.command()
def rewrap(
    *,
    file: File,
    service: Annotated[
        str,
        typer.Option(metavar="MODULE:FUNCTION", help="A function that returns a KeyService."),
    ],
    as_json: AsJson = False,
) -> None:
    """Wrap every key of a file anew, once the service turned its own key. The keys stay."""
    source = cast("WrappedKeys", _source(file, service))
    before = source.wrapped_by()
    source.rewrap()
    after = source.wrapped_by()
    told = {each: {"before": before.get(each), "after": name} for each, name in after.items()}
    lines = [f"key {each}: {one['before']} → {one['after']}" for each, one in told.items()]
    _said(told, "\n".join(lines), as_json)


# --- small parts of the above -------------------------------------------------------


def _source(file: Path, service: str | None) -> FileKeys | WrappedKeys:
    from abonent.keys import FileKeys, WrappedKeys

    return FileKeys(file) if service is None else WrappedKeys(file, _service(service))


def _service(target: str) -> KeyService:
    from abonent.cli.worker import function_of

    made = function_of(target)()
    if not all(callable(getattr(made, each, None)) for each in ("wrap", "unwrap", "wrapped_by")):
        raise InvalidValue(f"{target} returned no KeyService")
    return cast("KeyService", made)


def _identifier(target: str) -> Identifier:
    from abonent.cli.worker import found

    return found(target)()


def _check_removable(ids: KeyIds, key_id: str) -> None:
    if key_id == ids.current:
        raise InvalidValue(f"key {key_id} is the current one: rotate to another first")
    if key_id not in ids.live:
        from abonent.keys.listing import check_key_id

        check_key_id(key_id)
        raise KeyUnavailable(f"there is no key {key_id} in the file", key_id=key_id)


def _uses(identifier: Identifier) -> list[dict[str, Any]]:
    """What the store says of each key; of an older one in use, until when as far as is known."""
    told: list[dict[str, Any]] = []
    for use in identifier.key_uses():
        retry_at = None
        if use.records and not use.current:
            try:
                identifier.check_retirable(use.key_id)
            except (KeyInUse, KeyUnavailable) as error:
                retry_at = error.retry_at
        told.append({**_use(use), "retry_at": _iso(retry_at)})
    return told


def _together(ids: KeyIds, uses: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the file says of each key, and what the store says; either may not know one."""
    used: dict[str, dict[str, Any]] = {each["id"]: each for each in uses}
    known = [*ids.live, *(each for each in used if each not in ids.live)]
    known += [each for each in ids.removed if each not in used]
    return [
        {
            **used.get(each, {"id": each}),
            "current": each == ids.current,
            "in_file": each in ids.live,
            "removed": each in ids.removed,
        }
        for each in known
    ]


def _use(use: KeyUse) -> dict[str, Any]:
    return {
        "id": use.key_id,
        "current": use.current,
        "records": use.records,
        "seals": use.seals,
        "clear_since": _iso(use.clear_since),
        "retirable_at": _iso(use.retirable_at),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _line(told: dict[str, Any]) -> str:
    role = "seals" if told["current"] else "opens"
    if told.get("removed"):
        role = "removed"
    elif told.get("in_file") is False:
        role = "NOT IN THE FILE"
    parts = [f"key {told['id']}: {role}"]
    if "records" in told:
        parts.append(f"records {told['records']}, seals {told['seals']}")
        if not told["current"]:
            parts.append(_when(told))
    if "wrapped_by" in told:
        parts.append(f"wrapped by {told['wrapped_by']}")
    return "; ".join(parts)


def _when(told: dict[str, Any]) -> str:
    if told["retirable_at"] is not None:
        return f"may be retired from {told['retirable_at']}"
    if told["retry_at"] is not None:
        return f"in use; not to be retired before {told['retry_at']}"
    return "in use" if told["records"] else "not seen to be clear: rotate"


def _next(left: bool, target: str) -> str:
    if not left:
        return "Nothing is left under an older key. Retire it from the instant given: keys retire."
    command = f"abonent keys rotate {target}"
    return (
        "Something is left: what waits ends by itself, and what seals under an older key still is "
        f"to be started anew. Then: {command}"
    )


def _said(told: dict[str, Any], line: str, as_json: bool) -> None:
    typer.echo(json.dumps(told) if as_json else line)
