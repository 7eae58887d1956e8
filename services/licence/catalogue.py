"""Loads the licence types and entitlements that ship with the service.

They are policy, so they change by review like code does, and no row in the database can widen them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources

from services.licence.domain import HOLDER_NAME, NUMBER, Catalogue, FieldGroup, LicenceType


def load_types() -> dict[str, LicenceType]:
    """The licence types of licence_types.csv, by type code.

    Its column `code_source` says which type codes are published; a `model` code is the model city's own.
    """
    types = (_licence_type(row) for row in _rows("licence_types.csv"))
    return {one.type_code: one for one in types}


def load_labels() -> dict[tuple[str, str], str]:
    """What the fields on the licences' faces are called, by type code and field name."""
    return {
        (row["type_code"], name): label for row in _rows("licence_types.csv") for name, label, _ in _face(row)
    }


def load_catalogue() -> Catalogue:
    """The types and the entitlements. Raises ValueError that names a line which does not fit its type."""
    types = load_types()
    by_key = {one.key: one for one in types.values()}
    entitlements: dict[tuple[str, str], frozenset[str]] = {}
    for row in _rows("matter_entitlements.csv"):
        line = f"{row['matter_code']},{row['type_key']}"
        licence_type = by_key.get(row["type_key"])
        if licence_type is None:
            raise ValueError(f"{line}: no licence type has this key")
        names = frozenset(row["field_names"].split())
        unknown = names - licence_type.face.keys() - {NUMBER, HOLDER_NAME}
        key = (row["matter_code"], licence_type.type_code)
        if unknown or not names or key in entitlements:
            raise ValueError(f"{line}: named twice, without fields, or with unknown ones: {sorted(unknown)}")
        entitlements[key] = names
    return Catalogue(types, entitlements)


def _licence_type(row: dict[str, str]) -> LicenceType:
    """`face_fields` holds `name:label:group`, separated by spaces; labels are for people."""
    return LicenceType(
        key=row["key"],
        type_code=row["type_code"],
        name=row["name"],
        issuer_code=row["issuer_code"],
        issuer_name=row["issuer_name"],
        face={name: FieldGroup(group) for name, _, group in _face(row)},
    )


def _face(row: dict[str, str]) -> list[list[str]]:
    return [entry.split(":") for entry in row["face_fields"].split()]


def _rows(file: str) -> Iterator[dict[str, str]]:
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())
