"""Entries by whom they are about, and the names of what they name by code, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from core import queries
from core.db import Pool
from services.ledger.disclosures import Name, Named, Stretch, Use
from services.ledger.entry import read_item
from services.ledger.store import lost

Q = queries.load(__package__)


class PgUses:
    """The uses of people's data, for reading."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def uses(self, indexes: Sequence[bytes], stretch: Stretch, limit: int) -> Sequence[Use]:
        """Entries about whom these blind indexes lead to, newest first, `limit` at most."""
        with lost():
            rows = await self._pool.fetch(
                Q.find_uses,
                indexes,
                stretch.before,
                stretch.since,
                stretch.until,
                stretch.without_reads_of or None,
                limit,
            )
        return [
            Use(row["idx"], row["appended_at"], read_item(row["leaf"], None), row["others"]) for row in rows
        ]

    async def names(self, wanted: Collection[Named]) -> Mapping[Named, Name]:
        """The names of these, as far as the city has them."""
        with lost():
            rows = await self._pool.fetch(
                Q.find_names, [one.kind for one in wanted], [one.code for one in wanted]
            )
        return {Named(row["kind"], row["code"]): Name(row["name"], row["name_en"]) for row in rows}
