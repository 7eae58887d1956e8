"""The accounts in the provider's schema."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg

from core import queries
from core.db import Pool
from core.vault import Vault
from deploy.idp.accounts import SHARED_CREDENTIAL, Person, hash_password, password_matches, person_of

Q = queries.load(__package__)


class AccountStore:
    """Looks accounts up, and keeps the shared password's hash up to date."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    async def find(self, login: str) -> tuple[Person, str] | None:
        """The person with this login and her password hash."""
        row = await self._pool.fetchrow(Q.find_account, login)
        return (self._person(row), row["password_hash"]) if row else None

    async def person(self, subject_id: UUID) -> Person | None:
        """The person with this `sub`."""
        row = await self._pool.fetchrow(Q.find_person, subject_id)
        return self._person(row) if row else None

    async def keep_shared_password(self, password: str) -> None:
        """Makes this the password of every generated person, if it is not already."""
        kept: str | None = await self._pool.fetchval(Q.find_credential, SHARED_CREDENTIAL)
        if kept is not None and await asyncio.to_thread(password_matches, password, kept):
            return
        fresh = await asyncio.to_thread(hash_password, password)
        await self._pool.execute(Q.put_credential, SHARED_CREDENTIAL, fresh)

    def _person(self, row: asyncpg.Record) -> Person:
        return person_of(self._vault, row["subject_id"], row["login"], row["profile"])

    async def answers(self) -> bool:
        """Whether the database answers."""
        return bool(await self._pool.fetchval("SELECT true"))
