"""Histories of concurrent runs, checked against the sequential core."""
