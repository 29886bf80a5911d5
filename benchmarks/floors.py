"""Floors: raw drivers doing the least that keeps one row."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import psycopg


def rows_per_second(folder: Path, rows: int) -> float:
    """`sqlite3`, WAL, `synchronous=FULL`: one INSERT and COMMIT a row."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    body = os.urandom(200)
    started = time.perf_counter()
    for _ in range(rows):
        connection.execute("BEGIN")
        connection.execute("INSERT INTO row (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
    taken = time.perf_counter() - started
    connection.close()
    return rows / taken


def postgres_rows_per_second(conninfo: str, schema: str, rows: int) -> float:
    """`psycopg`, autocommit, prepared: one INSERT a row."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {schema}.row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " body bytea NOT NULL)".encode()
        )
        insert = f"INSERT INTO {schema}.row (body) VALUES (%b)".encode()
        body = os.urandom(200)
        for _ in range(10):
            connection.execute(insert, (body,), prepare=True)
        started = time.perf_counter()
        for _ in range(rows):
            connection.execute(insert, (body,), prepare=True)
        return rows / (time.perf_counter() - started)


def selects_per_second(folder: Path, keys: list[bytes], selects: int) -> float:
    """`sqlite3`: one SELECT by primary key out of as many rows as there are keys."""
    connection = sqlite3.connect(folder / "select.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE row (key BLOB PRIMARY KEY, body BLOB) WITHOUT ROWID")
    body = os.urandom(200)
    connection.executemany("INSERT INTO row VALUES (?, ?)", ((key, body) for key in keys))
    started = time.perf_counter()
    for turn in range(selects):
        key = keys[turn % len(keys)]
        connection.execute("SELECT body FROM row WHERE key = ?", (key,)).fetchone()
    taken = time.perf_counter() - started
    connection.close()
    return selects / taken


def calibration_us() -> float:
    """A fixed pure-Python loop, in microseconds: how fast this machine is at this moment."""
    started = time.perf_counter()
    total = 0
    for each in range(100_000):
        total += each & 7
    return (time.perf_counter() - started) * 1e6
