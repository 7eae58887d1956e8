"""Rows on their way into tables: collected table by table, sent by COPY."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

from core.db import Connection
from deploy.town import pgcopy
from deploy.town.calendar import Day

Row = tuple[object, ...]


@dataclass(frozen=True)
class Table:
    """A table and the columns that rows give, in order."""

    schema: str
    name: str
    columns: tuple[str, ...]


@dataclass
class Batch:
    """Rows by table that wait to be sent: encoded ones (pgcopy), or such as the driver encodes."""

    encoded: dict[Table, list[bytes]] = field(default_factory=dict)
    records: dict[Table, list[Row]] = field(default_factory=dict)

    def encoded_into(self, table: Table) -> Callable[[bytes], None]:
        """Takes the table's encoded rows."""
        return self.encoded.setdefault(table, []).append

    def records_into(self, table: Table) -> Callable[[Row], None]:
        """Takes the table's rows."""
        return self.records.setdefault(table, []).append

    def __len__(self) -> int:
        encoded = sum(len(rows) for rows in self.encoded.values())
        return encoded + sum(len(rows) for rows in self.records.values())

    async def send(self, connection: Connection) -> None:
        """Copies the rows: encoded ones in the order of their first column, as the index has them."""
        for table, rows in self.encoded.items():
            if rows:
                rows.sort()
                source = BytesIO(b"".join((pgcopy.HEADER, *rows, pgcopy.TRAILER)))
                rows.clear()
                await connection.copy_to_table(
                    table.name,
                    schema_name=table.schema,
                    columns=table.columns,
                    source=source,
                    format="binary",
                )
        for table, records in self.records.items():
            if records:
                await connection.copy_records_to_table(
                    table.name, schema_name=table.schema, columns=table.columns, records=records
                )
                records.clear()


def as_date(ordinal: Day) -> date:
    """A day as the driver takes it."""
    return date.fromordinal(ordinal)


def as_date_or_none(ordinal: Day | None) -> date | None:
    """A day, where there is one."""
    return None if ordinal is None else date.fromordinal(ordinal)
