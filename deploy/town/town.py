"""The whole town, one village after another: at most one of them is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deploy.town import cast as demo
from deploy.town.calendar import age_on
from deploy.town.companies import found
from deploy.town.land import Fields
from deploy.town.model import CompanyState, VillageTown
from deploy.town.people import Families
from deploy.town.places import Village, villages
from deploy.town.plan import Quota, TownPlan
from deploy.town.welfare import decorate


def generate(plan: TownPlan, quotas: Sequence[Quota]) -> Iterator[VillageTown]:
    """The villages of some quotas. Any split of a plan's quotas makes the same town."""
    urban = [village for village in villages() if not village.rural]
    for quota in quotas:
        yield _village(plan, quota, urban)


def cast() -> VillageTown:
    """The demo cast: the same few people and their company in every town."""
    return demo.make_cast()


def _village(plan: TownPlan, quota: Quota, urban: Sequence[Village]) -> VillageTown:
    families = Families(plan, quota, urban)
    households = families.all()
    random = families.random
    people = [person for household in households for person in household.members]
    companies = found(random, quota, people)
    decorate(random, households, [one for one in companies if one.state is CompanyState.OPEN])
    if quota.village.rural:
        Fields(random, quota.village).hand_out(households)
    share = plan.digital_share
    for person in people:
        person.digital = random.random() < share and age_on(person.born) >= 16 and not person.known_dead
    for company in companies:
        company.digital = random.random() < share
    return VillageTown(quota.village, people, companies)
