"""The registrations in the issuer's schema."""

from __future__ import annotations

import asyncpg

from core import queries
from core.db import Pool
from services.issuer.domain import Client, ClientState

Q = queries.load(__package__)


class PgClientStore:
    """Reads registrations; they are written by the operator, as the schema's owner."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, client_id: str) -> Client | None:
        """The registration under this id, whatever its state."""
        row = await self._pool.fetchrow(Q.find_client, client_id)
        return _client(row) if row else None


def _client(row: asyncpg.Record) -> Client:
    return Client(
        client_id=row["client_id"],
        certificate_name=row["certificate_name"],
        scopes=frozenset(row["scopes"]),
        audience=row["audience"],
        state=ClientState(row["state"]),
    )
