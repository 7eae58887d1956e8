"""How many people, companies and e-licences each village gets, for a town of any size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

from deploy.town.chance import chance
from deploy.town.numbers import SLOTS, NumberRange
from deploy.town.places import Village, villages

SEED = 440200
SMALLEST = 100
LARGEST = 3_600_000

CITY_PEOPLE = 3_400_000
CITY_COMPANIES = 210_000
CITY_LICENCES = 210_000

_HOLDER_LICENCES = 4.25
"""E-licences of an average adult who has any; see licences.py."""
_HOLDER_SHARE = 0.83
"""Share of people old enough to hold licences."""
_PEOPLE_A_VILLAGE = 120
_LEAST_RANGE = 12


class SizeError(ValueError):
    """A town of this size cannot be made."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one village is to contribute. `first_company` numbers its companies across the town."""

    village: Village
    people: int
    companies: int
    first_company: int
    first_slot: int
    slots: int

    def numbers(self) -> NumberRange:
        """The village's own range of citizen numbers."""
        return NumberRange(self.first_slot, self.slots)


@dataclass(frozen=True)
class TownPlan:
    """A town of `size` people (the demo cast beside them), from a seed. Raises SizeError."""

    size: int
    seed: int = SEED

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise SizeError(f"a town has {SMALLEST:,} to {LARGEST:,} people, not {self.size:,}")

    @property
    def companies(self) -> int:
        """Companies in proportion to the city's."""
        return max(4, round(self.size * CITY_COMPANIES / CITY_PEOPLE))

    @property
    def digital_share(self) -> float:
        """The share of adults and of companies that have e-licences here.

        The city has 210,000 of its own; the rest are the province's. In a small town everybody has
        them, so that there is something to see.
        """
        licences = max(CITY_LICENCES * self.size / CITY_PEOPLE, min(4.5 * self.size, 6_000.0))
        everybody = self.size * _HOLDER_SHARE * _HOLDER_LICENCES + self.companies * 1.2
        return min(1.0, 1.03 * licences / everybody)

    @cached_property
    def quotas(self) -> tuple[Quota, ...]:
        """The villages that are lived in, with what each contributes; they sum up to the size exactly."""
        chosen = self._chosen()
        weights = [self._weight(village) for village in chosen]
        people = _apportion(self.size, weights)
        companies = _apportion(
            self.companies, [w * (1 if v.rural else 3) for v, w in zip(chosen, weights, strict=True)]
        )
        spare = SLOTS - _LEAST_RANGE * len(chosen)
        quotas: list[Quota] = []
        first_slot = first_company = 0
        for village, count, firms in zip(chosen, people, companies, strict=True):
            slots = _LEAST_RANGE + spare * count // self.size
            quotas.append(Quota(village, count, firms, first_company, first_slot, slots))
            first_slot += slots
            first_company += firms
        return tuple(quotas)

    def random(self, village: Village) -> Random:
        """A village's own source of chance: the same for the same seed and village."""
        return chance(f"{self.seed}:{village.code}")

    def _chosen(self) -> list[Village]:
        """Spread evenly over the city, because its divisions are listed county by county."""
        known = villages()
        count = min(len(known), max(2, self.size // _PEOPLE_A_VILLAGE))
        return [known[(2 * index + 1) * len(known) // (2 * count)] for index in range(count)]

    def _weight(self, village: Village) -> float:
        spread = 0.5 + chance(f"{self.seed}:size:{village.code}").random()
        return spread * (1.0 if village.rural else 2.4)


def _apportion(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights that sum up to the total."""
    whole = sum(weights)
    parts: list[int] = []
    covered = given = 0.0
    for weight in weights:
        covered += weight
        share = round(total * covered / whole) - round(given)
        given += share
        parts.append(int(share))
    return parts
