"""Key-encryption keys: the data keys are wrapped anew, and the old one is gone from the file."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest

from cli.keys.part import KeysError
from core.keyring import Keyring
from core.vault import SealBrokenError, Vault
from deploy.local.migrate import PARTS
from tests.database import CityDatabase
from tests.store.keys.harness import look, pool_of, ring_of, rotate, vault_of


def wrapped(database: CityDatabase, part: str) -> list[tuple[int, int, bytes]]:
    """Version, version of the key-encryption key, and the wrapped data key."""
    with psycopg.connect(database.admin_dsn) as connection:
        return connection.execute(
            f"SELECT version, kek_version, wrapped FROM {part}.data_key ORDER BY version".encode()
        ).fetchall()


@pytest.mark.parametrize("part", PARTS)
async def test_data_keys_are_wrapped_anew_and_the_old_key_is_gone(filled: CityDatabase, part: str) -> None:
    before, ring, keys = await look(filled, part), ring_of(filled, part), wrapped(filled, part)

    await rotate(filled, "kek", part)

    rotated = ring_of(filled, part)
    assert await look(filled, part) == before
    assert list(rotated.kek) == [rotated.current_kek] == [ring.current_kek + 1]
    assert rotated.kek[rotated.current_kek] not in ring.kek.values()
    assert (rotated.index, rotated.hashing_key) == (ring.index, ring.hashing_key)
    assert [(version, kek) for version, kek, _ in wrapped(filled, part)] == [
        (version, rotated.current_kek) for version, _, _ in keys
    ]
    assert not {key for _, _, key in keys} & {key for _, _, key in wrapped(filled, part)}


async def test_the_old_key_file_opens_the_database_no_more(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        stolen = ring_of(database, "licence")
        await vault_of(database, "licence", pool)
        await pool.execute("DELETE FROM key_holder")

        await rotate(database, "kek", "licence")

        with pytest.raises(SealBrokenError, match="lacks key-encryption key 2"):
            await Vault.open(pool, stolen)


async def test_a_process_that_starts_with_an_old_file_cannot_make_a_data_key_under_it(
    fresh_database: CityDatabase,
) -> None:
    database = fresh_database
    old = ring_of(database, "licence")
    await rotate(database, "kek", "licence")

    async with pool_of(database, "licence") as pool:
        with pytest.raises(asyncpg.CheckViolationError, match="wrapped_since_2"):
            await Vault.open(pool, old)


async def test_a_running_process_has_the_new_key_before_anything_is_wrapped_with_it(
    fresh_database: CityDatabase,
) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        vault = await vault_of(database, "licence", pool)
        rotation = asyncio.create_task(rotate(database, "kek", "licence"))
        await asyncio.sleep(0.4)
        assert [kek for _, kek, _ in wrapped(database, "licence")] == [1]

        while not rotation.done():
            await vault.refresh()
            await asyncio.sleep(0.05)
        await rotation
    assert [kek for _, kek, _ in wrapped(database, "licence")] == [2]


async def test_a_key_file_of_another_city_is_refused(fresh_database: CityDatabase) -> None:
    database = fresh_database
    async with pool_of(database, "licence") as pool:
        await vault_of(database, "licence", pool)
        await pool.execute("DELETE FROM key_holder")
    path = database.keyring("licence")
    own = path.read_bytes()
    Keyring.generate().save(path)

    for kind in ("kek", "data"):
        with pytest.raises(KeysError, match="does not belong to this database"):
            await rotate(database, kind, "licence")

    path.write_bytes(own)
    await rotate(database, "kek", "licence")
