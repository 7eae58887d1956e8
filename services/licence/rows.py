"""The form of a row: seals a licence into it and opens what is asked for. Bulk loads make rows here too."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

import orjson

from core.identity import Subject
from services.licence.domain import HOLDER_NAME, NUMBER, FieldGroup, FieldValue, LicenceType

HOLDER_COLUMNS = ("subject_id", "code_type", "sealed_code")
HOLDER_INDEX_COLUMNS = ("blind_index", "index_version", "subject_id")
LICENCE_INDEX_COLUMNS = ("identifier", "subject_id", "licence_id")
LICENCE_COLUMNS = (
    "subject_id",
    "licence_id",
    "type_code",
    "identifier",
    "version",
    "superseded_on",
    "issuer_code",
    "issuer_name",
    "issued_on",
    "valid_from",
    "valid_until",
    "suspended_from",
    "suspended_until",
    "suspension_reason",
    "revoked_on",
    "revocation_kind",
    "revocation_reason",
    "facts",
    "sealed_number",
    "sealed_holder_name",
    "sealed_person",
    "sealed_place",
    "recorded_at",
)

Column = str | int | bytes | date | datetime | UUID | None
Row = tuple[Column, ...]


class FieldVault(Protocol):
    """What of core.vault the form of a row needs."""

    @property
    def index_version(self) -> int: ...
    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes: ...
    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes: ...
    def blind_index(self, subject: Subject) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class LicenceRecord:
    """One version of a licence with its contents, to be recorded. Columns as the migration explains them."""

    subject_id: UUID
    licence_id: UUID
    identifier: str
    version: int
    issuer_code: str
    issuer_name: str
    issued_on: date
    valid_from: date
    valid_until: date | None
    recorded_at: datetime
    number: str = field(repr=False)
    holder_name: str = field(repr=False)
    face: Mapping[str, FieldValue] = field(repr=False)
    superseded_on: date | None = None
    suspended_from: date | None = None
    suspended_until: date | None = None
    suspension_reason: str | None = None
    revoked_on: date | None = None
    revocation_kind: str | None = None
    """`revoked` (吊销), `annulled` (撤销) or `cancelled` (注销)."""
    revocation_reason: str | None = None


class FaceForm:
    """How the face of a licence type is laid out in a row: a JSON object for each group of fields."""

    def __init__(self, licence_type: LicenceType) -> None:
        self._key = licence_type.key
        self._known = licence_type.face.keys()
        self._facts, self._person, self._place = (
            tuple(name for name, its in licence_type.face.items() if its is group)
            for group in (FieldGroup.FACT, FieldGroup.PERSON, FieldGroup.PLACE)
        )

    def documents(self, face: Mapping[str, FieldValue]) -> tuple[bytes, bytes, bytes]:
        """Facts, person and place, in UTF-8; empty where the face has no field of the group.

        Raises ValueError for a field that the type does not have.
        """
        if not face.keys() <= self._known:
            raise ValueError(f"{self._key} has no face fields {sorted(face.keys() - self._known)}")
        return _document(face, self._facts), _document(face, self._person), _document(face, self._place)


def _document(face: Mapping[str, FieldValue], names: Collection[str]) -> bytes:
    chosen = {name: face[name] for name in names if name in face}
    return orjson.dumps(chosen) if chosen else b""


def holder_row(vault: FieldVault, subject_id: UUID, holder: Subject) -> Row:
    """A row of `holder`, columns as in HOLDER_COLUMNS. The number must be normalised."""
    sealed = vault.seal(holder.code.encode(), row=subject_id, column="sealed_code")
    return subject_id, holder.code_type, sealed


def holder_index_row(vault: FieldVault, subject_id: UUID, holder: Subject) -> Row:
    """A row of `holder_index`, columns as in HOLDER_INDEX_COLUMNS. The number must be normalised."""
    return vault.blind_index(holder), vault.index_version, subject_id


def licence_index_row(record: LicenceRecord) -> Row:
    """A row of `licence_index`, columns as in LICENCE_INDEX_COLUMNS."""
    return record.identifier, record.subject_id, record.licence_id


def licence_row(vault: FieldVault, licence_type: LicenceType, record: LicenceRecord) -> Row:
    """A row of `licence`, columns as in LICENCE_COLUMNS.

    Raises ValueError for a face field that the type does not have.
    """
    facts, person, place = FaceForm(licence_type).documents(record.face)

    def seal(column: str, plaintext: bytes) -> bytes:
        return vault.seal(plaintext, row=record.licence_id, column=column)

    return (
        record.subject_id,
        record.licence_id,
        licence_type.type_code,
        record.identifier,
        record.version,
        record.superseded_on,
        record.issuer_code,
        record.issuer_name,
        record.issued_on,
        record.valid_from,
        record.valid_until,
        record.suspended_from,
        record.suspended_until,
        record.suspension_reason,
        record.revoked_on,
        record.revocation_kind,
        record.revocation_reason,
        facts.decode() or "{}",
        seal("sealed_number", record.number.encode()),
        seal("sealed_holder_name", record.holder_name.encode()),
        seal("sealed_person", person) if person else None,
        seal("sealed_place", place) if place else None,
        record.recorded_at,
    )


@dataclass(frozen=True)
class SealedFace:
    """The contents of a licence as its row holds them."""

    licence_id: UUID
    facts: str
    sealed_number: bytes
    sealed_holder_name: bytes
    sealed_person: bytes | None
    sealed_place: bytes | None


def open_face(
    vault: FieldVault, licence_type: LicenceType, face: SealedFace, names: Collection[str]
) -> dict[str, FieldValue]:
    """The named fields that the licence has; opens no group that none of them is in."""
    values: dict[str, FieldValue] = {}
    if NUMBER in names:
        values[NUMBER] = _unseal(vault, face, "sealed_number", face.sealed_number)
    if HOLDER_NAME in names:
        values[HOLDER_NAME] = _unseal(vault, face, "sealed_holder_name", face.sealed_holder_name)
    groups = {licence_type.face[name] for name in names if name in licence_type.face}
    if FieldGroup.FACT in groups:
        values |= _chosen(face.facts, names)
    if FieldGroup.PERSON in groups and face.sealed_person is not None:
        values |= _chosen(_unseal(vault, face, "sealed_person", face.sealed_person), names)
    if FieldGroup.PLACE in groups and face.sealed_place is not None:
        values |= _chosen(_unseal(vault, face, "sealed_place", face.sealed_place), names)
    return values


def open_holder(vault: FieldVault, subject_id: UUID, code_type: str, sealed_code: bytes) -> Subject:
    """The holder that a row of `holder` is about."""
    return Subject(code_type, vault.unseal(sealed_code, row=subject_id, column="sealed_code").decode())


def _unseal(vault: FieldVault, face: SealedFace, column: str, sealed: bytes) -> str:
    return vault.unseal(sealed, row=face.licence_id, column=column).decode()


def _chosen(document: str, names: Collection[str]) -> dict[str, FieldValue]:
    values: dict[str, FieldValue] = json.loads(document)
    return {name: value for name, value in values.items() if name in names}
