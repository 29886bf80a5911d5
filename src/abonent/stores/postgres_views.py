"""What SQL may see of a PostgreSQL store: views to be joined with an application's own tables.

Knows by which lengths and endings the engine tells its keys and aliases apart. Refuses to show
what is sealed, and any alias: those are keyed hashes of numbers.

No view is a security barrier: one user would then be found by reading all of them. Who may define
functions could so learn the keys of budgets, which are keyed hashes, too.

The views are an interface. Columns are only ever added, each with the version of the schema that
first has it.
"""

# ruff: noqa: S608 - what is put into statements is the name of a schema, which was checked

from __future__ import annotations

from typing import Final

_USER_KEY: Final = 16
"""Bytes of the key of a user's row; that of a number's budget is longer."""
_HOLDER: Final = r"\x68"
"""What the alias of a number ends with, under which its holder is found: `h`."""

VIEWS: Final = f"""\
CREATE VIEW {{schema}}.user_row AS
    SELECT s.name AS messenger, r.key AS row_key, r.version,
            timestamptz 'epoch' + d.at * interval '1 microsecond' AS wakes_at
        FROM {{schema}}.record r
        JOIN {{schema}}.space s ON s.id = r.space
        LEFT JOIN {{schema}}.deadline d ON d.space = r.space AND d.key = r.key
        WHERE octet_length(r.key) = {_USER_KEY};
COMMENT ON VIEW {{schema}}.user_row IS
    'abonent, from version 2 on: a row for everybody of whom something is kept. It is no gate';
CREATE VIEW {{schema}}.holder AS
    SELECT DISTINCT s.name AS messenger, a.owner AS row_key
        FROM {{schema}}.alias a
        JOIN {{schema}}.space s ON s.id = a.space
        WHERE octet_length(a.alias) = {_USER_KEY + 1}
            AND substr(a.alias, {_USER_KEY + 1}) = '{_HOLDER}'::bytea;
COMMENT ON VIEW {{schema}}.holder IS
    'abonent, from version 2 on: who holds a number, whether or not they may send. It is no gate';
-- With OFFSET it cannot be written through, whatever a role may do.
CREATE VIEW {{schema}}.feed AS
    SELECT s.name AS messenger, s.cursor AS last_cursor FROM {{schema}}.space s OFFSET 0;
COMMENT ON VIEW {{schema}}.feed IS
    'abonent, from version 2 on: how far the journal of each messenger goes';
"""
