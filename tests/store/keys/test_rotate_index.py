"""Index keys: everybody is found before, meanwhile and afterwards, and the old key is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest

from cli.keys.indexes import ROWS_AT_ONCE
from cli.keys.part import KeysError, Pace, UnfinishedError
from core.clock import now
from core.identity import CITIZEN_NUMBER, Subject
from deploy.local.migrate import PARTS
from services.agricredit.store_uses import PgUses
from services.autofill.budget import GuessBudgetSpentError, GuessLimits
from services.autofill.store import PgGuessBook
from tests.database import CityDatabase
from tests.store.keys.harness import (
    FORMER,
    QUICK,
    enrol,
    execute,
    guess,
    look,
    openings,
    person,
    pool_of,
    ring_of,
    rotate,
    vault_of,
)

INDEXED = ("ledger", "licence", "datanode", "agricredit")
LIVES = {"guess_subject": timedelta(0)}


@pytest.mark.parametrize("part", INDEXED)
async def test_every_number_leads_to_the_same_subject_under_the_new_key_alone(
    filled: CityDatabase, part: str
) -> None:
    before, ring = await look(filled, part), ring_of(filled, part)

    await rotate(filled, "index", part)

    after, rotated = await look(filled, part), ring_of(filled, part)
    assert before.found
    assert all(before.found.values())
    assert after.found == before.found
    assert after.indexed_with == {ring.current_index + 1}
    assert after.values == before.values
    assert after.hashed == before.hashed
    assert list(rotated.index) == [rotated.current_index] == [ring.current_index + 1]
    assert rotated.index[rotated.current_index] not in ring.index.values()
    assert (rotated.kek, rotated.hashing_key) == (ring.kek, ring.hashing_key)


async def test_a_corrected_number_still_leads_to_its_person(filled: CityDatabase) -> None:
    seen = await look(filled, "datanode")

    assert len(seen.found["subject_index", Subject(CITIZEN_NUMBER, FORMER)]) == 1


async def test_a_person_whom_very_many_entries_are_about_is_found_in_all_of_them(
    fresh_database: CityDatabase,
) -> None:
    """More than one round's rows have the same index, and more than all repetitions would get through."""
    entries = ROWS_AT_ONCE * 7
    await openings(fresh_database, about=[(person(1), person(2))] * entries)

    await rotate(fresh_database, "index", "ledger")

    after = await look(fresh_database, "ledger")
    assert after.indexed_with == {2}
    assert len(after.found["opening", person(1)]) == entries
    assert len(after.found["further_subject", person(2)]) == entries


@pytest.mark.parametrize("part", [part for part in PARTS if part not in (*INDEXED, "autofill")])
async def test_a_part_without_an_index_gets_a_new_key_all_the_same(filled: CityDatabase, part: str) -> None:
    await rotate(filled, "index", part)

    assert list(ring_of(filled, part).index) == [2]


async def test_two_processes_enrol_one_farmer_once_whatever_key_each_writes_under(
    fresh_database: CityDatabase, hurried: None
) -> None:
    database = fresh_database
    async with pool_of(database, "agricredit") as pool:
        vaults = [await vault_of(database, "agricredit", pool) for _ in range(2)]
        stores = [PgUses(pool, vault, now) for vault in vaults]
        beside = [asyncio.create_task(vault.keep_fresh()) for vault in vaults]
        known: dict[Subject, UUID] = {}
        rotated = asyncio.Event()

        async def work() -> None:
            while len(known) < 900 and not rotated.is_set():
                farmer = person(len(known))
                first, second = await asyncio.gather(*(enrol(pool, store, farmer) for store in stores))
                assert first == second
                known[farmer] = first
                for again in (farmer, person(0)):
                    assert await enrol(pool, stores[len(known) % 2], again) == known[again]
                assert await stores[0].farmer(first) == farmer
                await asyncio.sleep(0.01)

        working = asyncio.create_task(work())
        await asyncio.sleep(0.2)
        said = await rotate(database, "index", "agricredit", pace=Pace(settle=0.3, poll=0.05))
        assert not working.done(), working.exception()
        rotated.set()
        await working  # Not cut off: a farmer who is enrolled and not yet known here would be one too many.
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)

    after = await look(database, "agricredit")
    assert any("waiting until" in line for line in said)
    assert [sorted(vault._index_keys) for vault in vaults] == [[2], [2]]
    assert after.indexed_with == {2}
    assert {("farmer_index", farmer): frozenset({one}) for farmer, one in known.items()} == after.found


async def test_nobody_writes_under_a_key_that_somebody_does_not_look_under(
    fresh_database: CityDatabase,
) -> None:
    database = fresh_database
    async with pool_of(database, "agricredit") as pool:
        slow = await vault_of(database, "agricredit", pool)
        rotation = asyncio.create_task(rotate(database, "index", "agricredit"))
        await asyncio.sleep(0.5)

        ring = ring_of(database, "agricredit")
        assert (sorted(ring.index), ring.current_index) == ([1, 2], 1)
        assert not rotation.done()

        while not rotation.done():
            await slow.refresh()
            await asyncio.sleep(0.05)
        await rotation
    assert sorted(slow._index_keys) == [2]


async def test_the_database_refuses_what_is_indexed_under_an_old_key(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "agricredit") as pool:
        forgotten = PgUses(pool, await vault_of(database, "agricredit", pool), now)
        await enrol(pool, forgotten, person(1))
        await pool.execute("DELETE FROM key_holder")

        await rotate(database, "index", "agricredit")

        with pytest.raises(asyncpg.CheckViolationError, match="indexed_since_2"):
            await enrol(pool, forgotten, person(2))


async def test_a_row_without_its_number_keeps_the_old_key(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "agricredit") as pool:
        store = PgUses(pool, await vault_of(database, "agricredit", pool), now)
        for serial in range(3):
            await enrol(pool, store, person(serial))
        lost = await enrol(pool, store, person(3))
        await pool.execute("DELETE FROM key_holder")
    execute(database, "DELETE FROM agricredit.farmer WHERE subject_id = %s", lost)

    with pytest.raises(KeysError, match=r"1 rows of farmer_index lead to no number"):
        await rotate(database, "index", "agricredit")

    assert sorted(ring_of(database, "agricredit").index) == [1, 2]
    assert (await look(database, "agricredit")).indexed_with == {1, 2}
    execute(database, "DELETE FROM agricredit.farmer_index WHERE subject_id = %s", lost)
    await rotate(database, "index", "agricredit")
    assert (await look(database, "agricredit")).indexed_with == {2}


async def test_a_number_that_leads_to_two_subjects_keeps_the_old_key(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "agricredit") as pool:
        vault = await vault_of(database, "agricredit", pool)
        await enrol(pool, PgUses(pool, vault, now), person(1))
        await pool.execute("DELETE FROM key_holder")
        ring = ring_of(database, "agricredit").with_new_index()
        ring.save(database.keyring("agricredit"))
        vault = await vault_of(database, "agricredit", pool)
        await pool.execute("DELETE FROM key_holder")
    execute(
        database,
        "INSERT INTO agricredit.farmer_index VALUES (%s, 2, %s)",
        vault.blind_index(person(1)),
        uuid4(),
    )

    with pytest.raises(KeysError, match="lead to two subjects"):
        await rotate(database, "index", "agricredit")

    assert sorted(ring_of(database, "agricredit").index) == [1, 2]


async def test_wrong_guesses_are_remembered_across_the_change_and_their_key_until_they_expire(
    fresh_database: CityDatabase,
) -> None:
    database = fresh_database
    limits = GuessLimits(per_field=2, per_subject=20)
    async with pool_of(database, "autofill") as pool:
        await guess(PgGuessBook(pool, await vault_of(database, "autofill", pool), limits, now), person(1))
        await pool.execute("DELETE FROM key_holder")

        with pytest.raises(UnfinishedError, match=r"rows of guess_subject need the old key until"):
            await rotate(database, "index", "autofill")

        ring = ring_of(database, "autofill")
        assert (sorted(ring.index), ring.current_index) == ([1, 2], 2)
        book = PgGuessBook(pool, await vault_of(database, "autofill", pool), limits, now)
        await guess(book, person(1))
        with pytest.raises(GuessBudgetSpentError):
            await guess(book, person(1))
        await pool.execute("DELETE FROM key_holder")
    execute(
        database,
        "UPDATE autofill.guess_subject SET last_tried_at = now() - interval '24 h' WHERE index_version = 1",
    )
    await rotate(database, "index", "autofill")
    assert (await look(database, "autofill")).indexed_with <= {2}
    assert list(ring_of(database, "autofill").index) == [2]


async def test_a_key_file_that_cannot_be_written_changes_nothing(
    fresh_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.keyring.os.fsync", full)

    with pytest.raises(KeysError, match=r"the key file cannot be written: .*No space"):
        await rotate(fresh_database, "index", "licence", pace=QUICK)

    monkeypatch.undo()
    assert list(ring_of(fresh_database, "licence").index) == [1]


async def test_the_fence_of_the_rotation_before_goes(fresh_database: CityDatabase) -> None:
    for _ in range(2):
        await rotate(fresh_database, "index", "licence")

    with psycopg.connect(fresh_database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT conname FROM pg_constraint"
            " WHERE conrelid = 'licence.holder_index'::regclass AND contype = 'c'"
        ).fetchall()
    assert rows == [("indexed_since_3",)]
