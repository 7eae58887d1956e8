"""The accounts against a real database, as the provider's own role."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from core.keyring import Keyring
from core.vault import Vault
from deploy.idp.accounts import (
    ACCOUNT_COLUMNS,
    Person,
    account_row,
    ensure_password,
    password_matches,
)
from deploy.idp.store import AccountStore
from tests.conftest import PoolFactory
from tests.database import CityDatabase

PERSON = Person(uuid4(), "resident-42", "测试居民", "440299199001010015")


@pytest.fixture
async def store(city_database: CityDatabase, pool: PoolFactory) -> AccountStore:
    """A store over a schema with one account, loaded as the town's loader does it."""
    city_database.truncate("idp")
    own = await pool("idp")
    vault = await Vault.open(own, Keyring.load(city_database.keyring("idp")))
    loader = await asyncpg.connect(city_database.admin_dsn)
    try:
        await loader.copy_records_to_table(
            "account", schema_name="idp", columns=ACCOUNT_COLUMNS, records=[account_row(vault, PERSON)]
        )
    finally:
        await loader.close()
    return AccountStore(own, vault)


async def test_loaded_account_is_found_with_the_shared_password(store: AccountStore) -> None:
    await store.keep_shared_password("the town's password")

    found = await store.find(PERSON.login)

    assert found is not None
    person, password_hash = found
    assert person == PERSON
    assert password_matches("the town's password", password_hash)
    assert await store.person(PERSON.subject_id) == PERSON


async def test_account_without_a_stored_password_cannot_sign_in(store: AccountStore) -> None:
    assert await store.find(PERSON.login) is None


async def test_unknown_login_and_unknown_subject_are_not_found(store: AccountStore) -> None:
    await store.keep_shared_password("x")

    assert await store.find("nobody-here") is None
    assert await store.person(uuid4()) is None


async def test_shared_password_is_hashed_again_only_when_it_changes(store: AccountStore) -> None:
    await store.keep_shared_password("first")
    before = await store.find(PERSON.login)
    await store.keep_shared_password("first")
    same = await store.find(PERSON.login)
    await store.keep_shared_password("second")
    changed = await store.find(PERSON.login)

    assert before is not None
    assert same is not None
    assert changed is not None
    assert before[1] == same[1]
    assert password_matches("second", changed[1])


async def test_name_and_number_are_not_readable_in_the_table(
    store: AccountStore, city_database: CityDatabase
) -> None:
    connection = await asyncpg.connect(city_database.admin_dsn)
    try:
        row = await connection.fetchrow("SELECT account::text AS text, profile FROM idp.account")
    finally:
        await connection.close()

    assert row is not None
    assert PERSON.id_number not in row["text"]
    assert PERSON.id_number.encode() not in row["profile"]
    assert PERSON.name.encode() not in row["profile"]


async def test_provider_may_not_change_accounts(store: AccountStore, pool: PoolFactory) -> None:
    own = await pool("idp")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.execute("DELETE FROM account")


def test_password_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "idp-password"

    first, second = ensure_password(path), ensure_password(path)

    assert first == second
    assert len(first) >= 16
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
