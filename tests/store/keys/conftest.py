"""A filled city for each test module, and one for a test that does more to it."""

from __future__ import annotations

import asyncio

import pytest

from deploy.local.migrate import PARTS
from tests.database import CityDatabase
from tests.store.keys.harness import fill, forget_processes


@pytest.fixture(scope="module")
def filled(city_database: CityDatabase) -> CityDatabase:
    """A city with something sealed in every part; none of its processes runs."""
    asyncio.run(fill(city_database))
    for part in PARTS:
        forget_processes(city_database, part)
    return city_database


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look for new keys several times a second."""
    monkeypatch.setattr("core.vault.REFRESH_SECONDS", 0.3)
    monkeypatch.setattr("core.vault.RETRY_SECONDS", 0.1)
