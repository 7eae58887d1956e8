"""What a pool's connections are sure of."""

from __future__ import annotations

import asyncio

import pytest

from core import db
from tests.database import CityDatabase

LOCK = "SELECT pg_advisory_xact_lock(440299)"


async def test_a_process_that_stands_still_inside_a_transaction_holds_up_nobody_for_long(
    city_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "LONGEST_PAUSE_SECONDS", 1)
    pool = await db.make_pool(city_database.dsn("agricredit"), 2)
    frozen, other = await pool.acquire(), await pool.acquire()
    try:
        await frozen.transaction().start()
        await frozen.execute(LOCK)

        async with asyncio.timeout(5), other.transaction():
            await other.execute(LOCK)
    finally:
        pool.terminate()
