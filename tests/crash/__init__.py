"""Processes that are killed, and logs that are cut, while users are identified on SQLite."""
