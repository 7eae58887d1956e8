"""How a running process keeps up with its keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from core.identity import Subject
from core.keyring import Keyring
from core.vault import KeysStaleError, SealBrokenError, Vault, wrap
from tests.conftest import PoolFactory
from tests.database import CityDatabase

SUBJECT = Subject("111", "440299199001010010")


async def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0.02)


@pytest.fixture
def keyring(fresh_database: CityDatabase) -> Keyring:
    return Keyring.load(fresh_database.keyring("licence"))


@pytest.fixture
async def own_pool(fresh_database: CityDatabase) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(fresh_database.dsn("licence"), min_size=1, max_size=4) as opened:
        yield opened


@pytest.fixture
async def vault(own_pool: asyncpg.Pool, keyring: Keyring) -> Vault:
    return await Vault.open(own_pool, keyring)


async def add_data_key(pool: asyncpg.Pool, keyring: Keyring, version: int, *, active: bool) -> bytes:
    """A further data key, as a rotation adds one."""
    key = bytes([version]) * 32
    await pool.execute(
        "INSERT INTO data_key (version, wrapped, kek_version, active_at)"
        " VALUES ($1, $2, $3, CASE WHEN $4 THEN now() END)",
        version,
        wrap(keyring, version, key),
        keyring.current_kek,
        active,
    )
    return key


async def holder(pool: asyncpg.Pool) -> asyncpg.Record:
    """What the one process has said that it knows."""
    (row,) = await pool.fetch("SELECT process, keyring, data_keys, seals FROM key_holder")
    return row


async def test_a_process_says_from_the_start_which_keys_it_has(
    vault: Vault, own_pool: asyncpg.Pool, keyring: Keyring
) -> None:
    row = await holder(own_pool)

    assert (row["keyring"], row["data_keys"], row["seals"]) == (keyring.fingerprint, [1], 1)


async def test_a_data_key_is_known_before_it_is_used(
    vault: Vault, own_pool: asyncpg.Pool, keyring: Keyring
) -> None:
    key = await add_data_key(own_pool, keyring, 2, active=False)
    row = uuid4()
    other = Vault(keyring, {2: key}).seal(b"plain", row=row, column="c")
    with pytest.raises(SealBrokenError):
        vault.unseal(other, row=row, column="c")

    await vault.refresh()

    assert vault.unseal(other, row=row, column="c") == b"plain"
    assert vault.current_version == 1
    told = await holder(own_pool)
    assert (told["data_keys"], told["seals"]) == ([1, 2], 1)
    assert (await Vault.open(own_pool, keyring)).current_version == 1


async def test_a_data_key_in_use_seals_and_a_deleted_one_is_forgotten(
    vault: Vault, own_pool: asyncpg.Pool, fresh_database: CityDatabase, keyring: Keyring
) -> None:
    row = uuid4()
    old = vault.seal(b"plain", row=row, column="c")
    await add_data_key(own_pool, keyring, 2, active=True)

    await vault.refresh()
    assert vault.current_version == 2
    assert vault.unseal(old, row=row, column="c") == b"plain"

    connection = await asyncpg.connect(fresh_database.admin_dsn)
    await connection.execute("DELETE FROM licence.data_key WHERE version = 1")
    await connection.close()
    await vault.refresh()
    with pytest.raises(SealBrokenError):
        vault.unseal(old, row=row, column="c")


async def test_a_changed_key_file_is_taken_up(
    vault: Vault, own_pool: asyncpg.Pool, fresh_database: CityDatabase, keyring: Keyring
) -> None:
    rotated = keyring.with_new_index()
    rotated.save(fresh_database.keyring("licence"))

    await vault.refresh()

    assert vault.index_version == 2
    assert len(vault.blind_indexes(SUBJECT)) == 2
    assert (await holder(own_pool))["keyring"] == rotated.fingerprint


async def test_a_key_file_that_cannot_be_read_leaves_the_keys_that_there_are(
    vault: Vault, own_pool: asyncpg.Pool, fresh_database: CityDatabase, keyring: Keyring
) -> None:
    fresh_database.keyring("licence").write_text("{")

    with capture_logs() as logs:
        await vault.refresh()
        await vault.refresh()

    assert [line["event"] for line in logs] == ["keys_not_taken_up"]
    assert vault.blind_indexes(SUBJECT) == Vault(keyring, {1: bytes(32)}).blind_indexes(SUBJECT)
    assert (await holder(own_pool))["keyring"] == keyring.fingerprint


async def test_a_data_key_that_cannot_be_unwrapped_is_said_not_to_be_known(
    vault: Vault, own_pool: asyncpg.Pool, keyring: Keyring
) -> None:
    await add_data_key(own_pool, keyring.with_new_kek(), 2, active=True)

    await vault.refresh()

    assert vault.current_version == 1
    assert (await holder(own_pool))["data_keys"] == [1]


async def test_a_value_of_a_key_that_came_into_use_a_moment_ago_wakes_the_process(
    vault: Vault, own_pool: asyncpg.Pool, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.vault.REFRESH_SECONDS", 60.0)
    monkeypatch.setattr("core.vault.RETRY_SECONDS", 0.1)
    fresh = asyncio.create_task(vault.keep_fresh())
    await asyncio.sleep(0.3)
    row = uuid4()
    key = await add_data_key(own_pool, keyring, 2, active=True)

    with pytest.raises(SealBrokenError):
        vault.unseal(Vault(keyring, {2: key}).seal(b"p", row=row, column="c"), row=row, column="c")

    await _until(lambda: vault.current_version == 2)
    fresh.cancel()
    await asyncio.gather(fresh, return_exceptions=True)


async def test_a_process_that_cannot_see_the_live_keys_looks_nobody_up_until_it_can(
    vault: Vault, own_pool: asyncpg.Pool, fresh_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("REFRESH_SECONDS", 0.2), ("RETRY_SECONDS", 0.1), ("STALE_SECONDS", 1.0)):
        monkeypatch.setattr(f"core.vault.{name}", seconds)
    fresh = asyncio.create_task(vault.keep_fresh())
    await asyncio.sleep(0.3)
    index = vault.blind_index(SUBJECT)
    connection = await asyncpg.connect(fresh_database.admin_dsn)

    def refused() -> bool:
        try:
            vault.blind_index(SUBJECT)
        except KeysStaleError:
            return True
        return False

    async with connection.transaction():
        await connection.execute("LOCK TABLE licence.data_key IN ACCESS EXCLUSIVE MODE")
        await _until(refused)
        with pytest.raises(KeysStaleError):
            vault.blind_indexes(SUBJECT)
        row = uuid4()
        sealed = vault.seal(b"plain", row=row, column="c")
        assert vault.unseal(sealed, row=row, column="c") == b"plain"
    await connection.close()

    await _until(lambda: not refused())
    assert vault.blind_index(SUBJECT) == index
    fresh.cancel()
    await asyncio.gather(fresh, return_exceptions=True)


async def test_a_process_that_ends_is_no_holder_any_more(vault: Vault, own_pool: asyncpg.Pool) -> None:
    fresh = asyncio.create_task(vault.keep_fresh())
    await asyncio.sleep(0.3)
    assert await own_pool.fetchval("SELECT count(*) FROM key_holder") == 1

    fresh.cancel()
    await asyncio.gather(fresh, return_exceptions=True)

    assert await own_pool.fetchval("SELECT count(*) FROM key_holder") == 0


async def test_a_service_may_not_change_its_data_keys(vault: Vault, own_pool: asyncpg.Pool) -> None:
    for statement in ("UPDATE data_key SET active_at = NULL", "DELETE FROM data_key"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own_pool.execute(statement)


async def test_a_single_connection_is_no_process(pool: PoolFactory, city_database: CityDatabase) -> None:
    opened = await pool("eseal")
    async with opened.acquire() as connection:
        await Vault.open(connection, Keyring.load(city_database.keyring("eseal")))

    assert await opened.fetchval("SELECT count(*) FROM key_holder") == 0
