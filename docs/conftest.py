"""Every Python block of these pages is run; the blocks of one page share their names."""

import os

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

from tests.postgres import GIVEN, Server, run
from tests.smsc import PASSWORD, FaultyCentre


def serve(namespace):
    """Give a page a PostgreSQL server, where its reader would have one."""
    server = GIVEN
    if not server:
        namespace["_server"] = Server()
        server = namespace["_server"].conninfo
    run(server, "DROP SCHEMA IF EXISTS abonent CASCADE")
    os.environ["ABONENT_DATABASE"] = server


def end(namespace):
    """End the server, if it was one of the page's own."""
    if "_server" in namespace:
        namespace["_server"].__exit__()


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


PARSERS = [PythonCodeBlockParser(), SkipParser()]
pytest_collect_file = SybilCollection(
    [
        Sybil(
            parsers=PARSERS,
            patterns=["*postgresql.md"],
            excludes=["*/adr/*"],
            setup=serve,
            teardown=end,
        ),
        Sybil(parsers=PARSERS, patterns=["*send-codes.md"], setup=take, teardown=leave),
        Sybil(
            parsers=PARSERS,
            patterns=["*.md"],
            excludes=[
                "_build/**/*.md",
                "_*.md",
                "*how-to/postgresql.md",
                "*how-to/send-codes.md",
            ],
        ),
    ]
).pytest()
