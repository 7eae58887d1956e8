"""A running service with a lending partner, another one, and two farmers' records."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from joserfc.jwk import ECKey

from core.identity import Subject
from deploy.town.seed_agricredit import seed
from tests.component.agricredit.harness import Records, Town, running_town
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeLedger
from tests.store.agricredit.conftest import person
from tests.unit.agricredit.test_registers import CONTRACT, PARCEL, PAYMENT

CANARY = "不得外传的家庭成员"

RECORDS: Records = {
    "land.contract": [{**CONTRACT, "members": CANARY}],
    "land.parcel": [{**PARCEL, "east": CANARY}],
    "subsidy.arable": [
        {**PAYMENT, "year": year, "bank_account": CANARY} for year in (2025, 2024, 2023, 2022)
    ],
}


@pytest.fixture
def farmer() -> Subject:
    return person(1)


@pytest.fixture
def neighbour() -> Subject:
    return person(2)


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def bank_key(city_database: CityDatabase, tmp_path: Path) -> ECKey:
    """The lending partner's private key; its public half is registered, for another bank too."""
    city_database.truncate("agricredit")
    key = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES+A256KW"}, auto_kid=True)
    jwk = tmp_path / "bank.jwk"
    jwk.write_text(json.dumps(key.as_dict(private=True)))
    seed(city_database.admin_dsn, jwk)
    with psycopg.connect(city_database.admin_dsn) as connection:
        connection.execute(
            "INSERT INTO agricredit.partner"
            " SELECT 'other-bank', '另一家银行', contact, encryption_jwk, daily_fetches, open_requests, state"
            " FROM agricredit.partner"
        )
    return key


@pytest.fixture
async def town(
    tmp_path: Path,
    city_database: CityDatabase,
    pool: PoolFactory,
    ledger: FakeLedger,
    bank_key: ECKey,
    farmer: Subject,
    neighbour: Subject,
) -> AsyncIterator[Town]:
    async with running_town(
        tmp_path, city_database, await pool("agricredit"), ledger, bank_key, source_seconds=0.8
    ) as running:
        running.datanode.records = {farmer.code: RECORDS, neighbour.code: RECORDS}
        yield running
