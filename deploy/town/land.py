"""Contracted farm land by village group: contracts, parcels, transfers, and the subsidies of the years.

Codes are those of GB/T 35958: a group hands out serials to its households and parcels, and never twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from deploy.town import names
from deploy.town.calendar import REFERENCE_DAY, REFERENCE_YEAR, Day, age_on, day, new_year
from deploy.town.model import Area, Cents, Household, LandContract, Parcel, Subsidy
from deploy.town.numbers import bank_card, contract_code, contractor_code, group_code, parcel_code
from deploy.town.places import Village, group_name
from deploy.town.welfare import bank

FAMILY, AUCTION = "110", "122"
SECOND_ROUND = (day(1999), day(2028, 12, 31))
"""The second round of contracts, 30 years (Rural Land Contracting Law art. 21)."""
EXTENDED = (day(2024), day(2053, 12, 31))
"""Villages in which the extension by 30 more years has been tried already."""

_FIELDS = (
    "门口田",
    "河边田",
    "坳下",
    "庙前",
    "石桥头",
    "长坵",
    "大坵田",
    "水口",
    "岭脚",
    "新开田",
    "塘尾",
    "祠堂前",
    "竹山下",
    "沙坝",
)
_BOUNDS = ("水渠", "机耕路", "山脚", "河堤", "田埂", "村道", "塘基", "林地")
_LAND_USES = ("011", "011", "011", "013", "012", "021")


class Fields:
    """Hands out the land of one village."""

    def __init__(
        self, random: Random, village: Village, *, first_household: int = 0, first_parcel: int = 0
    ) -> None:
        self._random = random
        self._draw = random.random
        self._village = village
        self._households: defaultdict[int, int] = defaultdict(lambda: first_household)
        self._parcels: defaultdict[int, int] = defaultdict(lambda: first_parcel)
        self._extended = village.position % 23 == 5

    def hand_out(self, households: Sequence[Household]) -> None:
        """Gives contracts to most of the village's households."""
        for household in households:
            if household.kind == "family" and age_on(household.head.born) >= 22 and self._draw() < 0.82:
                household.head.contract = self.contract(household)

    def contract(self, household: Household, *, parcel_count: int = 0) -> LandContract:
        """A household's contract; of `parcel_count` parcels, or of as many as chance gives."""
        group = group_code(self._village.code, household.group)
        self._households[household.group] += 1
        contractor = contractor_code(group, self._households[household.group])
        family = parcel_count > 0 or self._draw() < 0.985
        parcels = [
            self._parcel(group, household.group)
            for _ in range(parcel_count or 1 + int(self._draw() ** 1.6 * 8))
        ]
        total = sum(parcel.contract_area for parcel in parcels)
        term_from, term_until = EXTENDED if self._extended else SECOND_ROUND
        if not family:
            term_from = new_year(2012 + int(self._draw() * 10))
            term_until = term_from + 365 * (5 + int(self._draw() * 10))
        out, kind, until = self._transfer(parcels, term_until) if parcel_count == 0 else (0, None, None)
        taken_in = 100 + int(self._draw() * 900) if not out and self._draw() < 0.09 else 0
        draw = self._draw()
        ended = term_until < REFERENCE_DAY
        head = household.head
        contract = LandContract(
            contract_code(contractor, family=family),
            contractor,
            group,
            f"{self._village.short}{group_name(household.group)}村民小组",
            # The land register was typed in from paper, by hand and in the old characters here and there.
            names.misspelt(self._random, head.name)
            if names.is_awkward(head.name) or draw < 0.004
            else head.name,
            FAMILY if family else AUCTION,
            term_from - int(draw * 90),
            term_from,
            term_until,
            total,
            out,
            kind,
            until,
            taken_in,
            None if draw > 0.9 else draw > 0.87,
            None if draw > 0.97 else draw < 0.006,
            "ended" if ended else "cancelled" if 0.006 < draw < 0.012 and parcel_count == 0 else "in_force",
            parcels,
            [],
        )
        if family and (parcel_count > 0 or self._draw() < 0.9):
            contract.subsidies = self._subsidies(contract)
        return contract

    def _parcel(self, group: str, group_number: int) -> Parcel:
        self._parcels[group_number] += 1
        draw = self._draw()
        contract_area = 18 + int(draw * draw * 260)
        measured = max(10, int(contract_area * (0.96 + self._draw() * 0.22)))
        bound = int(self._draw() * 4096)
        return Parcel(
            parcel_code(group, self._parcels[group_number]),
            _FIELDS[bound % len(_FIELDS)],
            contract_area,
            measured,
            _LAND_USES[bound % 6],
            f"{1 + bound % 7:02}",
            draw < 0.83,
            (_BOUNDS[bound & 7], _BOUNDS[bound >> 3 & 7], _BOUNDS[bound >> 6 & 7], _BOUNDS[bound >> 9 & 7]),
        )

    def _transfer(self, parcels: Sequence[Parcel], term_until: Day) -> tuple[Area, str | None, Day | None]:
        """Whole parcels that others farm, never beyond the term (Rural Land Contracting Law art. 38)."""
        if self._draw() >= 0.24:
            return 0, None, None
        count = 1 + int(self._draw() * len(parcels))
        area = sum(parcel.contract_area for parcel in parcels[:count])
        until = min(term_until, REFERENCE_DAY + int(self._draw() * 3_000) - 400)
        return area, ("lease", "lease", "lease", "exchange", "share")[int(self._draw() * 5)], until

    def _subsidies(self, contract: LandContract) -> list[Subsidy]:
        """Of three to five years, newest first. Area and amount follow from contract and rate."""
        card, bank_name = bank_card(int(self._draw() * 10**12)), bank(self._draw())
        excluded = contract.parcels[0].contract_area if self._draw() < 0.05 else 0
        years = [
            self._subsidy(contract, REFERENCE_YEAR - back, excluded, bank_name, card)
            for back in range(3 + int(self._draw() * 3))
        ]
        return [one for one in years if one.area > 0]

    def _subsidy(
        self, contract: LandContract, year: int, excluded: Area, bank_name: str, card: str
    ) -> Subsidy:
        rate = rate_of(self._village.county_code, year)
        out = contract.transferred_out if year > REFERENCE_YEAR - 2 else 0
        not_paid = min(excluded, contract.total_area - out)
        area = contract.total_area + contract.taken_in - out - not_paid
        draw = self._draw()
        state, paid_on = "paid", new_year(year) + 150 + int(draw * 120)
        if year == REFERENCE_YEAR and draw > 0.9:
            state = "approved" if draw > 0.94 else "pending"
        elif draw < 0.005:
            state = "rejected"
        return Subsidy(
            year,
            contract.total_area,
            contract.taken_in,
            out,
            not_paid,
            area,
            rate,
            (area * rate + 50) // 100,
            state,
            paid_on if state == "paid" else None,
            bank_name,
            card,
        )


def rate_of(county_code: str, year: int) -> Cents:
    """The subsidy of a county in a year, cents a mu."""
    return 7_100 + int(county_code[3:]) % 37 * 30 + (year - 2020) * 150
