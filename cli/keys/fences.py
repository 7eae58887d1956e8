"""Fences: rules of the tables themselves that refuse what an old key made.

A rotation puts them up when it is all but done. From then on the database refuses every row that some process
would still write with an old key, and when it has checked the rows that are there it has proved that none is
left. Only then is a key dropped. The fence of the last rotation stays.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import sql

from cli.keys.lists import IndexTable, SealedTable
from cli.keys.part import Part, Q

SEALED, INDEXED, WRAPPED = "sealed_since", "indexed_since", "wrapped_since"


def sealed_since(table: SealedTable, version: int) -> sql.Composed:
    """No value of the row is sealed with an older data key than this version."""
    rules = [
        sql.SQL("substring({} FROM 2 FOR 4) >= {}").format(sql.Identifier(column), version_bytes(version))
        for column in table.columns
    ]
    return sql.SQL(" AND ").join(rules)


def indexed_since(table: IndexTable, version: int) -> sql.Composed:
    """The row's index is under this version of the index key, or a newer one."""
    return sql.SQL("{} >= {}").format(sql.Identifier(table.version), sql.Literal(version))


def version_bytes(version: int) -> sql.Literal:
    """A data key's version as sealed values name it (core/vault.py): texts of bytes sort as numbers do."""
    return sql.Literal(version.to_bytes(4, "big"))


class Fence:
    """A rule of one table, named for what it keeps and from which version on."""

    def __init__(self, part: Part, table: str, kind: str, version: int, rule: sql.Composed) -> None:
        self._part = part
        self._table = table
        self._kind = kind
        self._name = f"{kind}_{version}"
        self._rule = rule

    async def put_up(self) -> None:
        """From now on the database refuses what breaks the rule; what is there is not looked at."""
        if self._name not in await self._standing():
            await self._part.alter(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID").format(
                    sql.Identifier(self._table), sql.Identifier(self._name), self._rule
                )
            )
            await self._part.step(f"{self._name} stands for {self._table}")

    async def prove(self) -> bool:
        """Whether every row that is there keeps the rule. The fence of the rotation before goes."""
        standing = await self._standing()
        if not standing.get(self._name):
            try:
                await self._part.alter(
                    sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(
                        sql.Identifier(self._table), sql.Identifier(self._name)
                    )
                )
            except psycopg.errors.CheckViolation:
                return False
            await self._part.step(f"{self._name} is proved for {self._table}")
        for name in standing.keys() - {self._name}:
            await self._part.alter(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                    sql.Identifier(self._table), sql.Identifier(name)
                )
            )
        return True

    async def _standing(self) -> dict[str, bool]:
        """The fences of this kind, and whether each is proved."""
        pattern = f"^{re.escape(self._kind)}_[0-9]+$"
        rows = await self._part.rows(Q.fences, table=self._table, pattern=pattern)
        return {row["name"]: row["proved"] for row in rows}
