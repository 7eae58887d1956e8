"""Seals a table's values anew, a few at a time: it may be broken off anywhere, and goes on where it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from psycopg import sql
from psycopg.rows import DictRow

from cli.keys.fences import version_bytes
from cli.keys.lists import SealedTable
from cli.keys.part import KeysError, Part, Q
from core.vault import SealBrokenError, Vault, sealed_version

ROWS_AT_ONCE = 500
BYTES_AT_ONCE = 8 * 1024 * 1024


class SealedRows:
    """The sealed values of one table."""

    def __init__(self, part: Part, table: SealedTable) -> None:
        self._part = part
        self._table = table
        self._types: Mapping[str, str] = {}

    async def count_old(self, version: int) -> int:
        """How many rows hold a value that is sealed with an older data key than this version."""
        (row,) = await self._part.rows(
            sql.SQL("SELECT count(*) AS rows FROM {} WHERE {}").format(
                sql.Identifier(self._table.table), self._is_old(version)
            )
        )
        count: int = row["rows"]
        return count

    async def reseal(self, vault: Vault, told: Callable[[int], None]) -> None:
        """Seals with the vault's current key what older ones have sealed, once through the table.

        `told` hears how many rows each batch was. KeysError names a row that does not open.
        """
        self._types = await column_types(self._part, self._table.table)
        async for keys in self._old_keys(vault.current_version):
            rows = await self._fetch(keys)
            await self._part.run(self._update(), **self._resealed(vault, rows))
            told(len(rows))
            await self._part.step(f"some rows of {self._table.table} are sealed anew")

    async def _old_keys(self, version: int) -> AsyncIterator[Sequence[Sequence[object]]]:
        """The primary keys of rows to do, in order, as many as fit into memory at once."""
        key = [sql.Identifier(name) for name in self._table.key]
        size = sql.SQL(" + ").join(
            sql.SQL("coalesce(octet_length({}), 0)").format(sql.Identifier(name))
            for name in self._table.columns
        )
        last: Sequence[object] | None = None
        while True:
            after: sql.Composable = sql.SQL("true")
            values: dict[str, object] = {}
            if last is not None:
                marks = [sql.Placeholder(f"k{place}") for place in range(len(last))]
                after = sql.SQL("({}) > ({})").format(sql.SQL(", ").join(key), sql.SQL(", ").join(marks))
                values = {f"k{place}": value for place, value in enumerate(last)}
            found = await self._part.rows(
                sql.SQL(
                    "SELECT {key}, {size} AS sealed_bytes FROM {table} WHERE {after} AND ({old})"
                    " ORDER BY {key} LIMIT {limit}"
                ).format(
                    key=sql.SQL(", ").join(key),
                    size=size,
                    table=sql.Identifier(self._table.table),
                    after=after,
                    old=self._is_old(version),
                    limit=sql.Literal(ROWS_AT_ONCE),
                ),
                **values,
            )
            if not found:
                return
            for group in _groups(found):
                yield [[row[name] for name in self._table.key] for row in group]
            last = [found[-1][name] for name in self._table.key]

    async def _fetch(self, keys: Sequence[Sequence[object]]) -> list[DictRow]:
        names = dict.fromkeys((*self._table.clear, *self._table.columns))
        return await self._part.rows(
            sql.SQL("SELECT {} FROM {} JOIN {} USING ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.Identifier(self._table.table),
                self._listed(self._table.key, "these"),
                sql.SQL(", ").join(map(sql.Identifier, self._table.key)),
            ),
            **{f"key_{name}": [key[place] for key in keys] for place, name in enumerate(self._table.key)},
        )

    def _resealed(self, vault: Vault, rows: Sequence[DictRow]) -> dict[str, list[object]]:
        """The parameters of `_update`: keys, what was read, and what it becomes."""
        table = self._table
        lists: dict[str, list[object]] = {f"key_{name}": [row[name] for row in rows] for name in table.key}
        for column in table.columns:
            lists[f"old_{column}"] = [row[column] for row in rows]
            lists[f"new_{column}"] = [self._sealed_anew(vault, row, column) for row in rows]
        return lists

    def _sealed_anew(self, vault: Vault, row: DictRow, column: str) -> bytes | None:
        sealed: bytes | None = row[column]
        if sealed is None or sealed_version(sealed) >= vault.current_version:
            return sealed
        return vault.seal(
            open_value(vault, self._table, row, column),
            row=row[self._table.row],
            column=self._table.bound_to(column, row),
        )

    def _update(self) -> sql.Composed:
        """Replaces what is still as it was read; what somebody changed meanwhile is left to the next pass."""
        table, columns = self._table, self._table.columns
        alias = sql.Identifier("anew")
        same = [
            *(
                sql.SQL("{0}.{1} = {2}.{3}").format(
                    sql.Identifier(table.table), sql.Identifier(name), alias, sql.Identifier(f"key_{name}")
                )
                for name in table.key
            ),
            *(
                sql.SQL("{0}.{1} IS NOT DISTINCT FROM {2}.{3}").format(
                    sql.Identifier(table.table), sql.Identifier(name), alias, sql.Identifier(f"old_{name}")
                )
                for name in columns
            ),
        ]
        names = [
            *(f"key_{name}" for name in table.key),
            *(f"old_{name}" for name in columns),
            *(f"new_{name}" for name in columns),
        ]
        types = [*(self._types[name] for name in table.key), *(["bytea"] * 2 * len(columns))]
        return sql.SQL("UPDATE {} SET {} FROM unnest({}) AS {} ({}) WHERE {}").format(
            sql.Identifier(table.table),
            sql.SQL(", ").join(
                sql.SQL("{} = {}.{}").format(sql.Identifier(name), alias, sql.Identifier(f"new_{name}"))
                for name in columns
            ),
            array_parameters(names, types),
            alias,
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.SQL(" AND ").join(same),
        )

    def _listed(self, names: Sequence[str], alias: str) -> sql.Composed:
        """A table of the parameters `key_<name>`, with the columns' own names."""
        return sql.SQL("unnest({}) AS {} ({})").format(
            array_parameters([f"key_{name}" for name in names], [self._types[name] for name in names]),
            sql.Identifier(alias),
            sql.SQL(", ").join(map(sql.Identifier, names)),
        )

    def _is_old(self, version: int) -> sql.Composed:
        rules = [
            sql.SQL("substring({} FROM 2 FOR 4) < {}").format(sql.Identifier(name), version_bytes(version))
            for name in self._table.columns
        ]
        return sql.SQL(" OR ").join(rules)


def open_value(vault: Vault, table: SealedTable, row: Mapping[str, object], column: str) -> bytes:
    """What a row's column has sealed. KeysError names the row where it does not open."""
    sealed, bound_row = row[column], row[table.row]
    try:
        return vault.unseal(sealed, row=bound_row, column=table.bound_to(column, row))  # type: ignore[arg-type]
    except SealBrokenError as failure:
        key = ", ".join(f"{name} {_shown(row[name])}" for name in table.key)
        raise KeysError(
            f"{table.table}.{column} of the row with {key} does not open: {failure}. Its key is kept. "
            "Restore the row from a backup, or delete it, then run the command again"
        ) from None


async def column_types(part: Part, table: str) -> dict[str, str]:
    """The types of a table's columns."""
    return {row["name"]: row["type"] for row in await part.rows(Q.column_types, table=table)}


def array_parameters(names: Sequence[str], types: Sequence[str]) -> sql.Composed:
    """Parameters that are lists, each of its type."""
    return sql.SQL(", ").join(
        sql.SQL("{}::{}[]").format(sql.Placeholder(name), sql.SQL(kind))
        for name, kind in zip(names, types, strict=True)
    )


def _groups(rows: Sequence[DictRow]) -> Iterator[list[DictRow]]:
    """Rows in their order, in groups of no more bytes than may be in memory; a larger one is alone."""
    group: list[DictRow] = []
    size = 0
    for row in rows:
        if group and size + row["sealed_bytes"] > BYTES_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(row)
        size += row["sealed_bytes"]
    if group:
        yield group


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
