"""Loading a town into a real database: once, whole, repeatable, and nothing in the clear that identifies."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import asyncpg
import psycopg
import pytest

from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault
from deploy.local.migrate import PARTS
from deploy.local.pki import make_pki
from deploy.town.load import Loaded, TownError, load
from deploy.town.model import Person, VillageTown
from deploy.town.others import OTHERS, City
from deploy.town.places import offices
from deploy.town.plan import TownPlan
from deploy.town.town import cast, generate
from deploy.town.worker import TABLES
from services.datanode.store import PgCatalogues, PgRegisters
from tests.conftest import PoolFactory
from tests.database import CityDatabase


class Quiet:
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.people = 0.0

    def begin(self, people: int) -> None:
        """Nothing yet."""

    def step(self, people: float) -> None:
        """Some more."""
        self.people += people

    def end(self) -> None:
        """All."""


def city(database: CityDatabase) -> City:
    return City(database.admin_dsn, database.keys.parent)


async def fill(database: CityDatabase, size: int, **options: object) -> Loaded | None:
    return await load(city(database), TownPlan(size), Quiet(), others=(), **options)  # type: ignore[arg-type]


def rows(database: CityDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall() if query.startswith("SELECT") else []


def run(database: CityDatabase, statement: str) -> None:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def counts(database: CityDatabase) -> dict[str, int]:
    return {
        f"{table.schema}.{table.name}": int(str(found))
        for table in TABLES
        for (found,) in rows(database, f"SELECT count(*) FROM {table.schema}.{table.name}")
    }


def everybody(size: int) -> list[VillageTown]:
    plan = TownPlan(size)
    return [cast(), *generate(plan, plan.quotas)]


def people(size: int) -> list[Person]:
    return [person for village in everybody(size) for person in village.people]


async def names_of(pool: asyncpg.Pool, database: CityDatabase, numbers: list[str]) -> list[object]:
    """What the register calls people, found by their numbers."""
    vault = await Vault.open(pool, Keyring.load(database.keyring("datanode")))
    registers, catalogue = PgRegisters(pool, vault), await PgCatalogues(pool).load()
    resource = catalogue.resources["population.person"]
    found = [await registers.read(resource, Subject("111", number), ["name"]) for number in numbers]
    return [records[0].values["name"] if len(records) == 1 else None for records in found]


async def test_a_hamlet_is_loaded_whole_and_once(fresh_database: CityDatabase) -> None:
    first = await fill(fresh_database, 100, workers=1)
    before = counts(fresh_database)
    again = await fill(fresh_database, 100, workers=1)

    assert first is not None
    assert first.people == 100
    assert again is None
    assert counts(fresh_database) == before
    assert before["datanode.population_person"] == 100 + len(cast().people)
    assert [table for table, count in before.items() if count == 0] == ["datanode.former_number"]
    states = rows(fresh_database, "SELECT schema_name, size, seed, state FROM town.load ORDER BY 1")
    assert states == [(name, 100, 440200, "loaded") for name in ("datanode", "idp", "licence")]


async def test_everybody_is_found_by_number_and_has_the_right_name(
    fresh_database: CityDatabase, pool: PoolFactory
) -> None:
    await fill(fresh_database, 100, workers=1)
    made = people(100)
    opened = await asyncpg.create_pool(fresh_database.dsn("datanode"), min_size=1, max_size=2)

    names = await names_of(opened, fresh_database, [person.number for person in made])
    await opened.close()

    assert names == [person.name for person in made]


async def test_two_processes_make_the_same_town_as_one(fresh_database: CityDatabase) -> None:
    await fill(fresh_database, 400, workers=1)
    alone = counts(fresh_database)

    loaded = await fill(fresh_database, 401, workers=2, replace=True)
    await fill(fresh_database, 400, workers=2, replace=True)

    assert loaded is not None
    assert loaded.workers == 2
    assert counts(fresh_database) == alone
    opened = await asyncpg.create_pool(fresh_database.dsn("datanode"), min_size=1, max_size=2)
    made = people(400)[::7]
    names = await names_of(opened, fresh_database, [person.number for person in made])
    await opened.close()
    assert names == [person.name for person in made]


async def test_another_size_is_refused_until_replacing_is_asked_for(fresh_database: CityDatabase) -> None:
    await fill(fresh_database, 100, workers=1)

    with pytest.raises(TownError, match="town of 100 people"):
        await fill(fresh_database, 150, workers=1)
    replaced = await fill(fresh_database, 150, workers=1, replace=True)

    assert replaced is not None
    assert counts(fresh_database)["datanode.population_person"] == 150 + len(cast().people)


async def test_a_load_that_was_cut_off_begins_anew(fresh_database: CityDatabase) -> None:
    await fill(fresh_database, 100, workers=1)
    whole = counts(fresh_database)
    run(fresh_database, "UPDATE town.load SET state = 'loading'")
    run(fresh_database, "DELETE FROM licence.licence_index")
    run(fresh_database, "DELETE FROM datanode.land_parcel")

    again = await fill(fresh_database, 100, workers=1)

    assert again is not None
    assert counts(fresh_database) == whole


async def test_a_process_that_fails_leaves_a_town_that_begins_anew(
    fresh_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, companies: object) -> None:
        raise OSError("the machine is on fire")

    with monkeypatch.context() as patched:
        patched.setattr("deploy.town.datanode_rows.DatanodeRows.add_companies", broken)
        with pytest.raises(OSError, match="on fire"):
            await fill(fresh_database, 100, workers=1)
    assert rows(fresh_database, "SELECT DISTINCT state FROM town.load") == [("loading",)]

    assert await fill(fresh_database, 100, workers=1) is not None


async def test_rows_of_somebody_else_are_left_alone(fresh_database: CityDatabase) -> None:
    run(
        fresh_database,
        "INSERT INTO datanode.subject_index VALUES ('\\x01', 1, '00000000-0000-0000-0000-000000000001')",
    )

    with pytest.raises(TownError, match="subject_index holds rows that no town"):
        await fill(fresh_database, 100, workers=1, replace=True)

    assert counts(fresh_database)["datanode.subject_index"] == 1


async def test_a_database_without_its_tables_is_named(fresh_database: CityDatabase) -> None:
    run(fresh_database, "DROP TABLE licence.holder_index")

    with pytest.raises(TownError, match=r"licence\.holder_index is missing"):
        await fill(fresh_database, 100, workers=1)


async def test_nothing_that_identifies_is_in_the_clear(fresh_database: CityDatabase) -> None:
    await fill(fresh_database, 100, workers=1)
    made = everybody(100)

    secrets = {person.number for village in made for person in village.people}
    secrets |= {person.name for village in made for person in village.people if len(person.name) > 2}
    secrets |= {person.phone for village in made for person in village.people if person.phone}
    secrets |= {person.household.address for village in made for person in village.people}
    secrets |= {company.uscc for village in made for company in village.companies}
    for table in TABLES:
        found = rows(fresh_database, f"SELECT t::text FROM {table.schema}.{table.name} AS t")
        text = "\n".join(str(row) for (row,) in found)
        assert [secret for secret in secrets if secret in text] == [], table


async def test_the_cast_is_written_for_its_owner_alone(fresh_database: CityDatabase) -> None:
    await fill(fresh_database, 100, workers=1)

    path = fresh_database.keys.parent / "demo" / "cast.json"
    document = json.loads(path.read_text())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert document["applicant"].keys() == document["farmer"].keys() == {"code", "name", "login"}
    assert document["office"]["name"] == "武江区市场监督管理局"
    assert document["company"]["code"].startswith("91440299")
    assert document["password"] == (fresh_database.keys / "idp-password").read_text().strip()
    logins = [login for (login,) in rows(fresh_database, "SELECT login FROM idp.account")]
    assert {"applicant", "farmer", "lapsed"} <= set(logins)
    assert len(set(logins)) == len(logins)


async def test_the_other_parts_are_furnished_once(fresh_database: CityDatabase, tmp_path: Path) -> None:
    home = city(fresh_database)
    make_pki(home.pki, PARTS)

    await load(home, TownPlan(100), Quiet(), workers=1, others=OTHERS)
    await load(home, TownPlan(100), Quiet(), workers=1, others=OTHERS)

    assert rows(fresh_database, "SELECT count(*) FROM issuer.client") == [(3,)]
    assert rows(fresh_database, "SELECT count(*) FROM eseal.seal") == [(2 * len(offices()),)]
    assert rows(fresh_database, "SELECT count(*) FROM agricredit.partner") == [(1,)]
    named = "SELECT count(*) FILTER (WHERE name <> '') FROM ledger.known_name WHERE kind = "
    assert rows(fresh_database, f"{named} 'office'") == [(len(offices()),)]
    assert rows(fresh_database, f"{named} 'caller'") == [(4,)]
    assert rows(fresh_database, f"{named} 'matter'") == [(10,)]
    fields = (
        "company-change.company_name",
        "licence.11100000000013127D001.nation",
        "land.contract.term_from",
    )
    known = "SELECT code, name FROM ledger.known_name WHERE kind = 'field' AND code = "
    for code in fields:
        ((_, title),) = rows(fresh_database, f"{known} '{code}'")
        assert title not in {"", code}
