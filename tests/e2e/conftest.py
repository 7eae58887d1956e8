"""The composed city that the end-to-end tests share, and its callers, held against the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.city import City
from tests.e2e.contract import Contract
from tests.story import Json, Machine, Person, bank_of, cast_of, citizen_of, platform_of


@pytest.fixture(scope="session")
def city() -> Iterator[City]:
    """One running city with a hamlet in it; tests leave it whole. For rougher things take `own_city`."""
    made = City()
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
