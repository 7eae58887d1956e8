"""Remote credentials, authorisations and signatures in PostgreSQL; the vault seals wrapped keys too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

import asyncpg

from core import log, queries
from core.clock import Clock
from core.db import Connection, Pool, is_outage
from core.disclosure import Transaction
from core.vault import Vault
from services.eseal.domain import Algorithm
from services.eseal.remote.rules import KEPT, Authorisation, Credential, CredentialState, RemoteSignature

Q = queries.load(__package__)

CREDENTIAL_COLUMN = "remote_credential.wrapped_key"
AUTHORISATION_COLUMN = "remote_authorisation.wrapped_key"

SWEEP_SECONDS = 60.0

_logger = log.get_logger()


class PgRemoteStore:
    """What remote signing reads and writes, with the rights of the service's own role."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        self._pool = pool
        self._vault = vault
        self._clock = clock

    async def find(self, credential_id: UUID) -> Credential | None:
        """A credential."""
        row = await self._pool.fetchrow(Q.find_credential, credential_id)
        return self._credential(row) if row else None

    async def find_within(self, tx: Transaction, credential_id: UUID) -> Credential | None:
        """The same as the transaction sees it."""
        row = await cast(Connection, tx).fetchrow(Q.find_credential, credential_id)
        return self._credential(row) if row else None

    async def of_application(
        self, application: str, *, holder: str, after: UUID | None, limit: int
    ) -> Sequence[Credential]:
        """An application's credentials, in the order of their ids."""
        rows = await self._pool.fetch(Q.list_credentials, application, holder, after, limit)
        return [self._credential(row) for row in rows]

    async def enrol(
        self,
        tx: Transaction,
        credential_id: UUID,
        *,
        code_sha256: bytes,
        salt: bytes,
        key: bytes,
        request: bytes,
    ) -> bool:
        """Writes the key that the holder has made; False where the code was used meanwhile."""
        sealed = self._vault.seal(key, row=credential_id, column=CREDENTIAL_COLUMN)
        connection = cast(Connection, tx)
        done = await connection.fetchval(Q.enrol, credential_id, code_sha256, salt, sealed, request)
        return done is not None

    async def take_attempt(self, credential_id: UUID, most: int) -> bool:
        """Counts one try, at once and for good; False where none is left."""
        return await self._pool.fetchval(Q.take_attempt, credential_id, most) is not None

    async def forget_attempts(self, credential_id: UUID) -> None:
        """The right factors came."""
        await self._pool.execute(Q.forget_attempts, credential_id)

    async def change_factor(
        self, tx: Transaction, credential_id: UUID, *, former_salt: bytes, salt: bytes, key: bytes
    ) -> bool:
        """Writes the key under other factors, ends all authorisations; False where it was done meanwhile."""
        sealed = self._vault.seal(key, row=credential_id, column=CREDENTIAL_COLUMN)
        connection = cast(Connection, tx)
        if await connection.fetchval(Q.change_factor, credential_id, former_salt, salt, sealed) is None:
            return False
        await connection.execute(Q.spend_all, credential_id)
        return True

    async def authorise(self, tx: Transaction, authorisation: Authorisation) -> None:
        """Writes an authorisation with its digests."""
        connection = cast(Connection, tx)
        await connection.execute(
            Q.insert_authorisation,
            authorisation.id,
            authorisation.credential_id,
            authorisation.secret_sha256,
            self._vault.seal(authorisation.wrapped_key, row=authorisation.id, column=AUTHORISATION_COLUMN),
            self._clock(),
            authorisation.expires_at,
        )
        rows = [(authorisation.id, position, one) for position, one in enumerate(authorisation.digests)]
        await connection.executemany(Q.insert_digest, rows)

    async def authorisation(self, authorisation_id: UUID) -> Authorisation | None:
        """An authorisation."""
        row = await self._pool.fetchrow(Q.find_authorisation, authorisation_id)
        return self._authorisation(row) if row else None

    async def lock_authorisation(self, tx: Transaction, authorisation_id: UUID) -> Authorisation | None:
        """The same, held by the transaction until it ends."""
        connection = cast(Connection, tx)
        if await connection.fetchval(Q.lock_authorisation, authorisation_id) is None:
            return None
        row = await connection.fetchrow(Q.find_authorisation, authorisation_id)
        return self._authorisation(row) if row else None

    async def spend(self, tx: Transaction, record: RemoteSignature) -> bool:
        """Writes a signature's record over a digest that is not signed yet; False where there is none."""
        connection = cast(Connection, tx)
        spent = await connection.fetchval(Q.spend_digest, record.authorisation_id, record.digest, record.id)
        if spent is None:
            return False
        await connection.execute(
            Q.insert_remote_signature,
            record.id,
            record.credential_id,
            record.authorisation_id,
            record.intent_id,
            record.digest,
            record.signed_at,
            record.caller,
        )
        return True

    async def end_if_spent(self, tx: Transaction, authorisation_id: UUID) -> None:
        """Destroys the wrapped key of an authorisation whose digests are all signed."""
        await cast(Connection, tx).execute(Q.spend_if_all_is_signed, authorisation_id)

    async def sweep(self, now: datetime) -> None:
        """Destroys the wrapped keys of authorisations whose time is over, and forgets old ones."""
        await self._pool.execute(Q.spend_expired, now)
        await self._pool.execute(Q.delete_old_authorisations, now - KEPT)

    async def sweep_forever(self) -> None:
        """The same again and again. Runs beside the server."""
        while True:
            try:
                await self.sweep(self._clock())
            except Exception as error:
                if not is_outage(error):
                    _logger.exception("authorisations_not_swept")
            await asyncio.sleep(SWEEP_SECONDS)

    def _credential(self, row: asyncpg.Record) -> Credential:
        sealed, credential_id = row["wrapped_key"], row["id"]
        return Credential(
            id=credential_id,
            owner_code=row["owner_code"],
            owner_name=row["owner_name"],
            holder=row["holder"],
            application=row["application"],
            algorithm=Algorithm(row["algorithm"]),
            state=CredentialState(row["state"]),
            enrolment_sha256=row["enrolment_sha256"] or b"",
            enrolment_until=row["enrolment_until"],
            attempts=row["attempts"],
            salt=row["salt"] or b"",
            wrapped_key=self._unsealed(sealed, credential_id, CREDENTIAL_COLUMN),
            certificate=row["certificate"] or b"",
            valid_from=row["valid_from"],
            valid_until=row["valid_until"],
        )

    def _authorisation(self, row: asyncpg.Record) -> Authorisation:
        return Authorisation(
            id=row["id"],
            credential_id=row["credential_id"],
            secret_sha256=row["secret_sha256"],
            wrapped_key=self._unsealed(row["wrapped_key"], row["id"], AUTHORISATION_COLUMN),
            expires_at=row["expires_at"],
            digests=tuple(row["digests"] or ()),
        )

    def _unsealed(self, sealed: bytes | None, row: UUID, column: str) -> bytes:
        return self._vault.unseal(sealed, row=row, column=column) if sealed else b""
