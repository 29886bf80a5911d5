"""Exhaustive search: every order of commands, held against a model. `python -m tests.search`."""
