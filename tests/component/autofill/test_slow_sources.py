"""One slow, dead or broken source never hangs a form: the deadline is kept, and what is missing is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from onestop.autofill.v1 import autofill_pb2 as pb

from services.autofill.service import Waiting
from tests.component.autofill.conftest import settle
from tests.component.autofill.harness import (
    HOUSEHOLD,
    ID_CARD,
    PERSON,
    Counter,
    by_name,
    running_counter,
    verdicts,
)
from tests.component.autofill.upstreams import Mood
from tests.conftest import PoolFactory
from tests.database import CityDatabase

FILLED, NO_DATA, SOURCE_DOWN = pb.FIELD_STATUS_FILLED, pb.FIELD_STATUS_NO_DATA, pb.FIELD_STATUS_SOURCE_DOWN


@pytest.fixture
async def impatient(city_database: CityDatabase, pool: PoolFactory, pki: Path) -> AsyncIterator[Counter]:
    """A service that waits half a second for its sources."""
    city_database.truncate("autofill")
    waiting = Waiting(longest=timedelta(seconds=0.5))
    async with running_counter(city_database, await pool("autofill"), pki, waiting=waiting) as running:
        settle(running)
        yield running


def outcomes(result: pb.AutofillResult) -> dict[str, str]:
    return {report.resource: report.outcome for report in result.answer.sources}


async def test_a_slow_source_is_late_and_its_fields_say_so(impatient: Counter) -> None:
    impatient.upstream.moods[HOUSEHOLD] = Mood.SLOW

    began = time.monotonic()
    result = await impatient.fill()
    took = time.monotonic() - began

    assert took < 3
    fields = by_name(result)
    assert (fields["family_members"].status, fields["family_members"].source) == (SOURCE_DOWN, HOUSEHOLD)
    assert fields["household_size"].status == SOURCE_DOWN
    assert fields["name"].status == FILLED
    assert outcomes(result)[HOUSEHOLD] == "late"
    assert outcomes(result)[PERSON] == "answered"
    (report,) = [r for r in result.answer.sources if r.resource == HOUSEHOLD]
    assert 400 <= report.elapsed_ms <= 1500
    (entry,) = impatient.ledger.entries
    assert "family_members" not in entry.field_names


async def test_the_callers_deadline_is_kept_with_time_for_the_ledger(counter: Counter) -> None:
    counter.upstream.moods[PERSON] = Mood.SLOW

    began = time.monotonic()
    result = await counter.fill("name", "phone", asking=replace(counter.asking, seconds=2.0))
    took = time.monotonic() - began

    assert took < 2.0
    fields = by_name(result)
    assert fields["name"].status == FILLED
    assert (fields["phone"].status, fields["phone"].source) == (SOURCE_DOWN, PERSON)
    assert len(counter.ledger.entries) == 1


async def test_a_dead_upstream_costs_only_its_own_fields(impatient: Counter) -> None:
    await impatient.licences.stop(None)

    result = await impatient.fill("name", "phone")

    fields = by_name(result)
    assert fields["name"].provenance.resource == PERSON
    assert fields["phone"].status == FILLED
    assert outcomes(result)[ID_CARD] in {"down", "late"}


async def test_a_broken_upstream_is_down_and_one_that_refuses_is_not_allowed(impatient: Counter) -> None:
    impatient.upstream.moods |= {PERSON: Mood.BROKEN, HOUSEHOLD: Mood.REFUSING}

    result = await impatient.fill("phone", "household_size", "name")

    fields = by_name(result)
    assert fields["phone"].status == SOURCE_DOWN
    assert fields["household_size"].status == pb.FIELD_STATUS_NOT_ALLOWED
    assert fields["name"].status == FILLED
    assert outcomes(result) == {PERSON: "down", HOUSEHOLD: "not_allowed", ID_CARD: "answered"}


async def test_a_slow_resource_has_slots_of_its_own(counter: Counter) -> None:
    """Ten forms hang on one register; a form that does not need it is filled at once."""
    counter.upstream.moods[HOUSEHOLD] = Mood.SLOW
    hanging = [asyncio.ensure_future(counter.fill("household_size")) for _ in range(10)]
    await asyncio.sleep(0.2)

    began = time.monotonic()
    result = await counter.fill("phone")
    took = time.monotonic() - began

    assert by_name(result)["phone"].status == FILLED
    assert took < 1.0
    for form in hanging:
        assert by_name(await form)["household_size"].status == SOURCE_DOWN


async def test_a_slow_resource_takes_nothing_from_those_asked_for_the_same_forms(impatient: Counter) -> None:
    """Forms that ask for it beside others go in one call; the others answer all of them all the same."""
    impatient.upstream.moods[HOUSEHOLD] = Mood.SLOW
    forms = []
    for _ in range(8):
        forms.append(asyncio.ensure_future(impatient.fill("phone", "household_size")))
        await asyncio.sleep(0.05)

    results = [by_name(await form) for form in forms]

    assert {fields["phone"].status for fields in results} == {FILLED}
    assert {fields["household_size"].status for fields in results} == {SOURCE_DOWN}

    impatient.upstream.moods.clear()
    assert by_name(await impatient.fill("household_size"))["household_size"].status == FILLED


async def test_a_form_whose_sources_all_fail_is_still_answered_and_recorded(impatient: Counter) -> None:
    impatient.upstream.moods |= {PERSON: Mood.SLOW, ID_CARD: Mood.BROKEN}

    result = await impatient.fill("name", "sex")

    assert {field.status for field in by_name(result).values()} == {SOURCE_DOWN}
    assert len(impatient.ledger.entries) == 1
    assert impatient.ledger.entries[0].field_names == ()


async def test_verifying_against_a_silent_source_is_unknown(impatient: Counter) -> None:
    impatient.upstream.moods |= {PERSON: Mood.SLOW}

    result = await impatient.verify({"phone": "13800138000", "household_size": 2})

    assert verdicts(result) == {"household_size": "match", "phone": "source_down"}


async def test_a_caller_who_hangs_up_leaves_no_work_behind(counter: Counter) -> None:
    counter.upstream.moods[PERSON] = Mood.SLOW

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await counter.fill("phone")
    await asyncio.sleep(0.1)

    working = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    assert [work for work in working if "FormDesk" in work or "Upstream" in work] == []
    assert counter.ledger.entries == []
