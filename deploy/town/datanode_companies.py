"""What the registers hold about companies: the rows of each."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.town.datanode_records import Records
from deploy.town.model import Company, Officer
from deploy.town.sealing import BulkVault


def register(vault: BulkVault, ids: Sequence[bytes], ones: Sequence[Company]) -> Records:
    """company.register, of companies in the order of their ids."""
    versions = [1 + (one.former_representative is not None) for one in ones]
    rows = Records("company.register", vault, ids, versions=versions)
    rows.seal("uscc", [one.uscc for one in ones])
    rows.seal("name", [one.name for one in ones])
    rows.words("entity_kind", [one.kind for one in ones])
    rows.words("entity_kind_name", [one.kind_name for one in ones])
    rows.seal("legal_representative", [one.legal_representative for one in ones])
    rows.seal("address", [one.address for one in ones])
    rows.words("division", [one.division for one in ones])
    rows.bigints("registered_capital_cents", [one.capital for one in ones])
    rows.words("business_scope", [one.scope for one in ones])
    rows.words("industry", [one.industry for one in ones])
    rows.days("established_on", [one.established_on for one in ones])
    rows.days("term_from", [one.established_on for one in ones])
    rows.days("term_until", [one.term_until for one in ones])
    rows.words("registration_office", [one.office.name for one in ones])
    rows.words("registration_office_code", [one.office.uscc for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def officers(vault: BulkVault, entries: Sequence[tuple[bytes, int, Officer]]) -> Records:
    """company.officer, of companies' ids and serials."""
    ones = [one for _, _, one in entries]
    serials = [serial for _, serial, _ in entries]
    rows = Records("company.officer", vault, [me for me, _, _ in entries], serials=serials)
    rows.words("position", [one.position for one in ones])
    rows.seal("name", [one.name for one in ones])
    rows.seal("citizen_number", [one.number for one in ones])
    rows.seal_known("phone", [one.phone for one in ones])
    rows.days("appointed_on", [one.appointed_on for one in ones])
    return rows
