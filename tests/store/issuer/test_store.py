"""Registrations in real PostgreSQL: what is read, and what the database itself refuses."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest

from deploy.town.seed_issuer import seed
from services.issuer.domain import Client, ClientState
from services.issuer.store import PgClientStore
from tests.conftest import PoolFactory
from tests.database import CityDatabase


@pytest.fixture(autouse=True)
def _empty(city_database: CityDatabase) -> None:
    city_database.truncate("issuer")


async def test_the_town_s_callers_are_found_with_their_scopes(
    city_database: CityDatabase, pool: PoolFactory
) -> None:
    assert seed(city_database.admin_dsn) == ["approval-platform", "rural-bank", "company-app"]
    store = PgClientStore(await pool("issuer"))

    bank = await store.find("rural-bank")

    assert bank == Client(
        "rural-bank",
        "rural-bank",
        frozenset({"consent.request", "credit.fetch", "ledger.read"}),
        "onestop",
        ClientState.ACTIVE,
    )
    assert await store.find("another-bank") is None


async def test_seeding_again_keeps_what_the_operator_has_changed(
    city_database: CityDatabase, pool: PoolFactory
) -> None:
    seed(city_database.admin_dsn)
    with psycopg.connect(city_database.admin_dsn) as connection:
        connection.execute("UPDATE issuer.client SET state = 'disabled' WHERE client_id = 'rural-bank'")

    assert seed(city_database.admin_dsn) == []

    bank = await PgClientStore(await pool("issuer")).find("rural-bank")
    assert bank is not None
    assert bank.state is ClientState.DISABLED


async def test_the_service_s_role_cannot_register_anybody(pool: PoolFactory) -> None:
    issuer = await pool("issuer")

    for statement in (
        "INSERT INTO client (client_id, certificate_name, scopes) VALUES ('x-bank', 'x-bank', '{seal.use}')",
        "UPDATE client SET scopes = '{seal.use}'",
        "DELETE FROM client",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await issuer.execute(statement)


@pytest.mark.parametrize(
    "values",
    [
        "('citizen', 'a-name', '{ledger.read}')",
        "('x-bank', 'x-bank', '{ledger.read,citizen}')",
        "('x-bank', 'x-bank', '{}')",
        "('x-bank', 'X-Bank', '{ledger.read}')",
        "('X bank', 'x-bank', '{ledger.read}')",
    ],
    ids=["the citizens' name", "the citizens' scope", "no scope", "capital letters", "malformed id"],
)
def test_the_database_refuses_a_bad_registration(city_database: CityDatabase, values: str) -> None:
    with (
        psycopg.connect(city_database.admin_dsn) as connection,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute(
            f"INSERT INTO issuer.client (client_id, certificate_name, scopes) VALUES {values}".encode()
        )


def test_one_certificate_name_is_one_client(city_database: CityDatabase) -> None:
    seed(city_database.admin_dsn)

    with (
        psycopg.connect(city_database.admin_dsn) as connection,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        connection.execute(
            "INSERT INTO issuer.client (client_id, certificate_name, scopes)"
            " VALUES ('second-bank', 'rural-bank', '{ledger.read}')"
        )
