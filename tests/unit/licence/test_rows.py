"""Rows: what identifies is sealed, in groups, and only what is asked for is opened."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.keyring import Keyring
from core.vault import SealBrokenError, Vault
from services.licence.catalogue import load_types
from services.licence.domain import LicenceType
from services.licence.rows import (
    HOLDER_COLUMNS,
    LICENCE_COLUMNS,
    LICENCE_INDEX_COLUMNS,
    LicenceRecord,
    Row,
    SealedFace,
    holder_index_row,
    holder_row,
    licence_index_row,
    licence_row,
    open_face,
    open_holder,
)
from tests.store.licence.samples import HOLDER, ID_CARD, id_card


class WatchedVault(Vault):
    """A real vault that remembers which columns it opened."""

    def __init__(self) -> None:
        super().__init__(Keyring.generate(), {1: bytes(32)})
        self.opened: list[str] = []

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        self.opened.append(column)
        return super().unseal(sealed, row=row, column=column)


RECORD = id_card(uuid4())


def face_of(row: Row) -> SealedFace:
    columns: dict[str, Any] = dict(zip(LICENCE_COLUMNS, row, strict=True))
    return SealedFace(**{field.name: columns[field.name] for field in fields(SealedFace)})


@pytest.mark.parametrize(
    ("names", "opened"),
    [
        ({"sex", "nation"}, []),
        ({"number"}, ["sealed_number"]),
        ({"holder_name", "sex"}, ["sealed_holder_name"]),
        ({"birth_date"}, ["sealed_person"]),
        ({"address", "number"}, ["sealed_number", "sealed_place"]),
    ],
)
def test_reading_a_field_opens_its_own_group_only(names: set[str], opened: list[str]) -> None:
    vault = WatchedVault()
    face = face_of(licence_row(vault, ID_CARD, RECORD))

    opened_fields = open_face(vault, ID_CARD, face, names)

    everything = {**RECORD.face, "number": RECORD.number, "holder_name": RECORD.holder_name}
    assert opened_fields == {name: everything[name] for name in names}
    assert vault.opened == opened


def test_identity_payload_stands_in_no_clear_column() -> None:
    vault = WatchedVault()
    rows = [
        holder_row(vault, RECORD.subject_id, HOLDER),
        holder_index_row(vault, RECORD.subject_id, HOLDER),
        licence_row(vault, ID_CARD, RECORD),
        licence_index_row(RECORD),
    ]

    kept = "\n".join(repr(column) for row in rows for column in row)

    for secret in (HOLDER.code, RECORD.number, RECORD.holder_name, str(RECORD.face["address"])):
        assert secret not in kept
        assert repr(secret.encode())[2:-1] not in kept


def test_rows_fit_their_columns() -> None:
    vault = WatchedVault()

    assert len(licence_row(vault, ID_CARD, RECORD)) == len(LICENCE_COLUMNS)
    assert len(holder_row(vault, RECORD.subject_id, HOLDER)) == len(HOLDER_COLUMNS)
    assert len(licence_index_row(RECORD)) == len(LICENCE_INDEX_COLUMNS)


def test_a_group_without_fields_is_null() -> None:
    bare = licence_row(WatchedVault(), ID_CARD, replace(RECORD, face={"sex": "女"}))

    assert dict(zip(LICENCE_COLUMNS, bare, strict=True))["sealed_place"] is None


def test_a_field_that_the_type_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="id_card has no face fields"):
        licence_row(WatchedVault(), ID_CARD, replace(RECORD, face={"shoe_size": 43}))


def test_a_name_moved_to_another_licence_does_not_open() -> None:
    vault = WatchedVault()
    face = face_of(licence_row(vault, ID_CARD, RECORD))

    with pytest.raises(SealBrokenError):
        open_face(vault, ID_CARD, replace(face, licence_id=uuid4()), {"holder_name"})


def test_the_holder_is_told_only_to_whom_can_open_the_row() -> None:
    vault = WatchedVault()
    subject_id, code_type, sealed = holder_row(vault, RECORD.subject_id, HOLDER)

    assert isinstance(subject_id, UUID)
    assert isinstance(sealed, bytes)
    assert open_holder(vault, subject_id, str(code_type), sealed) == HOLDER
    with pytest.raises(SealBrokenError):
        open_holder(vault, uuid4(), str(code_type), sealed)


@pytest.mark.parametrize("licence_type", load_types().values(), ids=lambda one: one.key)
def test_every_field_of_every_type_survives_the_way_through_a_row(licence_type: LicenceType) -> None:
    vault = WatchedVault()
    record: LicenceRecord = replace(RECORD, face={name: f"值 {name}" for name in licence_type.face})

    face = face_of(licence_row(vault, licence_type, record))

    assert open_face(vault, licence_type, face, licence_type.face.keys()) == record.face
