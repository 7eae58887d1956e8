"""What the city's parts ship as files, read once: licence types and forms; and the form that is measured."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.rules import Form, form_of

LICENCE = "licence."
"""Resources of this prefix are licences; the others are registers."""

FORM = "arable-land-subsidy"
"""The one matter of which 20 fields come from exactly five sources."""

FORM_FIELDS = (
    "name",
    "id_number",
    "phone",
    "contractor_name",
    "contractor_code",
    "contract_code",
    "certificate_code",
    "issuer_name",
    "term_from",
    "term_until",
    "contract_area",
    "transferred_out_area",
    "taken_in_area",
    "last_year",
    "last_area",
    "last_amount",
    "bank_name",
    "bank_account",
    "agent_name",
    "agent_id_number",
)
"""From the ID card (of two people), the social security card, and the registers of persons, contracts and
subsidies. Of the form's 22 those two are left out that would bring in parcels and household register."""

SERVICES = Path(__file__).parents[3] / "services"


@dataclass(frozen=True)
class LicenceType:
    """A licence type, and of each of its fields whether it is a fact or in which sealed column it lies."""

    name: str
    columns: Mapping[str, str]


def load_types() -> dict[str, LicenceType]:
    """The licence types by code."""
    with (SERVICES / "licence" / "licence_types.csv").open(encoding="utf-8", newline="") as file:
        return {row["type_code"]: _licence_type(row) for row in csv.DictReader(file)}


def load_forms(registers: Collection[str]) -> dict[str, Form]:
    """By the matter's code, the forms that licences and these registers can fill."""
    files = (SERVICES / "autofill" / "matters").glob("*.json")
    forms = (form_of(json.loads(file.read_text(encoding="utf-8"))) for file in files)
    return {
        form.code: form
        for form in forms
        if all(name.startswith(LICENCE) or name in registers for name in form.resources)
    }


def _licence_type(row: Mapping[str, str]) -> LicenceType:
    columns = {"number": "sealed_number", "holder_name": "sealed_holder_name"}
    for entry in row["face_fields"].split():
        name, _, group = entry.split(":")
        if group != "fact":
            columns[name] = f"sealed_{group}"
    return LicenceType(row["name"], columns)
