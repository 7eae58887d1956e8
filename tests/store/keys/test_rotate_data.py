"""Data keys: everything is sealed anew, nothing is lost, and the old key is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from cli.keys.part import KeysError, Pace, UnfinishedError
from core.clock import now
from core.replies import PgReplies
from core.vault import SealBrokenError, sealed_version
from deploy.local.migrate import PARTS
from services.licence.usecode import SealedUseCodes
from tests.database import CityDatabase
from tests.store.keys.harness import (
    data_versions,
    execute,
    look,
    pool_of,
    remember,
    reply_key,
    ring_of,
    rotate,
    vault_of,
)

LIVES = {"use codes": timedelta(0)}
PACE = Pace(settle=0, patience=0, poll=0.02, lives=LIVES)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "issuer"])
async def test_every_value_is_sealed_anew_and_the_old_key_is_gone(filled: CityDatabase, part: str) -> None:
    before = await look(filled, part)
    (old,) = data_versions(filled, part)

    await rotate(filled, "data", part, pace=PACE)

    after = await look(filled, part)
    assert before.values
    assert after.values == before.values
    assert after.found == before.found
    assert after.sealed_with == {old + 1}
    assert not after.sealed & before.sealed
    assert after.hashed == before.hashed
    assert data_versions(filled, part) == [old + 1]


async def test_a_part_that_has_sealed_nothing_has_nothing_to_rotate(filled: CityDatabase) -> None:
    assert await rotate(filled, "data", "issuer") == [
        "issuer: nothing has been sealed yet; there is no data key"
    ]


async def test_what_one_process_writes_meanwhile_another_reads(
    fresh_database: CityDatabase, hurried: None
) -> None:
    """Each process has its own vault and learns of the keys at its own time, as the services do."""
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        processes = [await vault_of(database, "licence", pool) for _ in range(2)]
        memories = [PgReplies(pool, vault, now) for vault in processes]
        beside = [asyncio.create_task(vault.keep_fresh()) for vault in processes]
        written: list[str] = []

        async def work() -> None:
            while True:
                name = uuid4().hex
                await remember(memories[len(written) % 2], name)
                written.append(name)
                for memory in memories:
                    for known in (name, written[0]):
                        stored = await memory.find(reply_key(known), b"body")
                        assert stored is not None
                        assert stored.wire is not None
                await asyncio.sleep(0.01)

        working = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        said = await rotate(
            database, "data", "licence", pace=Pace(settle=0.3, patience=0, poll=0.05, lives=LIVES)
        )
        assert not working.done(), working.exception()
        for task in (working, *beside):
            task.cancel()
        await asyncio.gather(working, *beside, return_exceptions=True)

        assert any("waiting until" in line for line in said)
        assert {vault.current_version for vault in processes} == {2}
        assert [sorted(vault._ciphers) for vault in processes] == [[2], [2]]
        fresh = PgReplies(pool, await vault_of(database, "licence", pool), now)
        for name in written:
            assert (stored := await fresh.find(reply_key(name), b"body")) is not None
            assert stored.wire is not None
        assert len(written) > 20


async def test_a_use_code_keeps_its_key_until_it_has_expired(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        code = SealedUseCodes(await vault_of(database, "licence", pool))._sealer.seal(
            b"code", row=uuid4(), column="use_code"
        )
        await pool.execute("DELETE FROM key_holder")

        with pytest.raises(
            UnfinishedError, match=r"use codes need the old key until .*; run the command again"
        ):
            await rotate(database, "data", "licence")

        assert data_versions(database, "licence") == [1, 2]
        vault = await vault_of(database, "licence", pool)
        assert (vault.current_version, sealed_version(code)) == (2, 1)
        await pool.execute("DELETE FROM key_holder")
        execute(
            database,
            "UPDATE licence.data_key SET retired_at = retired_at - interval '9 min' WHERE version = 1",
        )
        with pytest.raises(UnfinishedError):
            await rotate(database, "data", "licence")
        execute(
            database,
            "UPDATE licence.data_key SET retired_at = retired_at - interval '1 min' WHERE version = 1",
        )
        await rotate(database, "data", "licence")
        assert data_versions(database, "licence") == [2]


async def test_the_database_refuses_what_is_sealed_with_an_old_key(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        forgotten = PgReplies(pool, await vault_of(database, "licence", pool), now)
        await remember(forgotten, "before")
        await pool.execute("DELETE FROM key_holder")

        await rotate(database, "data", "licence", pace=PACE)

        with pytest.raises(asyncpg.CheckViolationError, match="sealed_since_2"):
            await remember(forgotten, "after")
        assert (await look(database, "licence")).sealed_with == {2}


async def test_a_process_that_does_not_know_the_new_key_is_waited_for(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        vault = await vault_of(database, "licence", pool)

        rotation = asyncio.create_task(rotate(database, "data", "licence", pace=PACE))
        await asyncio.sleep(0.5)
        assert not rotation.done()
        assert data_versions(database, "licence") == [1, 2]
        assert vault.current_version == 1

        while not rotation.done():
            await vault.refresh()
            await asyncio.sleep(0.05)
        await rotation
        assert vault.current_version == 2
        assert data_versions(database, "licence") == [2]


async def test_a_process_that_has_not_been_heard_of_for_a_minute_is_not_waited_for(
    fresh_database: CityDatabase,
) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        await vault_of(database, "licence", pool)
    execute(database, "UPDATE licence.key_holder SET seen_at = now() - interval '61 s'")

    await rotate(database, "data", "licence", pace=PACE)

    assert data_versions(database, "licence") == [2]


async def test_a_value_that_does_not_open_keeps_its_key_and_is_named(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        await remember(PgReplies(pool, await vault_of(database, "licence", pool), now), "broken")
        await pool.execute("DELETE FROM key_holder")
    execute(database, "UPDATE licence.reply SET answer = answer || '\\x00'::bytea")

    with pytest.raises(KeysError, match=r"reply\.answer of the row with request [0-9a-f]{64} does not open"):
        await rotate(database, "data", "licence", pace=PACE)

    assert data_versions(database, "licence") == [1, 2]
    execute(database, "DELETE FROM licence.reply")
    await rotate(database, "data", "licence", pace=PACE)
    assert data_versions(database, "licence") == [2]


async def test_a_column_that_the_list_forgets_stops_everything(fresh_database: CityDatabase) -> None:
    execute(fresh_database, "ALTER TABLE licence.holder ADD COLUMN sealed_nickname bytea")

    for kind in ("data", "index"):
        with pytest.raises(KeysError, match=r"does not speak of holder\.sealed_nickname"):
            await rotate(fresh_database, kind, "licence", pace=PACE)

    assert ring_of(fresh_database, "licence").current_index == 1


async def test_two_rotations_of_a_part_do_not_meet(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        await vault_of(database, "licence", pool)
    first = asyncio.create_task(rotate(database, "data", "licence", pace=PACE))
    await asyncio.sleep(0.3)  # It waits for the process above.

    for kind in ("data", "kek", "index"):
        with pytest.raises(KeysError, match="being rotated already"):
            await rotate(database, kind, "licence", pace=PACE)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_large_value_is_alone_in_memory(
    fresh_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = fresh_database
    monkeypatch.setattr("cli.keys.tables.BYTES_AT_ONCE", 400)
    async with pool_of(database, "licence") as pool:
        memory = PgReplies(pool, await vault_of(database, "licence", pool), now)
        for number in range(7):
            await remember(memory, str(number))
        await pool.execute("DELETE FROM key_holder")
    before = await look(database, "licence")

    await rotate(database, "data", "licence", pace=PACE)

    assert (await look(database, "licence")).values == before.values


async def test_the_old_key_opens_nothing_any_more(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        thief = await vault_of(database, "licence", pool)
        await remember(PgReplies(pool, thief, now), "secret")
        await pool.execute("DELETE FROM key_holder")

        await rotate(database, "data", "licence", pace=PACE)

        (row,) = await pool.fetch("SELECT reply_id, answer FROM reply")
    with pytest.raises(SealBrokenError):
        thief.unseal(row["answer"], row=row["reply_id"], column="reply.answer")
