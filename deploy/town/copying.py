"""Rows for tables, made column by column, in the form in which COPY takes them.

What is done for a whole column at once is done without a step of the interpreter for each row; made row by
row, the same rows take three times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from operator import add

from deploy.town import pgcopy
from deploy.town.calendar import Day
from deploy.town.sealing import ID_BYTES, BulkVault, Parts

_ID_HEAD = ID_BYTES.to_bytes(4, "big")


@dataclass(frozen=True)
class Table:
    """A table and the columns that rows give, in order."""

    schema: str
    name: str
    columns: tuple[str, ...]


class Rows:
    """Rows of one table in the making: each column is given once, with a value for every row.

    `ids` are what each row's sealed fields are bound to. Whoever gives rows in the order of a key spares its
    index the search.
    """

    def __init__(self, table: Table, vault: BulkVault, ids: Sequence[bytes]) -> None:
        self.table = table
        self.row_ids = ids
        self._vault = vault
        self._columns: dict[str, Parts] = {}

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.row_ids)

    def bound(self, column: str) -> Iterable[bytes]:
        """What the fields of a column are bound to, row by row."""
        return map(add, self.row_ids, repeat(column.encode()))

    def put(self, column: str, *parts: Iterable[bytes]) -> None:
        """Fields that pgcopy has made."""
        self._columns[column] = parts

    def same(self, column: str, value: str) -> None:
        """text, the same in every row."""
        self.put(column, repeat(pgcopy.word(value), self.count))

    def ids(self, column: str, ids: Iterable[bytes]) -> None:
        """uuid, from its 16 bytes."""
        self.put(column, repeat(_ID_HEAD, self.count), ids)

    def raw(self, column: str, values: Sequence[bytes]) -> None:
        """bytea."""
        self.put(column, map(pgcopy.lengths, map(len, values)), values)

    def texts(self, column: str, values: Iterable[str]) -> None:
        """text of many different values."""
        self.raw(column, list(map(str.encode, values)))

    def words(self, column: str, values: Iterable[str | None]) -> None:
        """text that recurs, such as a code; or null."""
        self.put(column, map(pgcopy.word, values))

    def days(self, column: str, values: Iterable[Day | None]) -> None:
        """date, or null."""
        self.put(column, map(pgcopy.day, values))

    def flags(self, column: str, values: Iterable[bool | None]) -> None:
        """boolean, or null."""
        self.put(column, map(pgcopy.boolean, values))

    def smallints(self, column: str, values: Iterable[int]) -> None:
        """smallint."""
        self.put(column, map(pgcopy.smallint, values))

    def integers(self, column: str, values: Iterable[int]) -> None:
        """integer."""
        self.put(column, map(pgcopy.integer, values))

    def bigints(self, column: str, values: Iterable[int | None]) -> None:
        """bigint, or null."""
        self.put(column, map(pgcopy.bigint, values))

    def hundredths(self, column: str, values: Iterable[int]) -> None:
        """numeric of two decimals."""
        self.put(column, map(pgcopy.hundredths, values))

    def seal(self, column: str, texts: Iterable[str], *, name: str = "") -> None:
        """bytea: texts, sealed for their rows and this column, or for what else they are called."""
        self.put(column, *self._vault.seal_all(self.bound(name or column), map(str.encode, texts)))

    def seal_known(self, column: str, texts: Sequence[str | None]) -> None:
        """bytea: the same, or null."""
        self.seal_documents(column, [None if text is None else text.encode() for text in texts])

    def seal_documents(self, column: str, documents: Sequence[bytes | None]) -> None:
        """bytea: the same, from UTF-8; or null."""
        self.put(column, *self._vault.seal_known(self.bound(column), documents))

    def encoded(self) -> bytes:
        """All rows in COPY's binary form, without header and trailer. KeyError names a missing column."""
        head = repeat(pgcopy.fields(len(self.table.columns)), self.count)
        parts = chain.from_iterable(self._columns[name] for name in self.table.columns)
        return b"".join(chain.from_iterable(zip(head, *parts, strict=True)))
