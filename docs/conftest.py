"""Every Python block of these pages is run; the blocks of one page share their names."""

import os
import tempfile
from pathlib import Path

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

from tests.postgres import GIVEN, Server, run


def serve(_):
    """Give a page a PostgreSQL server, where its reader would have one."""
    server = GIVEN or Server(Path(tempfile.mkdtemp(prefix="abonent-docs-"))).conninfo
    run(server, "DROP SCHEMA IF EXISTS abonent CASCADE")
    os.environ["ABONENT_DATABASE"] = server


PARSERS = [PythonCodeBlockParser(), SkipParser()]
pytest_collect_file = SybilCollection(
    [
        Sybil(parsers=PARSERS, patterns=["*postgresql.md"], excludes=["*/adr/*"], setup=serve),
        Sybil(
            parsers=PARSERS,
            patterns=["*.md"],
            excludes=["_build/**/*.md", "_*.md", "*how-to/postgresql.md"],
        ),
    ]
).pytest()
