"""The real store on the real schema, with the town's lending partner."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from joserfc.jwk import ECKey

from core.disclosure import Transaction
from core.identifiers import citizen_check_digit
from core.identity import CITIZEN_NUMBER, Subject
from core.keyring import Keyring
from core.vault import Vault
from deploy.town.seed_agricredit import seed
from services.agricredit.domain import Claim, Consent, ConsentRequest, Item
from services.agricredit.fetching import Attempt
from services.agricredit.store_uses import PgUses
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeClock
from tests.unit.agricredit.samples import REQUEST

CLAIM = Claim("rural-bank", "loan_application", Item.LAND_RIGHTS)


def person(serial: int = 1) -> Subject:
    """A made-up farmer; the region code 440299 is not in use."""
    body = f"44029919800101{serial:03d}"
    return Subject(CITIZEN_NUMBER, body + citizen_check_digit(body))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def vault_pool(city_database: CityDatabase, pool: PoolFactory, tmp_path: Path) -> asyncpg.Pool:
    """The service's own pool on emptied tables, with the partner registered."""
    city_database.truncate("agricredit")
    jwk = tmp_path / "bank.jwk"
    jwk.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    seed(city_database.admin_dsn, jwk)
    opened: asyncpg.Pool = await pool("agricredit")
    return opened


@pytest.fixture
async def store(vault_pool: asyncpg.Pool, city_database: CityDatabase, clock: FakeClock) -> PgUses:
    keyring = Keyring.load(city_database.keyring("agricredit"))
    return PgUses(vault_pool, await Vault.open(vault_pool, keyring), clock)


Granter = Callable[..., Awaitable[Consent]]


@pytest.fixture
def granted(store: PgUses, vault_pool: asyncpg.Pool, clock: FakeClock) -> Granter:
    """`await granted(max_uses=10, items=…)` is a stored consent."""

    async def grant(
        *, max_uses: int = 10, items: tuple[Item, ...] = tuple(Item), farmer: Subject | None = None
    ) -> Consent:
        async with vault_pool.acquire() as connection, connection.transaction():
            request = await asked(store, connection, farmer or person(), clock, max_uses=max_uses)
            consent = request.grant(uuid4(), items, request.text_sha256, clock())
            assert await store.add_consent(connection, consent)
        return consent

    return grant


async def asked(
    store: PgUses, tx: Transaction, farmer: Subject, clock: FakeClock, *, max_uses: int = 10
) -> ConsentRequest:
    """A stored request."""
    now = clock()
    request = replace(
        REQUEST,
        request_id=uuid4(),
        subject_id=await store.enrol(tx, farmer),
        max_uses=max_uses,
        requested_at=now,
        answer_by=now + timedelta(days=30),
        valid_until=now + timedelta(days=90),
    )
    await store.add_request(tx, request)
    return request


def attempt(clock: FakeClock, request_id: str = "", *, daily: int = 1000, claim: Claim = CLAIM) -> Attempt:
    """A request of the bank, that may be under way for ten seconds."""
    now = clock()
    return Attempt(
        claim=claim,
        operator="",
        request_id=request_id,
        now=now,
        held_until=now + timedelta(seconds=10),
        daily_fetches=daily,
    )
