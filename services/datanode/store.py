"""The registers and the catalogue in PostgreSQL.

Look-ups that arrive while others are under way go together, one statement a register, never more than two
of it at once: a slow register does not hold up the others. Of a row, only what was asked for is unsealed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Protocol
from uuid import UUID

import asyncpg

from core import queries
from core.coalesce import Coalescer
from core.db import Pool
from core.identity import Subject
from services.datanode.domain import (
    CONSENT,
    MATTER,
    Catalogue,
    DataType,
    Json,
    Record,
    Resource,
    ResourceField,
    SharingClass,
)

Q = queries.load(__package__)


class Opener(Protocol):
    """What reading needs of the vault (core.vault.Vault)."""

    def blind_indexes(self, subject: Subject) -> list[bytes]:
        """The subject's index under every live key."""
        ...

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        """The plaintext of a sealed value."""
        ...


def sealed_column(resource: str, field: str, record_no: int) -> str:
    """What a sealed field is bound to besides its row's subject id."""
    return f"{resource}.{field}#{record_no}"


def statement(resource: str) -> str:
    """The statement that reads a resource's register."""
    sql: str = getattr(Q, "read_" + resource.replace(".", "_"))
    return sql


class PgRegisters:
    """Reads registers, found by blind index."""

    def __init__(self, pool: Pool, vault: Opener) -> None:
        self._pool = pool
        self._vault = vault
        self._subjects: Coalescer[tuple[bytes, ...], frozenset[UUID]] = Coalescer(self._find_subjects)
        self._registers: dict[str, Coalescer[UUID, Sequence[asyncpg.Record]]] = {}

    async def read(
        self, resource: Resource, subject: Subject, field_names: Sequence[str]
    ) -> Sequence[Record]:
        """The subject's records with exactly these fields, in the order of their serials."""
        indexes = tuple(self._vault.blind_indexes(subject))
        wanted = [resource.fields[name] for name in field_names]
        register = self._register(resource.code)
        records: list[Record] = []
        for subject_id in sorted(await self._subjects.submit(indexes)):
            rows = await register.submit(subject_id)
            records.extend(self._record(resource.code, row, wanted) for row in rows)
        return records

    def _register(self, code: str) -> Coalescer[UUID, Sequence[asyncpg.Record]]:
        if code not in self._registers:
            sql = statement(code)

            async def fetch(ids: Sequence[UUID]) -> Sequence[Sequence[asyncpg.Record]]:
                found: defaultdict[UUID, list[asyncpg.Record]] = defaultdict(list)
                for row in await self._pool.fetch(sql, set(ids)):
                    found[row["subject_id"]].append(row)
                return [found.get(subject_id, []) for subject_id in ids]

            self._registers[code] = Coalescer(fetch)
        return self._registers[code]

    async def _find_subjects(self, items: Sequence[tuple[bytes, ...]]) -> Sequence[frozenset[UUID]]:
        wanted = {index for indexes in items for index in indexes}
        rows = await self._pool.fetch(Q.find_subjects, wanted)
        found: dict[bytes, UUID] = {row["blind_index"]: row["subject_id"] for row in rows}
        return [frozenset(found[index] for index in indexes if index in found) for indexes in items]

    def _record(self, code: str, row: asyncpg.Record, wanted: Sequence[ResourceField]) -> Record:
        subject_id, record_no = row["subject_id"], row["record_no"]
        values: dict[str, Json] = {}
        for field in wanted:
            stored = row[field.name]
            if isinstance(stored, bytes):
                column = sealed_column(code, field.name, record_no)
                values[field.name] = _opened(field, self._vault.unseal(stored, row=subject_id, column=column))
            else:
                values[field.name] = _json(stored)
        return Record(values, f"{record_no}.{row['version']}", row["as_of"])


class PgCatalogues:
    """Loads the catalogue."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self) -> Catalogue:
        """Resources, fields and entitlements as of one moment."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            resources = await connection.fetch(Q.catalogue_resources)
            fields = await connection.fetch(Q.catalogue_fields)
            entitlements = await connection.fetch(Q.catalogue_entitlements)
        by_resource: defaultdict[str, dict[str, ResourceField]] = defaultdict(dict)
        for row in fields:
            by_resource[row["resource"]][row["name"]] = _field(row)
        by_matter: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        by_consent: defaultdict[str, set[str]] = defaultdict(set)
        for row in entitlements:
            if row["basis"] == MATTER:
                by_matter[row["item"], row["resource"]].add(row["field"])
            elif row["basis"] == CONSENT:
                by_consent[row["resource"]].add(row["field"])
        return Catalogue(
            {row["code"]: _resource(row, by_resource[row["code"]]) for row in resources},
            {key: frozenset(names) for key, names in by_matter.items()},
            {key: frozenset(names) for key, names in by_consent.items()},
        )


def _resource(row: asyncpg.Record, fields: Mapping[str, ResourceField]) -> Resource:
    return Resource(
        row["code"],
        row["name"],
        row["provider_name"],
        row["provider_code"],
        SharingClass(row["sharing_class"]),
        row["update_cycle"],
        row["updated_at"],
        fields,
    )


def _field(row: asyncpg.Record) -> ResourceField:
    return ResourceField(
        row["name"], row["label"], DataType(row["data_type"]), row["unit"], row["identifying"]
    )


def _opened(field: ResourceField, plaintext: bytes) -> Json:
    if field.data_type in (DataType.ARRAY, DataType.OBJECT):
        value: Json = json.loads(plaintext)
        return value
    return plaintext.decode("utf-8")


def _json(stored: Json | date | Decimal) -> Json:
    """A column's value as JSON: days as ISO 8601, decimals as numbers."""
    if isinstance(stored, str):
        return stored
    if isinstance(stored, date):
        return stored.isoformat()
    if isinstance(stored, Decimal):
        return float(stored)
    return stored
