"""What a how-to calls a whole file is run as one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def blocks_of(page: str) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```", (HOW_TO / page).read_text(), re.DOTALL | re.MULTILINE
    )


@pytest.mark.slow
def test_the_contract_of_gateways_takes_fifteen_lines(tmp_path):
    """A file of fifteen lines runs all of the contract, and the adapter of the page passes it."""
    gateway, fake_operator, contract, *_ = blocks_of("operator-adapter.md")
    assert 15 >= len(contract.splitlines())
    (tmp_path / "gateway.py").write_text(gateway)
    (tmp_path / "fake_operator.py").write_text(fake_operator)
    (tmp_path / "test_gateway.py").write_text(contract)
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("-p", "no:cacheprovider", "-p", "no:asyncio", "."),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.search(r"^4\d passed in", told.stdout, re.MULTILINE), told.stdout


@pytest.mark.slow
def test_the_adapter_to_a_key_service_passes_its_contract(tmp_path):
    """The three files of the page, as they are: every test of the contract is run, none skipped."""
    adapter, fake, contract, *_ = blocks_of("key-service.md")
    (tmp_path / "key_service.py").write_text(adapter)
    (tmp_path / "fake_service.py").write_text(fake)
    (tmp_path / "test_key_service.py").write_text(contract)
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("-p", "no:cacheprovider", "-p", "no:asyncio", "."),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.search(r"^2\d passed in", told.stdout, re.MULTILINE), told.stdout


@pytest.mark.slow
def test_the_contract_of_stores_takes_fifteen_lines(tmp_path):
    """A file of fifteen lines runs all of the contract, another the machine; the store passes."""
    store, contract, machine = blocks_of("storage-adapter.md")
    assert 15 >= len(contract.splitlines())
    (tmp_path / "sql_store.py").write_text(store)
    (tmp_path / "test_contract.py").write_text(contract)
    (tmp_path / "test_machine.py").write_text(machine)
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-W", "error"),
            *("-p", "no:cacheprovider", "-p", "no:asyncio", "."),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert re.search(r"^1\d\d passed in", told.stdout, re.MULTILINE), told.stdout
