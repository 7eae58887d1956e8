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
_EARLIER_LICENCES = 1.6
"""Versions before these, where each of them that can have been replaced has been."""
_HOLDER_SHARE = 0.83
"""Share of people old enough to hold licences."""
_SPARE = 1.03
"""Somewhat more than asked for, so that chance seldom leaves fewer."""
_PEOPLE_A_VILLAGE = 120
_LEAST_RANGE = 12


class SizeError(ValueError):
    """A town of this size, or with so many licences, cannot be made."""


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
    """A town of `size` people (the demo cast beside them), from a seed. Raises SizeError.

    `licences` is about how many e-licences, old versions among them, the town is to have; 0 is the usual
    number, in proportion to the city's.
    """

    size: int
    seed: int = SEED
    licences: int = 0

    def __post_init__(self) -> None:
        if not SMALLEST <= self.size <= LARGEST:
            raise SizeError(f"a town has {SMALLEST:,} to {LARGEST:,} people, not {self.size:,}")
        if not 0 <= self.licences <= self.most_licences:
            raise SizeError(
                f"{self.size:,} people have up to {self.most_licences:,} e-licences, not {self.licences:,}"
            )

    def __str__(self) -> str:
        wish = f" with {self.licences:,} e-licences" if self.licences else ""
        return f"{self.size:,} people{wish} (seed {self.seed})"

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
        usual = max(CITY_LICENCES * self.size / CITY_PEOPLE, min(4.5 * self.size, 6_000.0))
        return min(1.0, _SPARE * (self.licences or usual) / self._everybodys)

    @property
    def replaced_share(self) -> float:
        """The share of licences beside which the version before them is there, more than is usual.

        None, unless more licences are wished for than everybody together has.
        """
        missing = _SPARE * self.licences - self._everybodys
        return max(0.0, missing / (self.size * _HOLDER_SHARE * _EARLIER_LICENCES))

    @property
    def most_licences(self) -> int:
        """As many as there can be: everybody has all of them, and the versions before."""
        everything = self._everybodys + self.size * _HOLDER_SHARE * _EARLIER_LICENCES
        return int(everything / _SPARE)

    @property
    def _everybodys(self) -> float:
        """E-licences where everybody has them."""
        return self.size * _HOLDER_SHARE * _HOLDER_LICENCES + self.companies * 1.2

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
