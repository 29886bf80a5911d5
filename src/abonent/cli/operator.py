"""The commands `abonent operator`: a reference operator to develop against.

Knows their options and what they say. Refuses to know HTTP.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="An operator to develop against.", no_args_is_help=True)


@app.callback()
def _operator() -> None:  # pyright: ignore[reportUnusedFunction]
    """An operator to develop against."""


@app.command()
def serve(
    *,
    subscribers: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV: number, since, and a state if it is over.")
    ],
    messengers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML: a table for each messenger that may call."),
    ] = None,
    messenger: Annotated[
        str | None, typer.Option(metavar="ID", help="The one messenger, in place of --messengers.")
    ] = None,
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its public key: a JWK or JWKS.")
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="Its client id; that of the messenger if not given.")
    ] = None,
    inbox: Annotated[
        str | None, typer.Option(metavar="URL", help="Where its notices and late answers go.")
    ] = None,
    operator: Annotated[str, typer.Option(metavar="ID", help="Whose operator's.")] = "operator",
    folder: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Where store and keys are kept; fresh if not given."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to serve at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")
    ] = 8765,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML: what is to go wrong, and how often.")
    ] = None,
    retry: Annotated[
        float,
        typer.Option(min=0.05, max=60, help="Seconds before a notice is tried again, at first."),
    ] = 5.0,
    unsafe_any_address: Annotated[
        bool,
        typer.Option("--unsafe-any-address", help="Allow an address that others can reach."),
    ] = False,
) -> None:
    """Serve a reference operator on loopback until SIGTERM: CAMARA's APIs, and signed notices.

    What runs is finished first. Nothing is sent to anybody but the messengers that are named.
    """
    check_installed()
    from abonent.operator import DeskPolicy
    from abonent.simulation import reference

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    if (messengers is None) is (messenger is None or client_key is None):
        raise typer.BadParameter("give --messengers, or --messenger with --client-key")
    if messengers is not None:
        clients = reference.read_clients(messengers)
    else:
        only = reference.Client(
            messenger=messenger or "",
            client_id=client_id or messenger or "",
            keys=reference.read_keys(client_key or Path()),
            inbox=inbox,
        )
        clients = (only,)
    listed = reference.read_subscribers(subscribers)
    asked_for = () if faults is None else reference.read_faults(faults)
    listener = reference.listening(host, port, unsafe_any_address=unsafe_any_address)
    with listener:
        first, url = timedelta(seconds=retry), reference.url_of(listener)
        setup = reference.Setup(
            operator=operator,
            url=url,
            folder=folder or Path(tempfile.mkdtemp(prefix="abonent-")),
            clients=clients,
            subscribers=listed,
            policy=DeskPolicy(retry_first=first, settle_after=min(first, timedelta(seconds=1))),
            faults=asked_for,
        )
        app = reference.app_of(reference.ReferenceOperator(setup))
        reference.serve(app, listener, lambda: typer.echo(f"{operator} at {url}"))


def check_installed() -> None:
    """End with status 2 if what is served over HTTP cannot be."""
    names = ("starlette", "uvicorn", "http_message_signatures", "httpcore2", "joserfc")
    if any(find_spec(each) is None for each in names):
        sys.stderr.write("abonent: a reference operator needs: pip install 'abonent[serve]'\n")
        raise typer.Exit(2)
