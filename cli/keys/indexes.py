"""Makes a table's blind indexes anew under another key, from the numbers that are sealed elsewhere.

A row is only replaced by one that is made of a number which really had led to it. While it is under way a
number is found under either key, and each row is under exactly one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from psycopg import sql
from psycopg.rows import DictRow

from cli.keys.lists import IndexTable, Numbers, names_in
from cli.keys.part import KeysError, Part
from cli.keys.tables import open_value
from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault, blind_index

ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class _Replaced:
    """An index that was made anew."""

    subject: UUID
    old: bytes
    new: bytes


class IndexRows:
    """The blind indexes of one table."""

    def __init__(self, part: Part, table: IndexTable) -> None:
        self._part = part
        self._table = table
        self._name = sql.Identifier(table.table)
        self._index = sql.Identifier(table.index)
        self._version = sql.Identifier(table.version)
        self._subject = sql.Identifier(table.subject)

    async def count_old(self, version: int) -> int:
        """How many rows are under an older index key than this version."""
        (row,) = await self._part.rows(
            sql.SQL("SELECT count(*) AS rows FROM {} WHERE {} < {}").format(
                self._name, self._version, sql.Literal(version)
            )
        )
        count: int = row["rows"]
        return count

    async def reindex(self, ring: Keyring, vault: Vault, told: Callable[[int], None]) -> None:
        """Puts every row that is under an older key under the current one, once through the table.

        Raises KeysError where rows cannot be: then their key must stay.
        """
        lost = doubled = 0
        async for rows in self._old(ring.current_index):
            numbers = await self._numbers(vault, [row["subject"] for row in rows])
            replaced = [
                made
                for row in rows
                if (made := _made_anew(ring, row, numbers[row["subject"]], self._table)) is not None
            ]
            lost += len(rows) - len(replaced)
            if self._table.beside:
                await self._replace_beside(replaced, ring.current_index)
            else:
                doubled += await self._replace(replaced, ring.current_index)
            told(len(replaced))
            await self._part.step(f"some rows of {self._table.table} are indexed anew")
        if lost:
            raise KeysError(
                f"{lost} rows of {self._table.table} lead to no number that is sealed anywhere, so they "
                "cannot be indexed anew; the old index key is kept for them. Restore their numbers, or "
                "delete the rows, then run the command again"
            )
        if doubled:
            raise KeysError(
                f"{doubled} numbers in {self._table.table} lead to two subjects; the old index key is kept. "
                "Join these subjects, then run the command again"
            )

    async def forget(self, version: int) -> float:
        """Deletes rows under older keys that have expired; how many seconds the last of the others has."""
        expiry = self._table.expires
        if expiry is None:
            return 0.0
        life = self._part.life(self._table.table, timedelta(hours=expiry.hours))
        old = sql.SQL("{} < {}").format(self._version, sql.Literal(version))
        end = sql.SQL("{} + {}").format(sql.Identifier(expiry.column), sql.Literal(life))
        await self._part.run(sql.SQL("DELETE FROM {} WHERE {} AND {} <= now()").format(self._name, old, end))
        (row,) = await self._part.rows(
            sql.SQL("SELECT extract(epoch FROM max({}) - now())::float8 AS left FROM {} WHERE {}").format(
                end, self._name, old
            )
        )
        return 0.0 if row["left"] is None else max(0.1, row["left"])

    async def _old(self, version: int) -> AsyncIterator[list[DictRow]]:
        """Rows to do: index, version and subject. One number may stand in many rows: the subject tells them
        apart."""
        last: DictRow | None = None
        while True:
            rows = await self._part.rows(
                sql.SQL(
                    "SELECT {index} AS index, {version} AS version, {subject} AS subject FROM {table}"
                    " WHERE {version} < {new} AND {after} ORDER BY {index}, {subject} LIMIT {limit}"
                ).format(
                    index=self._index,
                    version=self._version,
                    subject=self._subject,
                    table=self._name,
                    new=sql.Literal(version),
                    after=sql.SQL("({}, {}) > ({}, {})").format(
                        self._index, self._subject, sql.Literal(last["index"]), sql.Literal(last["subject"])
                    )
                    if last is not None
                    else sql.SQL("true"),
                    limit=sql.Literal(ROWS_AT_ONCE),
                )
            )
            if not rows:
                return
            yield rows
            last = rows[-1]

    async def _numbers(self, vault: Vault, subjects: Sequence[UUID]) -> Mapping[UUID, set[Subject]]:
        """The sealed numbers of these subjects."""
        found: defaultdict[UUID, set[Subject]] = defaultdict(set)
        for numbers in self._table.numbers:
            source = self._part.listed.sealed_table(numbers.table)
            names = dict.fromkeys(
                (self._table.subject, *source.clear, *names_in(numbers.code_type), numbers.column)
            )
            rows = await self._part.rows(
                sql.SQL("SELECT {} FROM {} WHERE {} = ANY(%(subjects)s) AND {} IS NOT NULL").format(
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.Identifier(numbers.table),
                    self._subject,
                    sql.Identifier(numbers.column),
                ),
                subjects=subjects,
            )
            for row in rows:
                plain = open_value(vault, source, row, numbers.column)
                found[row[self._table.subject]].update(_numbers_in(numbers, row, plain))
        return found

    async def _replace(self, replaced: Sequence[_Replaced], version: int) -> int:
        """In one step puts new rows in the place of old ones; how many new ones lead to somebody else."""
        values = {
            "subjects": [one.subject for one in replaced],
            "old": [one.old for one in replaced],
            "new": [one.new for one in replaced],
        }
        async with self._part.connection.transaction():
            await self._part.run(
                sql.SQL(
                    "INSERT INTO {table} ({index}, {version}, {subject})"
                    " SELECT index, {new}, subject"
                    " FROM unnest(%(subjects)s::uuid[], %(new)s::bytea[]) AS made (subject, index)"
                    " ORDER BY index ON CONFLICT ({index}) DO NOTHING"
                ).format(
                    table=self._name,
                    index=self._index,
                    version=self._version,
                    subject=self._subject,
                    new=sql.Literal(version),
                ),
                **values,
            )
            deleted = await self._part.run(
                sql.SQL(
                    "DELETE FROM {table} AS gone"
                    " USING unnest(%(subjects)s::uuid[], %(old)s::bytea[], %(new)s::bytea[])"
                    " AS made (subject, old, new), {table} AS there"
                    " WHERE gone.{index} = made.old AND there.{index} = made.new"
                    " AND there.{subject} = made.subject"
                ).format(table=self._name, index=self._index, subject=self._subject),
                **values,
            )
        # A row that somebody else has deleted meanwhile is not counted as one: look before complaining.
        if deleted == len(replaced):
            return 0
        (row,) = await self._part.rows(
            sql.SQL("SELECT count(*) AS rows FROM {} WHERE {} = ANY(%(old)s)").format(
                self._name, self._index
            ),
            old=values["old"],
        )
        left: int = row["rows"]
        return left

    async def _replace_beside(self, replaced: Sequence[_Replaced], version: int) -> None:
        await self._part.run(
            sql.SQL(
                "UPDATE {table} SET {index} = made.new, {version} = {new}"
                " FROM unnest(%(subjects)s::uuid[], %(old)s::bytea[], %(new)s::bytea[])"
                " AS made (subject, old, new)"
                " WHERE {table}.{subject} = made.subject AND {table}.{index} = made.old"
            ).format(
                table=self._name,
                index=self._index,
                version=self._version,
                subject=self._subject,
                new=sql.Literal(version),
            ),
            subjects=[one.subject for one in replaced],
            old=[one.old for one in replaced],
            new=[one.new for one in replaced],
        )


def _made_anew(ring: Keyring, row: DictRow, numbers: set[Subject], table: IndexTable) -> _Replaced | None:
    """The row's index under the current key, if one of the numbers had led to it."""
    key = ring.index.get(row["version"])
    if key is None:
        raise KeysError(
            f"{table.table} has rows under index key {row['version']}, which the key file lacks; restore the "
            "file that goes with this database"
        )
    for number in numbers:
        if blind_index(key, number) == row["index"]:
            new = blind_index(ring.index[ring.current_index], number)
            return _Replaced(row["subject"], row["index"], new)
    return None


def _numbers_in(numbers: Numbers, row: DictRow, plain: bytes) -> list[Subject]:
    """The numbers that a sealed value holds."""
    if not numbers.json:
        return [Subject(numbers.code_type.format_map(row), plain.decode())]
    said = json.loads(plain).get(numbers.json) or []
    pairs = said if said and isinstance(said[0], list) else [said] if said else []
    return [Subject(*pair) for pair in pairs]
