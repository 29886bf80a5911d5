"""What every run of pytest here shares: live asserts, and the README's examples run as tests."""

import pytest
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

# Helpers of tests keep their asserts under -O, as test modules do.
pytest.register_assert_rewrite("tests")

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md"],
    excludes=["*/README.md"],
).pytest()
