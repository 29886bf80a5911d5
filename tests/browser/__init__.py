"""Pages looked at in a real browser. By name only: `nox -s browser`, which says what it needs.

The module of tests is not called `test_…`, so that a run of all tests does not collect it.
"""
