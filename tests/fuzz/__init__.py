"""Bytes that nobody meant, thrown at every reader of the library: see `python -m tests.fuzz -h`."""
