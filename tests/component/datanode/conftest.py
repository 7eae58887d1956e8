"""A running data node over a hamlet that is loaded once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.config import PARTS
from deploy.local.pki import make_pki
from deploy.town.load import load
from deploy.town.others import City
from deploy.town.plan import TownPlan
from deploy.town.progress import Lines
from tests.component.datanode.harness import Node, running_node
from tests.conftest import PoolFactory
from tests.database import CityDatabase


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKI with every part's certificate."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, (*PARTS, "gateway"))
    return folder


@pytest.fixture(scope="module")
def hamlet(city_database: CityDatabase) -> CityDatabase:
    """A town of a hundred."""
    city = City(city_database.admin_dsn, city_database.keys.parent)
    asyncio.run(load(city, TownPlan(100), Lines(), workers=1, others=()))
    return city_database


@pytest.fixture
async def node(hamlet: CityDatabase, pool: PoolFactory, pki: Path) -> AsyncIterator[Node]:
    async with running_node(hamlet, await pool("datanode"), pki) as running:
        yield running
