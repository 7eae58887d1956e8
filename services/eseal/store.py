"""Seals and the records of signatures in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import cast
from uuid import UUID

import asyncpg

from core import queries
from core.db import Connection, Pool
from core.disclosure import Transaction
from services.eseal.domain import Algorithm, Picture, Seal, SealState, SealUser, SignatureRecord, Stamp
from services.eseal.keystore import certificates_of
from services.eseal.sealing.recorded import Recorded

Q = queries.load(__package__)


class PgSealStore:
    """What the seal desk reads and writes, with the rights of the service's own role."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, tx: Transaction, seal_id: UUID) -> tuple[Seal, Sequence[SealUser]] | None:
        """A seal with its current key, and the permissions to use it, as the transaction sees them."""
        row = await cast(Connection, tx).fetchrow(Q.find_seal, seal_id)
        return (_seal(row), _users(row)) if row else None

    async def find_to_put(self, seal_id: UUID) -> tuple[Seal, Sequence[SealUser], Stamp] | None:
        """A seal with its current key, the permissions to use it, and what it puts on a document."""
        row = await self._pool.fetchrow(Q.find_seal_to_put, seal_id)
        if row is None:
            return None
        picture = Picture(row["picture"], row["picture_width"], row["picture_height"])
        return _seal(row), _users(row), Stamp(picture, row["structure"] or b"", row["least_level"])

    async def list_usable(
        self,
        *,
        office: str,
        matter_code: str,
        after: UUID | None,
        limit: int,
        operator: str = "",
        caller: str = "",
    ) -> Sequence[Seal]:
        """Seals that an office may use, by name, going on after the given one."""
        rows = await self._pool.fetch(Q.list_usable, office, matter_code, after, limit, operator, caller)
        return [_seal(row) for row in rows]

    async def of_certificates(self, digests: Sequence[str]) -> Mapping[str, Seal]:
        """Seals by SHA-256 of their certificates."""
        wanted = [bytes.fromhex(digest) for digest in digests if digest]
        rows = await self._pool.fetch(Q.seals_of_certificates, wanted) if wanted else []
        return {seal.certificate_sha256: seal for seal in map(_seal, rows)}

    async def signing_times(self, cms_digests: Sequence[bytes]) -> Mapping[bytes, datetime]:
        """When our signatures were put, by SHA-256 of their CMS objects."""
        wanted = [digest for digest in cms_digests if digest]
        rows = await self._pool.fetch(Q.signing_times, wanted) if wanted else []
        return {row["cms_sha256"]: row["signed_at"] for row in rows}

    async def certificates(self, key_id: UUID) -> tuple[bytes, Sequence[bytes]] | None:
        """A key's certificate and those between it and its root, DER; also of a key that is gone."""
        row = await self._pool.fetchrow(Q.find_certificate, key_id)
        return (row["certificate"], certificates_of(row["chain"])) if row and row["certificate"] else None

    async def find_signed(self, signature_id: UUID) -> tuple[Seal, datetime] | None:
        """The seal of a signature, and when it was put."""
        row = await self._pool.fetchrow(Q.find_signed, signature_id)
        return (_seal(row), row["signed_at"]) if row else None

    async def has_quota(self, rule: SealUser, day: date) -> bool:
        """Whether a limited permission has something left on a day."""
        return bool(await self._pool.fetchval(Q.has_quota, rule.rule_id, day))

    async def quota_left(self, tx: Transaction, rule: SealUser, day: date) -> int:
        """How often a limited permission may still be used; it is locked until the transaction ends."""
        return await cast(Connection, tx).fetchval(Q.quota_left, rule.rule_id, day) or 0

    async def use_quota(self, tx: Transaction, rule: SealUser, day: date, times: int) -> None:
        """Uses a limited permission so many times, which are known to be left."""
        await cast(Connection, tx).execute(Q.use_quota, rule.rule_id, day, times)

    async def add_signatures(self, tx: Transaction, records: Sequence[SignatureRecord]) -> None:
        """Writes the records of signatures, in one round trip."""
        await cast(Connection, tx).execute(Q.insert_signatures, *zip(*map(_columns, records), strict=True))

    async def recorded(self, digests: Sequence[bytes]) -> Sequence[Recorded]:
        """The signatures that files of these SHA-256 left with, each with its seal as it stands now."""
        rows = await self._pool.fetch(Q.find_recorded, digests)
        return [
            Recorded(
                row["signature_id"],
                _seal(row),
                row["signed_at"],
                row["document_sha256"],
                row["sealed_sha256"],
                row["cms_sha256"],
                row["facts"],
            )
            for row in rows
        ]


def _columns(record: SignatureRecord) -> tuple[object, ...]:
    """What `insert_signatures` takes of one."""
    return (
        record.id,
        record.seal_id,
        record.key_id,
        record.signed_at,
        record.document_sha256,
        record.sealed_sha256,
        record.cms_sha256,
        record.intent_id,
        record.caller,
        record.office_code,
        record.matter_code,
        record.case_number,
        record.facts,
    )


def _seal(row: asyncpg.Record) -> Seal:
    return Seal(
        id=row["id"],
        name=row["name"],
        owner_code=row["owner_code"],
        owner_name=row["owner_name"],
        standing=SealState(row["standing"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        key_id=row["key_id"],
        algorithm=Algorithm(row["algorithm"]),
        certificate_sha256=row["certificate_sha256"].hex(),
        kind=row["kind"],
        code=row["code"],
    )


def _users(row: asyncpg.Record) -> Sequence[SealUser]:
    return [
        SealUser(row["id"], office, matter, operator, caller, rule_id, is_limited)
        for rule_id, office, matter, operator, caller, is_limited in row["users"] or ()
    ]
