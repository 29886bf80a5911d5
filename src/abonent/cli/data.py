"""The commands `abonent data`: what is held about a person, and how it goes.

Knows options and exit statuses. Refuses to know what is held, and how it is said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What is held about a person, and how it goes.", no_args_is_help=True)

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
    ),
]
User = Annotated[str, typer.Option("--user", metavar="ID", help="Your id of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def report(
    target: Target,
    user: User,
    as_json: AsJson = False,
    show_number: Annotated[
        bool, typer.Option("--show-number", help="Show whole numbers, not their last two digits.")
    ] = False,
) -> None:
    """Say all that is held about a user: since when, under which clause, and until when.

    Exit status 0 also where nothing is held: that is an answer.
    """
    from abonent.cli.held import as_object, lines
    from abonent.cli.worker import found

    with found(target)() as identifier:
        holding = identifier.held_about(user)
    if as_json:
        typer.echo(json.dumps(as_object(holding, show_number), ensure_ascii=False, indent=2))
        return
    for line in lines(holding, show_number):
        typer.echo(line)


@app.command()
def forget(
    target: Target,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a user: number, indexes, state and the key of their journal. It cannot be undone.

    Operators are told to withdraw what they recorded. Exit status 0 also where nothing was held.
    """
    from abonent.cli.worker import found

    if not yes:
        typer.confirm("Erase all that is held about this user? It cannot be undone", abort=True)
    with found(target)() as identifier:
        was_held = identifier.forget(user)
    typer.echo("forgotten" if was_held else "nothing was held about this user")


@app.command()
def retain(
    target: Target,
    policy: Annotated[
        Path, typer.Option(metavar="FILE.toml", help="After how many days who is forgotten.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say only how many would be, by which rule.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget whoever need not be kept any more. Who is identified stays, whatever the file says.

    The file names rules and days: never_passed = 90, lost = 365, declared = 730.
    """
    from abonent.cli.retention import read_policy, walked
    from abonent.cli.worker import found

    told = read_policy(policy)
    with found(target)() as identifier:
        done = walked(identifier, told, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps(done.as_object()))
    else:
        for line in done.lines():
            typer.echo(line)
    if done.failed:
        raise typer.Exit(1)
