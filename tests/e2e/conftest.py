"""The composed city that the end-to-end tests share, and its callers, held against the contract."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.city import City
from tests.collector import Collector
from tests.e2e.contract import Contract
from tests.loops import share_loops
from tests.story import (
    ID_CARD,
    MATTER,
    MENDED_SECONDS,
    Json,
    Machine,
    Person,
    bank_of,
    case_of,
    cast_of,
    citizen_of,
    letter,
    person,
    platform_of,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One browser for the pages."""
    share_loops(items, Path(__file__).with_name("test_people_s_pages.py"))


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Gets the shared city's traces."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="session")
def city(collector: Collector) -> Iterator[City]:
    """One running city with a hamlet in it; tests leave it whole. For rougher things take `own_city`."""
    made = City(environment=collector.environment, anew=True)
    try:
        made.start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.stop()
    finally:
        made.remove()


@pytest.fixture
def own_city() -> Iterator[Callable[..., City]]:
    """Makes cities of a test's own: `own_city(only=["ledger"], town=False).start()`; removed afterwards."""
    made: list[City] = []

    def make(**options: object) -> City:
        made.append(City(**options))  # type: ignore[arg-type] # City checks them
        return made[-1]

    yield make
    for city in made:
        city.remove()


@pytest.fixture(scope="session")
def cast(city: City) -> Json:
    """The demo's cast: applicant, farmer, lapsed, company, office, password."""
    return cast_of(city)


@pytest.fixture(scope="session")
def contract(city: City) -> Contract:
    """What the city publishes about itself. Every caller below checks every answer against it."""
    return Contract(httpx2.get(f"{city.people}/openapi.json", verify=city.tls()).json())


@pytest.fixture(scope="module")
def platform(city: City, contract: Contract) -> Iterator[Machine]:
    """The approval platform, with a fresh token."""
    with platform_of(city, contract.check) as caller:
        yield caller


@pytest.fixture(scope="module")
def bank(city: City, contract: Contract) -> Iterator[Machine]:
    """The lending partner, with a fresh token."""
    with bank_of(city, contract.check) as caller:
        yield caller


@pytest.fixture(scope="module")
def farmer(city: City, contract: Contract, cast: Json) -> Iterator[Person]:
    """The farmer, signed in."""
    with citizen_of(city, contract.check) as person:
        person.sign_in(cast["farmer"]["login"], cast["password"])
        yield person


@pytest.fixture(scope="module")
def applicant(city: City, contract: Contract, cast: Json) -> Iterator[Person]:
    """The applicant, signed in: to the farmer's affairs, somebody else."""
    with citizen_of(city, contract.check) as person:
        person.sign_in(cast["applicant"]["login"], cast["password"])
        yield person


@pytest.fixture
def mended(city: City, platform: Machine, farmer: Person, cast: Json) -> Iterator[None]:
    """For tests that stop parts: waits afterwards until every part is found again by those who call it."""
    yield
    applicant = person(cast["applicant"]["code"])

    def everything_answers() -> bool:
        case = case_of(city)
        search = {"case": case, "holder": applicant, "type_codes": [ID_CARD]}
        filled = platform.ask(
            "POST",
            f"/approval/v1/matters/{MATTER}:autofill",
            json={"case": case, "subjects": {"applicant": applicant}},
        )
        files = {"document": letter(), "request": json.dumps({"case": case}).encode()}
        others = [
            platform.ask("POST", "/approval/v1/licences:search", json=search),
            platform.ask("POST", "/approval/v1/documents:verify", files=files),
            farmer.ask("GET", "/citizen/v1/consent_requests"),
        ]
        return all(one.is_success for one in (filled, *others)) and "source_down" not in filled.text

    deadline = time.monotonic() + MENDED_SECONDS
    while not everything_answers():
        assert time.monotonic() < deadline, f"the city does not answer again:\n{city.output[-3000:]}"
        time.sleep(0.2)
