"""A running seal service for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.config import PARTS
from deploy.local.pki import make_pki
from services.eseal.workshop import Workshop
from tests.component.eseal.harness import Desk, running_desk
from tests.conftest import PoolFactory
from tests.database import CityDatabase


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKI with every part's certificate."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, (*PARTS, "gateway"))
    return folder


@pytest.fixture
async def workshop() -> AsyncIterator[Workshop]:
    """One worker, with little patience."""
    opened = Workshop(workers=1, cpu_seconds=2.0)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def desk(
    city_database: CityDatabase, pool: PoolFactory, pki: Path, workshop: Workshop
) -> AsyncIterator[Desk]:
    city_database.truncate("eseal")
    async with running_desk(city_database, await pool("eseal"), pki, workshop) as running:
        yield running
