"""Rows on their way into tables: collected table by table, sent by COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from core.db import Connection
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
    """Rows by table that wait to be sent."""

    rows: dict[Table, list[Row]] = field(default_factory=dict)

    def into(self, table: Table) -> list[Row]:
        """The list that a table's rows are appended to; it stays the same list."""
        return self.rows.setdefault(table, [])

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    async def send(self, connection: Connection) -> None:
        """Copies the rows, in the order of their first column, which is the order of the index."""
        for table, rows in self.rows.items():
            if rows:
                rows.sort(key=_first)
                await copy(connection, table, rows)
                rows.clear()


async def copy(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Copies rows into a table."""
    await connection.copy_records_to_table(
        table.name, schema_name=table.schema, columns=table.columns, records=rows
    )


def _first(row: Row) -> bytes:
    key = row[0]
    return key.bytes if hasattr(key, "bytes") else key  # type: ignore[return-value]


_DATES: dict[Day, date] = {}
_DECIMALS: dict[int, Decimal] = {}


def as_date(ordinal: Day) -> date:
    """A day as the database takes it."""
    made = _DATES.get(ordinal)
    if made is None:
        made = _DATES[ordinal] = date.fromordinal(ordinal)
    return made


def as_date_or_none(ordinal: Day | None) -> date | None:
    """A day, where there is one."""
    return None if ordinal is None else as_date(ordinal)


def hundredths(amount: int) -> Decimal:
    """A number of hundredths as a decimal of two places."""
    made = _DECIMALS.get(amount)
    if made is None:
        made = Decimal(amount).scaleb(-2)
        if len(_DECIMALS) < 100_000:
            _DECIMALS[amount] = made
    return made


def square_metres(area: int) -> Decimal:
    """Square metres of an area in hundredths of a mu: a mu is 2000/3 of them."""
    return hundredths((area * 2_000 + 1) // 3)
