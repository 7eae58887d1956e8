"""How a town of any size is shared out, and that its shares can be made apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.town.numbers import SLOTS
from deploy.town.places import group_name, villages
from deploy.town.plan import LARGEST, SMALLEST, SizeError, TownPlan
from deploy.town.town import generate


@given(st.integers(SMALLEST, LARGEST), st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_quotas_sum_up_and_number_ranges_never_meet(size: int, seed: int) -> None:
    plan = TownPlan(size, seed)

    quotas = plan.quotas

    assert sum(quota.people for quota in quotas) == size
    assert sum(quota.companies for quota in quotas) == plan.companies
    assert all(quota.people >= 0 and quota.companies >= 0 for quota in quotas)
    ends = [quota.first_slot + quota.slots for quota in quotas]
    assert all(end <= quota.first_slot for end, quota in zip(ends, quotas[1:], strict=False))
    assert ends[-1] <= SLOTS
    assert len({quota.village.code for quota in quotas}) == len(quotas)
    assert 0 < plan.digital_share <= 1


@pytest.mark.parametrize("size", [-1, 0, 99, LARGEST + 1])
def test_a_town_of_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(SizeError, match="people"):
        TownPlan(size)


def test_a_share_of_the_villages_is_the_same_alone_as_with_the_others() -> None:
    plan = TownPlan(3_000)

    whole = {village.village.code: village for village in generate(plan, plan.quotas)}
    odd = list(generate(plan, plan.quotas[1::2]))

    for village in odd:
        numbers = [person.number for person in whole[village.village.code].people]
        assert [person.number for person in village.people] == numbers


def test_the_divisions_are_the_real_ones() -> None:
    known = villages()

    assert len(known) == 1_468
    assert len({village.county_code for village in known}) == 10
    assert all(len(village.code) == 12 and village.code.startswith(village.town_code) for village in known)
    assert all(village.rural == village.short.endswith("村") for village in known if village.rural)


def test_groups_are_counted_in_chinese() -> None:
    assert [group_name(n) for n in (1, 10, 11, 20, 35)] == ["第一", "第十", "第十一", "第二十", "第三十五"]
