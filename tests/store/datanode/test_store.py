"""Registers in a real PostgreSQL: only what is asked is opened, and what is absent is absent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast as typed
from uuid import UUID

import asyncpg
import psycopg
import pytest

from core.identity import Subject
from core.keyring import Keyring
from core.vault import SealBrokenError, Vault
from deploy.town.cast import NUMBERS
from deploy.town.load import load
from deploy.town.others import City
from deploy.town.plan import TownPlan
from deploy.town.progress import Lines
from deploy.town.town import cast
from services.datanode.domain import Catalogue, DataType, Json, Record, SharingClass
from services.datanode.store import PgCatalogues, PgRegisters, statement
from tests.conftest import PoolFactory
from tests.database import CityDatabase

FARMER = Subject("111", NUMBERS["farmer"])
APPLICANT = Subject("111", NUMBERS["applicant"])
COMPANY = Subject("001", cast().companies[0].uscc)
NOBODY = Subject("111", "440101199001010011")


class WatchedVault:
    """The vault, with a list of what it was asked to open."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.opened: list[str] = []

    def blind_indexes(self, subject: Subject) -> list[bytes]:
        return self._vault.blind_indexes(subject)

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        self.opened.append(column)
        return self._vault.unseal(sealed, row=row, column=column)


@dataclass
class Node:
    """The store of a loaded hamlet."""

    pool: asyncpg.Pool
    vault: WatchedVault
    catalogue: Catalogue
    registers: PgRegisters

    async def read(self, resource: str, subject: Subject, *names: str) -> Sequence[Record]:
        return await self.registers.read(self.catalogue.resources[resource], subject, names)

    async def values(self, resource: str, subject: Subject, *names: str) -> list[dict[str, Json]]:
        return [dict(record.values) for record in await self.read(resource, subject, *names)]


@pytest.fixture(scope="module")
def hamlet(city_database: CityDatabase) -> CityDatabase:
    """A town of a hundred."""
    city = City(city_database.admin_dsn, city_database.keys.parent)
    asyncio.run(load(city, TownPlan(100), Lines(), workers=1, others=()))
    return city_database


@pytest.fixture
async def node(hamlet: CityDatabase, pool: PoolFactory) -> Node:
    opened = await pool("datanode")
    vault = WatchedVault(await Vault.open(opened, Keyring.load(hamlet.keyring("datanode"))))
    return Node(opened, vault, await PgCatalogues(opened).load(), PgRegisters(opened, vault))


async def test_a_person_is_found_and_read(node: Node) -> None:
    values = await node.values(
        "population.person", APPLICANT, "name", "citizen_number", "sex", "birth_date", "current_address"
    )

    assert values == [
        {
            "name": "林晓棠",
            "citizen_number": APPLICANT.code,
            "sex": "2",
            "birth_date": "1990-05-18",
            "current_address": None,
        }
    ]


async def test_a_field_that_is_not_asked_for_is_not_opened(node: Node) -> None:
    await node.read("population.person", APPLICANT, "name", "sex")

    assert node.vault.opened == ["population.person.name#1"]


async def test_clear_fields_open_nothing(node: Node) -> None:
    values = await node.values("subsidy.arable", FARMER, "year", "area_mu", "amount_cents", "state")

    assert node.vault.opened == []
    assert len(values) >= 3
    assert values[0] == {"year": 2026, "area_mu": 7.14, "amount_cents": 60_976, "state": "paid"}


async def test_somebody_unknown_has_no_records(node: Node) -> None:
    for resource in ("population.person", "land.contract"):
        assert await node.read(resource, NOBODY, next(iter(node.catalogue.resources[resource].fields))) == []


async def test_somebody_known_without_land_has_no_records_of_land(node: Node) -> None:
    assert await node.read("land.contract", APPLICANT, "contract_code") == []


async def test_a_number_of_another_kind_finds_nobody(node: Node) -> None:
    assert await node.read("population.person", Subject("414", APPLICANT.code), "name") == []


async def test_structured_fields_come_as_json(node: Node) -> None:
    members = (await node.values("population.household", FARMER, "members"))[0]["members"]
    parcels = await node.values("land.parcel", FARMER, "parcel_code", "contract_area_mu", "basic_farmland")
    contract = (await node.values("land.contract", FARMER, "members", "total_area_mu", "mortgaged"))[0]

    assert isinstance(members, list)
    assert [one["name"] for one in members if isinstance(one, dict)] == ["钟水生", "赖桂兰", "钟志强"]
    assert len(parcels) == 5
    assert contract["mortgaged"] is False
    areas = [parcel["contract_area_mu"] for parcel in parcels]
    assert sum(area for area in areas if isinstance(area, float)) == pytest.approx(contract["total_area_mu"])


async def test_every_record_has_its_version_and_moment(node: Node) -> None:
    records = await node.read("land.parcel", FARMER, "parcel_code")

    assert [record.version for record in records] == ["1.1", "2.1", "3.1", "4.1", "5.1"]
    assert all(record.as_of.tzinfo is not None for record in records)


async def test_every_field_of_the_catalogue_can_be_read_for_somebody(node: Node) -> None:
    for resource in node.catalogue.resources.values():
        if resource.sharing_class is SharingClass.NOT_SHARED:
            continue
        prepared = await _columns(node.pool, statement(resource.code))
        assert set(resource.fields) | {"subject_id", "record_no", "version", "as_of"} == set(prepared)
        for one in resource.fields.values():
            assert (prepared[one.name] == "bytea") == one.identifying, f"{resource.code}.{one.name}"
            assert prepared[one.name] in _TYPES[one.data_type] or one.identifying
    for subject, code in (
        (FARMER, "land.contract"),
        (COMPANY, "company.register"),
        (COMPANY, "company.officer"),
    ):
        assert await node.read(code, subject, *node.catalogue.resources[code].fields)


_TYPES = {
    DataType.STRING: {"text", "date"},
    DataType.NUMBER: {"numeric"},
    DataType.INTEGER: {"int2", "int4", "int8"},
    DataType.BOOLEAN: {"bool"},
    DataType.ARRAY: set[str](),
    DataType.OBJECT: set[str](),
}


async def _columns(pool: asyncpg.Pool, sql: str) -> dict[str, str]:
    async with pool.acquire() as connection:
        prepared = await connection.prepare(sql)
        return {one.name: one.type.name for one in prepared.get_attributes()}


class CountingPool:
    """A pool that counts the statements it runs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.statements: list[str] = []

    async def fetch(self, query: str, ids: Iterable[object]) -> list[asyncpg.Record]:
        self.statements.append(query)
        return await self._pool.fetch(query, ids)


async def test_a_batch_reads_each_register_once(node: Node) -> None:
    counting = CountingPool(node.pool)
    registers = PgRegisters(typed(asyncpg.Pool, counting), node.vault)
    resource = node.catalogue.resources["population.person"]
    numbers = [Subject("111", person.number) for person in cast().people] * 20

    found = await asyncio.gather(*(registers.read(resource, one, ["sex"]) for one in numbers))

    assert all(len(records) == 1 for records in found)
    assert counting.statements.count(statement("population.person")) <= 2
    assert len(counting.statements) <= 4


async def test_a_value_that_was_moved_to_another_row_does_not_open(node: Node, hamlet: CityDatabase) -> None:
    with psycopg.connect(hamlet.admin_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TEMP TABLE kept AS SELECT subject_id, phone FROM datanode.population_person"
        )
        connection.execute("UPDATE datanode.population_person SET phone = name WHERE phone IS NOT NULL")
        try:
            with pytest.raises(SealBrokenError):
                await node.read("population.person", APPLICANT, "phone")
        finally:
            connection.execute(
                "UPDATE datanode.population_person AS mended SET phone = kept.phone"
                "  FROM kept WHERE kept.subject_id = mended.subject_id"
            )


async def test_the_services_role_can_read_and_nothing_else(node: Node) -> None:
    for change in (
        "DELETE FROM population_person",
        "UPDATE entitlement SET item = 'mine'",
        "INSERT INTO entitlement VALUES ('matter', 'x', 'population.person', 'name')",
        "SELECT 1 FROM licence.licence",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await node.pool.execute(change)
