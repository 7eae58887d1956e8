"""One moment of the city's database, read as the auditor, who may write nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import count

import psycopg
from psycopg.rows import DictRow, dict_row

from core import queries

Q = queries.load("cli.audit")

ROWS_AT_ONCE = 2000


class Snapshot:
    """All parts' tables as they were at one moment: what commits meanwhile is not seen."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection
        self._names = count()
        self.taken_at: datetime = self.one(Q.moment)["taken_at"]

    def one(self, statement: str) -> DictRow:
        """The only row of a statement."""
        row = self._connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> Iterator[DictRow]:
        """The rows of a statement, as they come: they may be more than fit into memory."""
        with self._connection.cursor(f"audit_{next(self._names)}") as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(statement.encode(), values, binary=True)
            yield from cursor

    def few(self, statement: str, values: Mapping[str, object] | None = None) -> list[DictRow]:
        """The rows of a statement that has few."""
        return self._connection.execute(statement.encode(), values, binary=True).fetchall()

    def look_into(self, part: str) -> None:
        """From now on tables without a schema are this part's."""
        self._connection.execute("SELECT set_config('search_path', %s, true)", (part,))


@contextmanager
def snapshot(dsn: str) -> Iterator[Snapshot]:
    """A snapshot of the database that is read only, whoever the role is. Raises psycopg.Error."""
    with psycopg.connect(
        dsn, row_factory=dict_row, connect_timeout=15, application_name="onestop audit"
    ) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # A server-side plan is made for all of its rows: they will all be asked for.
        connection.execute("SET cursor_tuple_fraction = 1")
        try:
            yield Snapshot(connection)
        finally:
            connection.rollback()
