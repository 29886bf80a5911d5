"""The room without its extra, and the package without the room."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("missing", ["http_message_signatures", "joserfc"])
def test_what_is_missing_is_named(missing):
    """Who did not install the extra hears which one it is."""
    told = run(f"import sys; sys.modules[{missing!r}] = None; import abonent.wire.inbox")
    assert "pip install 'abonent[http]'" in told


def test_the_package_does_not_load_the_extra():
    """`import abonent` and all its names do without what the extra brings."""
    told = run(
        "import sys, abonent\n"
        "for name in abonent.__all__: getattr(abonent, name)\n"
        "print({'http_message_signatures', 'joserfc', 'abonent.wire'} & set(sys.modules))"
    )
    assert "set()" == told.strip()
