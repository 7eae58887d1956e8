"""A running licence service for each test, in a town of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.config import PARTS
from deploy.local.pki import make_pki
from tests.component.licence.harness import Desk, running_desk
from tests.conftest import PoolFactory
from tests.database import CityDatabase


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKI with every part's certificate."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, (*PARTS, "gateway"))
    return folder


@pytest.fixture
async def desk(city_database: CityDatabase, pool: PoolFactory, pki: Path) -> AsyncIterator[Desk]:
    city_database.truncate("licence")
    async with running_desk(city_database, await pool("licence"), pki) as running:
        yield running
