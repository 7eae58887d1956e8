"""An embedded database that cannot start for a while: the city waits for it instead of ending."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.city import City

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def small() -> Iterator[City]:
    """A ledger and its database."""
    made = City(only=["ledger"], town=False)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


def said(city: City, words: str, seconds: float = 30.0) -> None:
    """Waits until the supervisor has said something."""
    deadline = time.monotonic() + seconds
    while words not in city.output:
        assert time.monotonic() < deadline, city.output[-2000:]
        time.sleep(0.05)


def test_a_database_that_cannot_start_is_tried_again_until_it_can(small: City) -> None:
    control = small.home / "pg" / "data" / "global" / "pg_control"
    away = control.with_name("pg_control.away")
    hold = small.settings.run / "postgres.hold"
    hold.touch()
    old = small.kill("postgres")
    said_before = small.output
    control.rename(away)
    hold.unlink()

    said(small, "trying again every")
    time.sleep(2.5)
    assert small.process is not None
    assert small.process.poll() is None, "the city has ended"
    away.rename(control)

    small.wait_well("postgres", other_than=old)
    small.wait_well("ledger")
    assert small.output.removeprefix(said_before).count("trying again every") == 1, "it is said once"
    said(small, "PostgreSQL is back")
