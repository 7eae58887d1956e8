"""What the registers hold about contracted land: contracts, their parcels, and the subsidies paid on them."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.town.datanode_records import Records
from deploy.town.model import Household, LandContract
from deploy.town.pgcopy import square_metres
from deploy.town.sealing import BulkVault


def contracts(vault: BulkVault, entries: Sequence[tuple[bytes, Household, LandContract]]) -> Records:
    """land.contract, of contractors' ids and households."""
    homes = [home for _, home, _ in entries]
    ones = [one for _, _, one in entries]
    versions = [1 + (one.transfer_kind is not None) for one in ones]
    rows = Records("land.contract", vault, [me for me, _, _ in entries], versions=versions)
    rows.texts("contract_code", [one.code for one in ones])
    rows.texts("certificate_code", [one.code for one in ones])
    rows.texts("contractor_code", [one.contractor for one in ones])
    rows.words("issuer_code", [one.issuer for one in ones])
    rows.words("issuer_name", [one.issuer_name for one in ones])
    rows.seal("contractor_name", [one.contractor_name for one in ones])
    rows.seal("contractor_address", [home.address for home in homes])
    rows.words("acquired_by", [one.acquired_by for one in ones])
    rows.days("signed_on", [one.signed_on for one in ones])
    rows.days("term_from", [one.term_from for one in ones])
    rows.days("term_until", [one.term_until for one in ones])
    rows.hundredths("total_area_mu", [one.total_area for one in ones])
    rows.hundredths("total_area_m2", [square_metres(one.total_area) for one in ones])
    rows.smallints("parcel_count", [len(one.parcels) for one in ones])
    rows.smallints("member_count", [len(home.members) for home in homes])
    rows.seal("members", [_co_owners_json(home) for home in homes])
    rows.hundredths("transferred_out_mu", [one.transferred_out for one in ones])
    rows.words("transfer_kind", [one.transfer_kind for one in ones])
    rows.days("transfer_until", [one.transfer_until for one in ones])
    rows.hundredths("taken_in_mu", [one.taken_in for one in ones])
    rows.flags("mortgaged", [one.mortgaged for one in ones])
    rows.flags("disputed", [one.disputed for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def parcels(vault: BulkVault, entries: Sequence[tuple[bytes, Household, LandContract]]) -> Records:
    """land.parcel, of the same: a contract has several."""
    parts = [
        (me, serial, contract.code, one)
        for me, _, contract in entries
        for serial, one in enumerate(contract.parcels, start=1)
    ]
    ones = [one for _, _, _, one in parts]
    serials = [serial for _, serial, _, _ in parts]
    rows = Records("land.parcel", vault, [me for me, _, _, _ in parts], serials=serials)
    rows.texts("parcel_code", [one.code for one in ones])
    rows.texts("contract_code", [code for _, _, code, _ in parts])
    rows.words("name", [one.name for one in ones])
    rows.hundredths("contract_area_mu", [one.contract_area for one in ones])
    rows.hundredths("contract_area_m2", [square_metres(one.contract_area) for one in ones])
    rows.hundredths("measured_area_mu", [one.measured_area for one in ones])
    rows.hundredths("measured_area_m2", [square_metres(one.measured_area) for one in ones])
    rows.words("land_use_code", [one.land_use for one in ones])
    rows.same("purpose", "1")
    rows.same("category", "10")
    rows.same("ownership", "31")
    rows.words("grade", [one.grade for one in ones])
    rows.flags("basic_farmland", [one.basic_farmland for one in ones])
    for place, side in enumerate(("east", "south", "west", "north")):
        rows.words(side, [one.bounds[place] for one in ones])
    return rows


def subsidies(vault: BulkVault, entries: Sequence[tuple[bytes, Household, LandContract]]) -> Records:
    """subsidy.arable, of the same: one for each year."""
    parts = [
        (me, serial, home.village.code, one)
        for me, home, contract in entries
        for serial, one in enumerate(contract.subsidies, start=1)
    ]
    ones = [one for _, _, _, one in parts]
    serials = [serial for _, serial, _, _ in parts]
    rows = Records("subsidy.arable", vault, [me for me, _, _, _ in parts], serials=serials)
    rows.smallints("year", [one.year for one in ones])
    rows.words("division", [division for _, _, division, _ in parts])
    rows.hundredths("contract_area_mu", [one.contract_area for one in ones])
    rows.hundredths("taken_in_mu", [one.taken_in for one in ones])
    rows.hundredths("transferred_out_mu", [one.transferred_out for one in ones])
    rows.hundredths("excluded_area_mu", [one.excluded for one in ones])
    rows.hundredths("area_mu", [one.area for one in ones])
    rows.integers("rate_cents_per_mu", [one.rate for one in ones])
    rows.bigints("amount_cents", [one.amount for one in ones])
    rows.words("state", [one.state for one in ones])
    rows.days("paid_on", [one.paid_on for one in ones])
    rows.words("bank_name", [one.bank_name for one in ones])
    rows.seal("bank_account", [one.bank_account for one in ones])
    return rows


def _co_owners_json(home: Household) -> str:
    """The household's members as owners. The town's own words need no escaping in JSON."""
    members = ",".join([
        f'{{"name":"{one.name}","citizen_number":"{one.number}","relation":"{one.relation}","co_owner":true}}'
        for one in home.members
    ])  # fmt: skip
    return f"[{members}]"
