"""What documents of a template share is kept as long as an answer may need it, and no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import asyncpg
import pytest

from core.clock import now
from services.eseal.templates.store import PgPlates
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeClock

CONTENT = b"a template's fixed text"
DIGEST = sha256(CONTENT).digest()


@dataclass
class Shelf:
    """The table of plates, and how to let time go by in it."""

    pool: asyncpg.Pool
    owner: asyncpg.Connection
    clock: FakeClock

    def plates(self) -> PgPlates:
        """As a process has them that remembers nothing."""
        return PgPlates(self.pool, self.clock)

    async def pass_by(self, time: timedelta) -> None:
        self.clock.advance(time)
        await self.owner.execute("UPDATE template_plate SET used_at = used_at - $1::interval", time)


@pytest.fixture
async def shelf(city_database: CityDatabase, pool: PoolFactory) -> AsyncIterator[Shelf]:
    owner = await asyncpg.connect(city_database.admin_dsn, server_settings={"search_path": "eseal"})
    yield Shelf(await pool("eseal"), owner, FakeClock(now()))
    await owner.close()


async def test_a_plate_stays_while_an_answer_may_need_it_and_is_deleted_then(shelf: Shelf) -> None:
    plates = shelf.plates()
    await plates.keep(DIGEST, CONTENT)

    await shelf.pass_by(timedelta(hours=47))
    await plates.sweep()
    stays = await shelf.plates().find(DIGEST)
    await shelf.pass_by(timedelta(hours=2))
    await plates.sweep()

    assert stays == CONTENT
    assert await shelf.plates().find(DIGEST) is None


async def test_a_plate_in_use_is_marked_again_and_one_that_was_deleted_is_written_again(shelf: Shelf) -> None:
    plates = shelf.plates()
    for _ in range(3):
        await plates.keep(DIGEST, CONTENT)
        await shelf.pass_by(timedelta(hours=30))
        await shelf.plates().sweep()
    in_use = await shelf.plates().find(DIGEST)

    await shelf.pass_by(timedelta(hours=30))
    await shelf.plates().sweep()
    deleted = await shelf.plates().find(DIGEST)
    await plates.keep(DIGEST, CONTENT)

    assert (in_use, deleted) == (CONTENT, None)
    assert await shelf.plates().find(DIGEST) == CONTENT


async def test_a_plate_is_marked_once_an_hour_and_not_for_each_document(shelf: Shelf) -> None:
    plates = shelf.plates()
    await plates.keep(DIGEST, CONTENT)
    await shelf.owner.execute("DELETE FROM template_plate")

    await plates.keep(DIGEST, CONTENT)
    at_once = await shelf.plates().find(DIGEST)
    shelf.clock.advance(timedelta(minutes=61))
    await plates.keep(DIGEST, CONTENT)

    assert at_once is None
    assert await shelf.plates().find(DIGEST) == CONTENT
