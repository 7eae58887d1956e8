"""Contracted land: codes of the right shape, areas and payments that add up."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given, settings

from deploy.town.cast import NUMBERS
from deploy.town.model import LandContract, VillageTown
from deploy.town.places import villages
from tests.unit.town.towns import people, town, towns

Town = tuple[VillageTown, ...]
VILLAGES = {village.code for village in villages()}


def contracts(made: Town) -> list[LandContract]:
    return [one.contract for one in people(made) if one.contract is not None]


@given(towns)
@settings(max_examples=30, deadline=None)
def test_codes_have_the_shapes_of_the_standard_and_are_never_given_twice(made: Town) -> None:
    seen = Counter[str]()

    for contract in contracts(made):
        assert re.fullmatch(r"[0-9]{14}", contract.issuer)
        assert contract.issuer[:12] in VILLAGES
        assert re.fullmatch(r"[0-9]{18}", contract.contractor)
        assert contract.contractor.startswith(contract.issuer)
        letter = "J" if contract.acquired_by == "110" else "Q"
        assert contract.code == contract.contractor + letter
        seen[contract.code] += 1
        for parcel in contract.parcels:
            assert re.fullmatch(r"[0-9]{19}", parcel.code)
            assert parcel.code.startswith(contract.issuer)
            seen[parcel.code] += 1
            assert re.fullmatch(r"0[1-9]|10", parcel.grade)
    assert not seen or max(seen.values()) == 1


@given(towns)
@settings(max_examples=30, deadline=None)
def test_areas_add_up_and_what_is_transferred_is_within_the_contract(made: Town) -> None:
    for contract in contracts(made):
        assert contract.total_area == sum(parcel.contract_area for parcel in contract.parcels)
        assert 0 <= contract.transferred_out <= contract.total_area
        assert contract.transfer_until is None or contract.transfer_until <= contract.term_until
        assert contract.term_from < contract.term_until
        assert (contract.transferred_out > 0) == (contract.transfer_kind is not None)


@given(towns)
@settings(max_examples=30, deadline=None)
def test_a_subsidy_follows_from_area_and_rate(made: Town) -> None:
    for contract in contracts(made):
        years = [paid.year for paid in contract.subsidies]
        assert years == sorted(years, reverse=True)
        assert len(set(years)) == len(years)
        for paid in contract.subsidies:
            area = paid.contract_area + paid.taken_in - paid.transferred_out - paid.excluded
            assert paid.area == area
            assert paid.area > 0
            assert abs(paid.amount - paid.area * paid.rate / 100) <= 0.5
            assert (paid.paid_on is not None) == (paid.state == "paid")


def test_the_farmer_of_the_cast_has_land_in_force_and_three_years_of_subsidies() -> None:
    farmer = next(one for one in people(town(100, 440200)) if one.number == NUMBERS["farmer"])

    contract = farmer.contract

    assert contract is not None
    assert contract.state == "in_force"
    assert len(contract.parcels) == 5
    assert [paid.state for paid in contract.subsidies[:3]] == ["paid"] * 3
