"""A rotation that ends at any of its steps has lost nothing: all is readable, and the next run goes on."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from cli.keys.part import Pace
from core.clock import now
from core.replies import PgReplies
from core.vault import Vault
from services.agricredit.store_uses import PgUses
from tests.database import CityDatabase
from tests.store.keys.harness import (
    CrashError,
    Steps,
    data_versions,
    enrol,
    execute,
    look,
    person,
    pool_of,
    remember,
    reply_key,
    ring_of,
    rotate,
    vault_of,
)

PACE = Pace(settle=0, patience=0, poll=0.02, lives={"use codes": timedelta(0)})


STEPS = {
    "kek": {"key file written", "a data key is wrapped anew", "the data keys are wrapped anew"},
    "data": {
        "the data key is announced",
        "the data key is in use",
        "the old data key is retired",
        "some rows of farmer are sealed anew",
        "some rows of reply are sealed anew",
        "the old data key is deleted",
    },
    "index": {"key file written", "some rows of farmer_index are indexed anew"},
}


class Service:
    """The agricredit part as far as it seals and indexes, with every process that has ever run."""

    def __init__(self, pool: asyncpg.Pool, database: CityDatabase) -> None:
        self._pool = pool
        self._database = database
        self._farmers = 0
        self._remembered: list[str] = []
        self._vaults: list[Vault] = []

    async def work(self) -> None:
        """A process starts; it and one that has run all the while write, and read what all have written."""
        self._vaults = [*self._vaults[:1], await vault_of(self._database, "agricredit", self._pool)]
        for vault in self._vaults:
            await vault.refresh()
        for writer in self._vaults:
            name = uuid4().hex
            await remember(PgReplies(self._pool, writer, now), name)
            self._remembered.append(name)
            await enrol(self._pool, PgUses(self._pool, writer, now), person(self._farmers))
            self._farmers += 1
        for reader in self._vaults:
            store, replies = PgUses(self._pool, reader, now), PgReplies(self._pool, reader, now)
            for serial in range(self._farmers):
                subject_id = await enrol(self._pool, store, person(serial))
                assert await store.farmer(subject_id) == person(serial)
            for name in self._remembered:
                stored = await replies.find(reply_key(name), b"body")
                assert stored is not None
                assert stored.wire is not None
        assert await self._pool.fetchval("SELECT count(*) FROM farmer") == self._farmers
        # The command is run when these processes have been told, or are gone.
        await self._pool.execute("DELETE FROM key_holder")

    async def forget(self) -> None:
        """Leaves little of what was written, so that each rotation has as many steps as the one before."""
        store = PgUses(self._pool, self._vaults[-1], now)
        gone = [await enrol(self._pool, store, person(serial)) for serial in range(6, self._farmers)]
        execute(self._database, "DELETE FROM agricredit.farmer_index WHERE subject_id = ANY(%s)", gone)
        execute(self._database, "DELETE FROM agricredit.farmer WHERE subject_id = ANY(%s)", gone)
        execute(self._database, "DELETE FROM agricredit.reply")
        self._farmers = min(self._farmers, 6)
        self._remembered.clear()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.keys.tables.ROWS_AT_ONCE", 5)
    monkeypatch.setattr("cli.keys.indexes.ROWS_AT_ONCE", 5)


@pytest.mark.parametrize("kind", ["kek", "data", "index"])
async def test_a_crash_at_any_step_loses_nothing_and_the_next_run_finishes(
    fresh_database: CityDatabase, kind: str
) -> None:
    database, part = fresh_database, "agricredit"
    crashes: list[str] = []
    async with pool_of(database, part) as pool:
        service = Service(pool, database)
        for _ in range(3):
            await service.work()
        hashed = (await look(database, part)).hashed
        crash_at = 1
        while True:
            steps = Steps(crash_at)
            try:
                await rotate(database, kind, part, pace=PACE, step=steps)
            except CrashError as crash:
                crashes.append(str(crash))
            else:
                break  # Fewer steps than that: every one of them has been a crash once.
            await service.work()
            await rotate(database, kind, part, pace=PACE)
            await service.work()
            _only_one_version(database, part)
            await service.forget()
            await service.work()
            crash_at += 1

        seen = await look(database, part)
    assert set(crashes) >= STEPS[kind]
    assert any("stands for" in crash for crash in crashes)
    assert any("is proved for" in crash for crash in crashes)
    assert len(seen.sealed_with) == 1
    assert len(seen.indexed_with) == 1
    assert seen.hashed == hashed


def _only_one_version(database: CityDatabase, part: str) -> None:
    ring = ring_of(database, part)
    assert (len(ring.kek), len(ring.index), len(data_versions(database, part))) == (1, 1, 1)


@pytest.mark.parametrize("first", ["kek", "data", "index"])
async def test_rotations_of_other_keys_may_come_between(fresh_database: CityDatabase, first: str) -> None:
    database, part = fresh_database, "agricredit"
    async with pool_of(database, part) as pool:
        service = Service(pool, database)
        await service.work()
        for crash_at in (1, 2, 3):
            with pytest.raises(CrashError):
                await rotate(database, first, part, pace=PACE, step=Steps(crash_at))
            for other in ("kek", "data", "index"):
                if other != first:
                    await rotate(database, other, part, pace=PACE)
                    await service.work()
            await rotate(database, first, part, pace=PACE)
            await service.work()
            _only_one_version(database, part)


async def test_a_half_written_key_file_is_cleared_away(fresh_database: CityDatabase) -> None:
    path = fresh_database.keyring("licence")
    path.with_suffix(".new").write_text('{"kek": {"1"')

    await rotate(fresh_database, "index", "licence")

    assert list(ring_of(fresh_database, "licence").index) == [2]
    assert not path.with_suffix(".new").exists()
