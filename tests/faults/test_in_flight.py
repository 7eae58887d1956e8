"""What is under way when a deadline passes or a part is told to stop."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.faults.account import rows
from tests.faults.ground import Ground
from tests.story import ID_CARD, Json, Machine, case_of, cast_of, letter, patiently, person, platform_of

pytestmark = pytest.mark.timeout(180)

SEARCH = "/approval/v1/licences:search"
DEADLINE = {"Deadline-Ms": "500"}
TOLD_SECONDS = 2.5
"""The deadline, and what a busy machine may add."""


@pytest.fixture
def platform(ground: Ground) -> Iterator[Machine]:
    """The approval platform, of a city that is well."""
    for part in ("ledger", "licence", "eseal", "gateway"):
        ground.back(part)
    with platform_of(ground.city) as caller:
        yield caller


@contextmanager
def still(ground: Ground, part: str) -> Iterator[None]:
    """A part that stands still meanwhile."""
    with ground.city.frozen(part):
        yield


def search_of(ground: Ground) -> Json:
    code = cast_of(ground.city)["applicant"]["code"]
    return {"case": case_of(ground.city), "holder": person(code), "type_codes": [ID_CARD]}


def entries_of(ground: Ground, body: Json) -> int:
    """How many of the log's entries are about a case."""
    number = body["case"]["case_number"]
    found = rows(
        ground.city,
        "SELECT count(*) FROM ledger.entry WHERE position(convert_to(%s, 'UTF8') IN leaf) > 0",
        number,
    )
    return int(found[0][0])


def test_after_a_deadline_of_half_a_second_no_work_goes_on(ground: Ground, platform: Machine) -> None:
    wanted = [search_of(ground) for _ in range(5)]
    first = patiently(lambda: platform.ask("POST", SEARCH, json=search_of(ground)))
    assert first.is_success, first.text

    with still(ground, "ledger"):
        for body in wanted:
            began = time.monotonic()
            late = platform.ask("POST", SEARCH, DEADLINE, json=body)
            assert late.status_code in {503, 504}, late.text
            assert time.monotonic() - began < TOLD_SECONDS
        time.sleep(0.5)
    again = patiently(lambda: platform.ask("POST", SEARCH, json=wanted[0]))
    time.sleep(1.0)

    assert again.is_success, again.text
    assert [entries_of(ground, body) for body in wanted] == [1, 0, 0, 0, 0]


def test_a_letter_whose_deadline_has_passed_is_not_sealed(ground: Ground, platform: Machine) -> None:
    office = cast_of(ground.city)["office"]["code"]
    seals = patiently(lambda: platform.ask("GET", "/approval/v1/seals", params={"office": office})).json()
    path = f"/approval/v1/seals/{seals['seals'][0]['id']}:sign"
    before = rows(ground.city, "SELECT count(*) FROM eseal.signature")
    case = case_of(ground.city)
    files = {
        "request": (None, json.dumps({"case": case}).encode(), "application/json"),
        "document": ("letter.pdf", letter(), "application/pdf"),
    }

    with still(ground, "ledger"):
        headers = {**DEADLINE, "Idempotency-Key": f"late-{case['case_number']}"}
        late = platform.ask("POST", path, headers, files=files)
        time.sleep(0.5)
    time.sleep(1.0)

    assert late.status_code in {503, 504}, late.text
    assert rows(ground.city, "SELECT count(*) FROM eseal.signature") == before


@pytest.mark.parametrize("part", ["gateway", "licence"])
def test_what_is_in_flight_when_a_part_is_told_to_stop_is_answered(
    ground: Ground, platform: Machine, part: str
) -> None:
    answers: list[httpx2.Response] = []
    body = search_of(ground)
    warm = patiently(lambda: platform.ask("POST", SEARCH, json=search_of(ground)))
    assert warm.is_success, warm.text
    pid = ground.city.pid(part)
    assert pid is not None

    with still(ground, "ledger"):
        asking = threading.Thread(target=lambda: answers.append(platform.ask("POST", SEARCH, json=body)))
        asking.start()
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.5)
        assert not answers, "it was not in flight"
    asking.join()
    ground.back(part, other_than=pid)

    (answer,) = answers
    assert answer.is_success, answer.text
    assert entries_of(ground, body) == 1
