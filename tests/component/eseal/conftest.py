"""A running seal service for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.clock import now
from core.config import PARTS
from deploy.local.pki import make_pki
from services.eseal.confined.workshop import Workshop
from tests.component.eseal.authority import RunningAuthority, running_authority
from tests.component.eseal.harness import Desk, running_desk
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeClock


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


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now().replace(microsecond=0))


@pytest.fixture
async def authority(pki: Path, clock: FakeClock) -> AsyncIterator[RunningAuthority]:
    async with running_authority(pki / "seals", clock) as running:
        yield running


@pytest.fixture
async def lasting_desk(
    city_database: CityDatabase,
    pool: PoolFactory,
    pki: Path,
    workshop: Workshop,
    clock: FakeClock,
    authority: RunningAuthority,
) -> AsyncIterator[Desk]:
    city_database.truncate("eseal")
    opened = await pool("eseal")
    async with running_desk(
        city_database, opened, pki, workshop, clock=clock, proofs=authority.proofs()
    ) as running:
        yield running
