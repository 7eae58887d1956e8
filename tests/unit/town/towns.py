"""Towns for the property tests: small ones of any seed, made once each."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies

from deploy.town.model import Company, Household, Person, VillageTown
from deploy.town.plan import TownPlan
from deploy.town.town import cast, generate


@cache
def town(size: int, seed: int) -> tuple[VillageTown, ...]:
    """All villages of a town, and the demo cast."""
    plan = TownPlan(size, seed)
    return (*generate(plan, plan.quotas), cast())


towns = strategies.builds(
    town, strategies.sampled_from([100, 137, 400, 1_500]), strategies.integers(min_value=0, max_value=50)
)


def people(made: tuple[VillageTown, ...]) -> list[Person]:
    """Everybody."""
    return [person for village in made for person in village.people]


def households(made: tuple[VillageTown, ...]) -> list[Household]:
    """Every household once."""
    return list({id(one.household): one.household for one in people(made)}.values())


def companies(made: tuple[VillageTown, ...]) -> list[Company]:
    """Every company."""
    return [company for village in made for company in village.companies]
