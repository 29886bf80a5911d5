"""Every Python block of these pages is run; the blocks of one page share their names."""

import os

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

from tests.postgres import GIVEN, Server, run


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
        Sybil(
            parsers=PARSERS,
            patterns=["*.md"],
            excludes=["_build/**/*.md", "_*.md", *ON_POSTGRESQL],
        ),
    ]
).pytest()
