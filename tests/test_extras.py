"""A room without its extra says which one it is."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import abonent
from abonent.errors import SetupError

ROOM = Path(abonent.__file__).parent


@pytest.mark.parametrize(
    ("file", "missing", "extra"),
    [
        ("transport/network.py", "httpcore2", "abonent[http]"),
        ("gateways/camara/signing.py", "joserfc", "abonent[camara]"),
    ],
)
def test_what_is_missing_is_named(file, missing, extra, monkeypatch):
    """Whoever imports it hears what to install, and no bare ImportError."""
    monkeypatch.setitem(sys.modules, missing, None)
    spec = spec_from_file_location("without_its_extra", ROOM / file)
    with pytest.raises(SetupError) as caught:
        spec.loader.exec_module(module_from_spec(spec))
    assert f"install {extra}" in str(caught.value)
