"""Every Python block of these pages is run; the blocks of one page share their names."""

import os

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

from tests.postgres import GIVEN, Server, run
from tests.smsc import PASSWORD, FaultyCentre


def serve(namespace):
    """Give a page a PostgreSQL server, where its reader would have one."""
    if GIVEN is None:
        namespace["_server"] = Server()  # it lives as long as somebody holds it
    place = GIVEN or namespace["_server"].conninfo
    run(place, "DROP SCHEMA IF EXISTS abonent CASCADE")
    os.environ["ABONENT_DATABASE"] = place


def end(namespace):
    """End the server of a page, and the sessions that the page has left open."""
    server = namespace.pop("_server", None)
    if server is not None:
        server.__exit__()


def take(namespace):
    """Give a page a message centre, where its reader would have one."""
    namespace["_centre"] = FaultyCentre().__enter__()
    os.environ["SMSC"] = f"127.0.0.1:{namespace['_centre'].port}"
    os.environ["SMSC_PASSWORD"] = PASSWORD


def leave(namespace):
    """End the centre; each of the page's users got a code by then, or the page did not say so."""
    numbers = [each.heard.number[-2:] for each in namespace["_centre"].taken]
    namespace["_centre"].__exit__()
    assert numbers == ["67", "68", "69"]


ON_POSTGRESQL = ["*how-to/postgresql.md", "*how-to/your-tables.md"]
PARSERS = [PythonCodeBlockParser(), SkipParser()]
pytest_collect_file = SybilCollection(
    [
        Sybil(
            parsers=PARSERS,
            patterns=ON_POSTGRESQL,
            excludes=["*/adr/*"],
            setup=serve,
            teardown=end,
        ),
        Sybil(parsers=PARSERS, patterns=["*send-codes.md"], setup=take, teardown=leave),
        Sybil(
            parsers=PARSERS,
            patterns=["*.md"],
            excludes=["_build/**/*.md", "_*.md", *ON_POSTGRESQL, "*how-to/send-codes.md"],
        ),
    ]
).pytest()
