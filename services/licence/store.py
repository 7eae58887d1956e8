"""The register of licences in PostgreSQL. Concurrent look-ups share one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import asyncpg

from core import queries
from core.coalesce import Coalescer
from core.db import Pool
from core.identity import Subject
from core.vault import Vault
from services.licence.domain import FieldValue, Licence, LicenceKey, LicenceType, Suspension
from services.licence.rows import SealedFace, open_face, open_holder

Q = queries.load(__package__)

_Asked = tuple[Sequence[bytes], Collection[str]]
"""A holder's blind indexes and the type codes asked for."""


class PgRegister:
    """Licences by holder, by identifier and by key."""

    def __init__(self, pool: Pool, vault: Vault, types: Mapping[str, LicenceType]) -> None:
        self._pool = pool
        self._vault = vault
        self._types = types
        self._current: Coalescer[_Asked, list[Licence]] = Coalescer(self._fetch_current)
        self._locate: Coalescer[str, LicenceKey | None] = Coalescer(self._fetch_keys)
        self._open: Coalescer[LicenceKey, PgOpenLicence | None] = Coalescer(self._fetch_open)

    async def current(self, holder: Subject, type_codes: Collection[str]) -> Sequence[Licence]:
        """The holder's licences of these types, without those a newer version has replaced."""
        return await self._current.submit((self._vault.blind_indexes(holder), type_codes))

    async def locate(self, identifier: str) -> LicenceKey | None:
        """The licence that carries the identifier."""
        return await self._locate.submit(identifier)

    async def open(self, key: LicenceKey) -> PgOpenLicence | None:
        """The licence with its contents, replaced or not."""
        return await self._open.submit(key)

    async def _fetch_current(self, asked: Sequence[_Asked]) -> list[list[Licence]]:
        indexes = {index for holder_indexes, _ in asked for index in holder_indexes}
        type_codes = {code for _, codes in asked for code in codes}
        rows = await self._pool.fetch(Q.current_licences, list(indexes), list(type_codes))
        by_index: defaultdict[bytes, list[Licence]] = defaultdict(list)
        for row in rows:
            by_index[row["blind_index"]].append(_licence(row))
        return [
            _of_types((licence for index in holder_indexes for licence in by_index[index]), codes)
            for holder_indexes, codes in asked
        ]

    async def _fetch_keys(self, identifiers: Sequence[str]) -> list[LicenceKey | None]:
        rows = await self._pool.fetch(Q.locate_licences, identifiers)
        found = {row["identifier"]: LicenceKey(row["subject_id"], row["licence_id"]) for row in rows}
        return [found.get(identifier) for identifier in identifiers]

    async def _fetch_open(self, keys: Sequence[LicenceKey]) -> list[PgOpenLicence | None]:
        asked = set(keys)
        rows = await self._pool.fetch(
            Q.open_licences, [key.subject_id for key in asked], [key.licence_id for key in asked]
        )
        found = {one.licence.key: one for one in (self._opened(row) for row in rows)}
        return [found.get(key) for key in keys]

    def _opened(self, row: asyncpg.Record) -> PgOpenLicence:
        return PgOpenLicence(
            licence=_licence(row),
            vault=self._vault,
            licence_type=self._types[row["type_code"]],
            face=SealedFace(
                row["licence_id"],
                row["facts"],
                row["sealed_number"],
                row["sealed_holder_name"],
                row["sealed_person"],
                row["sealed_place"],
            ),
            code_type=row["code_type"],
            sealed_code=row["sealed_code"],
        )


class PgOpenLicence:
    """A licence read from its row. Nothing is decrypted before it is asked for."""

    def __init__(
        self,
        *,
        licence: Licence,
        vault: Vault,
        licence_type: LicenceType,
        face: SealedFace,
        code_type: str,
        sealed_code: bytes,
    ) -> None:
        self.licence = licence
        self._vault = vault
        self._type = licence_type
        self._face = face
        self._code_type = code_type
        self._sealed_code = sealed_code

    def holder(self) -> Subject:
        """Whose it is."""
        return open_holder(self._vault, self.licence.key.subject_id, self._code_type, self._sealed_code)

    def fields(self, names: Collection[str]) -> dict[str, FieldValue]:
        """The named face fields, number and holder_name, as far as the licence has them."""
        return open_face(self._vault, self._type, self._face, names)


def _of_types(licences: Iterable[Licence], type_codes: Collection[str]) -> list[Licence]:
    """Each licence once: while the index key is being changed, a holder is found under two."""
    return list({licence.key: licence for licence in licences if licence.type_code in type_codes}.values())


def _licence(row: asyncpg.Record) -> Licence:
    suspended_from = row["suspended_from"]
    return Licence(
        key=LicenceKey(row["subject_id"], row["licence_id"]),
        type_code=row["type_code"],
        identifier=row["identifier"],
        version=row["version"],
        issuer_code=row["issuer_code"],
        issuer_name=row["issuer_name"],
        issued_on=row["issued_on"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        recorded_at=row["recorded_at"],
        suspension=Suspension(suspended_from, row["suspended_until"]) if suspended_from else None,
        revoked_on=row["revoked_on"],
        superseded=row["superseded_on"] is not None,
    )
