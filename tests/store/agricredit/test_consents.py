"""Partners, requests and consents as the database keeps them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from joserfc.jwk import ECKey

from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault
from deploy.town.seed_agricredit import seed
from services.agricredit.domain import Cursor, Item, State
from services.agricredit.store_uses import PgUses
from tests.database import CityDatabase
from tests.fakes import FakeClock
from tests.store.agricredit.conftest import Granter, asked, person


async def test_the_partner_comes_with_its_agreement_and_public_key_alone(store: PgUses) -> None:
    bank = await store.partner("rural-bank")

    assert bank is not None
    assert set(bank.agreements) == {"loan_application"}
    assert bank.agreements["loan_application"].items == frozenset(Item)
    assert bank.encryption_jwk["kty"] == "EC"
    assert "d" not in bank.encryption_jwk
    assert await store.partner("other-bank") is None


async def test_a_suspended_partner_is_no_partner(store: PgUses, city_database: CityDatabase) -> None:
    with psycopg.connect(city_database.admin_dsn) as connection:
        connection.execute("UPDATE agricredit.partner SET state = 'suspended'")

    assert await store.partner("rural-bank") is None


async def test_seeding_again_follows_the_key_and_keeps_the_rest(
    store: PgUses, city_database: CityDatabase, tmp_path: Path
) -> None:
    with psycopg.connect(city_database.admin_dsn) as connection:
        connection.execute("UPDATE agricredit.partner SET daily_fetches = 7")
    key = ECKey.generate_key("P-256")
    (tmp_path / "new.jwk").write_text(json.dumps(key.as_dict(private=True)))

    seed(city_database.admin_dsn, tmp_path / "new.jwk")

    bank = await store.partner("rural-bank")
    assert bank is not None
    assert bank.encryption_jwk["x"] == key.as_dict(private=False)["x"]
    assert bank.daily_fetches == 7


async def test_a_private_key_cannot_be_registered(store: PgUses, city_database: CityDatabase) -> None:
    with (
        psycopg.connect(city_database.admin_dsn) as connection,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        connection.execute('UPDATE agricredit.partner SET encryption_jwk = encryption_jwk || \'{"d": "x"}\'')


async def test_a_request_comes_back_to_its_partner_and_its_farmer_alone(
    store: PgUses, vault_pool: asyncpg.Pool, clock: FakeClock
) -> None:
    async with vault_pool.acquire() as connection, connection.transaction():
        request = await asked(store, connection, person(1), clock)

    assert await store.request(request.request_id, "rural-bank") == request
    assert await store.request_of(person(1), request.request_id) == request
    assert await store.request(request.request_id, "other-bank") is None
    assert await store.request_of(person(2), request.request_id) is None
    assert await store.farmer(request.subject_id) == person(1)


async def test_a_request_shows_the_consent_that_came_of_it(store: PgUses, granted: Granter) -> None:
    consent = await granted(items=(Item.SUBSIDIES,))

    request = await store.request(consent.request_id, "rural-bank")

    assert request is not None
    assert request.consent == consent
    assert request.items == tuple(Item)
    assert (await store.look(consent.partner_id, consent.consent_id)).consent == consent
    assert await store.consent_of(person(1), consent.consent_id) == consent
    assert await store.consent_of(person(2), consent.consent_id) is None


async def test_pages_run_from_the_newest_to_the_oldest_without_gap_or_double(
    store: PgUses, vault_pool: asyncpg.Pool, clock: FakeClock
) -> None:
    made = []
    for step in range(7):
        async with vault_pool.acquire() as connection, connection.transaction():
            made.append(await asked(store, connection, person(), clock))
        if step % 2:  # Two at the same moment, so that the id decides.
            clock.advance(timedelta(seconds=1))

    seen, after = [], None
    while page := await store.requests_of(person(), after, 2):
        seen += page
        after = Cursor(page[-1].requested_at, page[-1].request_id)

    assert sorted(one.request_id for one in seen) == sorted(one.request_id for one in made)
    assert [one.requested_at for one in seen] == sorted((one.requested_at for one in made), reverse=True)
    assert await store.requests_of(person(2), None, 2) == []


async def test_only_unanswered_requests_count_as_open(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()
    async with vault_pool.acquire() as connection, connection.transaction():
        await asked(store, connection, person(), clock)
        now = clock()

        assert await store.open_requests(connection, consent.subject_id, "rural-bank", now) == 1
        assert await store.open_requests(connection, consent.subject_id, "other-bank", now) == 0
        later = now + timedelta(days=30)
        assert await store.open_requests(connection, consent.subject_id, "rural-bank", later) == 0


async def test_a_farmer_who_is_asked_by_many_at_once_stays_one(
    store: PgUses, vault_pool: asyncpg.Pool
) -> None:
    async def enrol() -> object:
        async with vault_pool.acquire() as connection, connection.transaction():
            return await store.enrol(connection, person(3))

    found = await asyncio.gather(*(enrol() for _ in range(20)))

    assert len(set(found)) == 1
    assert await vault_pool.fetchval("SELECT count(*) FROM farmer") == 1


async def test_a_number_is_nowhere_in_clear(
    store: PgUses, city_database: CityDatabase, granted: Granter
) -> None:
    await granted()
    with psycopg.connect(city_database.admin_dsn) as connection:
        dump = "".join(
            str(connection.execute(f"SELECT t::text FROM agricredit.{table} t".encode()).fetchall())
            for table in ("farmer", "farmer_index", "consent_request", "consent", "consent_use", "reply")
        )
    number = person().code

    assert number not in dump
    assert number.encode().hex() not in dump


async def test_a_farmer_is_found_after_the_index_key_was_rotated(
    store: PgUses,
    vault_pool: asyncpg.Pool,
    city_database: CityDatabase,
    granted: Granter,
    clock: FakeClock,
) -> None:
    consent = await granted()
    rotated = Keyring.load(city_database.keyring("agricredit")).with_new_index()
    after = PgUses(vault_pool, await Vault.open(vault_pool, rotated), clock)

    assert await after.consent_of(person(), consent.consent_id) == consent
    async with vault_pool.acquire() as connection, connection.transaction():
        assert await after.enrol(connection, person()) == consent.subject_id
    # Asked again, she is indexed under the new key, and stays the same person when the old one is dropped.
    alone = Keyring(rotated.kek, {2: rotated.index[2]}, rotated.current_kek, 2)
    last = PgUses(vault_pool, await Vault.open(vault_pool, alone), clock)
    assert await last.consent_of(person(), consent.consent_id) == consent


async def test_of_two_grants_of_one_request_one_wins(
    store: PgUses, vault_pool: asyncpg.Pool, clock: FakeClock
) -> None:
    async with vault_pool.acquire() as connection, connection.transaction():
        request = await asked(store, connection, person(), clock)

    async def grant() -> bool:
        async with vault_pool.acquire() as connection, connection.transaction():
            return await store.add_consent(
                connection, request.grant(uuid4(), tuple(Item), request.text_sha256, clock())
            )

    assert sorted(await asyncio.gather(*(grant() for _ in range(6)))) == [False] * 5 + [True]


async def test_a_revocation_keeps_its_first_moment(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()
    first = clock()
    for _ in range(2):
        async with vault_pool.acquire() as connection, connection.transaction():
            locked = await store.lock_consent(connection, consent.subject_id, consent.consent_id)
            await store.revoke(connection, locked, clock())
        clock.advance(timedelta(minutes=1))

    latest = (await store.look(consent.partner_id, consent.consent_id)).consent
    assert latest is not None
    assert latest.revoked_at == first
    assert latest.state(clock()) is State.REVOKED


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM consent",
        "DELETE FROM consent_use",
        "DELETE FROM farmer",
        "UPDATE consent_request SET text = ''",
        "UPDATE partner SET daily_fetches = 1000000",
        "INSERT INTO agreement SELECT partner_id, 'anything_else', 'x', items, 1, 1, 'x' FROM agreement",
        "SELECT 1 FROM issuer.client",
    ],
)
async def test_the_service_s_role_may_not(store: PgUses, vault_pool: asyncpg.Pool, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await vault_pool.execute(statement)


def test_samples_are_no_real_people() -> None:
    assert isinstance(person(), Subject)
    assert person().code.startswith("440299")


@pytest.mark.parametrize(
    "change",
    [
        "valid_until = valid_until + interval '1 year'",
        "items = '{land_rights,subsidies}'",
        "partner_id = 'other-bank'",
        "max_uses = 1000",
        "revoked_at = NULL",
    ],
)
async def test_the_service_s_own_role_cannot_widen_or_revive_a_consent(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock, change: str
) -> None:
    consent = await granted(items=(Item.SUBSIDIES,))
    async with vault_pool.acquire() as connection, connection.transaction():
        await store.revoke(connection, consent, clock())

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await vault_pool.execute(f"UPDATE consent SET {change}")
