"""Licences of people who cannot exist: region 440299 is nowhere, so its numbers are never issued."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import asyncpg

from core.identifiers import LicenceIdentifier, citizen_check_digit
from core.identity import CITIZEN_NUMBER, Subject
from core.vault import Vault
from services.licence.catalogue import load_types
from services.licence.domain import LicenceType
from services.licence.rows import (
    HOLDER_COLUMNS,
    HOLDER_INDEX_COLUMNS,
    LICENCE_COLUMNS,
    LICENCE_INDEX_COLUMNS,
    LicenceRecord,
    holder_index_row,
    holder_row,
    licence_index_row,
    licence_row,
)

TYPES: dict[str, LicenceType] = {one.key: one for one in load_types().values()}
ID_CARD = TYPES["id_card"]
HOUSEHOLD_REGISTER = TYPES["household_register"]
REAL_ESTATE = TYPES["real_estate"]
DRIVING_LICENCE = TYPES["driving_licence"]


def citizen(serial: int) -> Subject:
    """A citizen born on 1990-01-01, told apart by serial, 0 to 999."""
    body = f"44029919900101{serial:03}"
    return Subject(CITIZEN_NUMBER, body + citizen_check_digit(body))


HOLDER = citizen(1)


def identifier(licence_type: LicenceType, version: int = 1) -> str:
    """A licence identifier with a random serial."""
    serial = secrets.token_hex(10).upper()
    return str(LicenceIdentifier(licence_type.type_code, licence_type.issuer_code, serial, f"{version:03}"))


def record(licence_type: LicenceType, subject_id: UUID, **face: str) -> LicenceRecord:
    """A licence in force from 2020-05-01 to 2040-04-30 of 林小满, with the given face."""
    return LicenceRecord(
        subject_id=subject_id,
        licence_id=uuid4(),
        identifier=identifier(licence_type),
        version=1,
        issuer_code=licence_type.issuer_code,
        issuer_name=licence_type.issuer_name,
        issued_on=date(2020, 4, 20),
        valid_from=date(2020, 5, 1),
        valid_until=date(2040, 4, 30),
        recorded_at=datetime(2026, 3, 1, 16, 0, tzinfo=UTC),
        number="YW-7Q42",
        holder_name="林小满",
        face=face,
    )


def id_card(subject_id: UUID, holder: Subject = HOLDER) -> LicenceRecord:
    """An ID card."""
    card = record(
        ID_CARD,
        subject_id,
        sex="女",
        nation="汉",
        birth_date="1990-01-01",
        address="韶关市武江区新华街道五祖路8号",
        issuing_authority="韶关市公安局",
    )
    return replace(card, number=holder.code)


class Town:
    """Writes licences as a bulk load does: by COPY, with rows that are sealed already."""

    def __init__(self, admin_dsn: str, vault: Vault) -> None:
        self._admin_dsn = admin_dsn
        self._vault = vault

    async def settle(
        self, holder: Subject, licences: Iterable[tuple[LicenceType, LicenceRecord]], subject_id: UUID
    ) -> None:
        """A holder with licences; each record must carry the subject_id."""
        pairs = list(licences)
        connection = await asyncpg.connect(self._admin_dsn, server_settings={"search_path": "licence"})
        try:
            for table, columns, rows in (
                ("holder", HOLDER_COLUMNS, [holder_row(self._vault, subject_id, holder)]),
                ("holder_index", HOLDER_INDEX_COLUMNS, [holder_index_row(self._vault, subject_id, holder)]),
                ("licence", LICENCE_COLUMNS, [licence_row(self._vault, *pair) for pair in pairs]),
                ("licence_index", LICENCE_INDEX_COLUMNS, [licence_index_row(one) for _, one in pairs]),
            ):
                await connection.copy_records_to_table(table, records=rows, columns=columns)
        finally:
            await connection.close()

    async def execute(self, statement: str, *arguments: object) -> None:
        """A statement as the owner of the tables."""
        connection = await asyncpg.connect(self._admin_dsn, server_settings={"search_path": "licence"})
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()
