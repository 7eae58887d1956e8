"""The composed city that the end-to-end tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.city import City


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
