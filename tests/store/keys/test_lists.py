"""What the parts say of themselves in sealed.toml, against the tables that their migrations have made."""

from __future__ import annotations

import psycopg
import pytest

from cli.keys.lists import PartList, names_in, part_list
from deploy.local.migrate import PARTS
from services.autofill.budget import GuessLimits
from services.licence.service import USE_CODE_LIFE
from tests.database import CityDatabase

Column = tuple[str, str]


def columns(database: CityDatabase, part: str, condition: str = "true") -> set[Column]:
    """Table and column of everything in a part's schema."""
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            f" WHERE table_schema = %s AND table_name NOT LIKE '\\_yoyo%%' AND {condition}".encode(),
            (part,),
        ).fetchall()
    return {(table, column) for table, column in rows}


def primary_key(database: CityDatabase, part: str, table: str) -> set[str]:
    """The columns of a table's primary key."""
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)"
            " WHERE indisprimary AND indrelid = %s::regclass",
            (f"{part}.{table}",),
        ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.parametrize("part", PARTS)
def test_every_bytea_column_is_sealed_or_is_said_not_to_be(city_database: CityDatabase, part: str) -> None:
    listed = part_list(part)

    assert columns(city_database, part, "data_type = 'bytea'") == listed.known_columns


@pytest.mark.parametrize("part", PARTS)
def test_a_sealed_table_is_listed_with_its_primary_key_and_what_its_values_are_bound_to(
    city_database: CityDatabase, part: str
) -> None:
    there = columns(city_database, part)
    for table in part_list(part).sealed:
        assert set(table.key) == primary_key(city_database, part, table.table)
        assert {(table.table, name) for name in (*table.clear, *table.columns)} <= there
        assert (table.table, table.row) in columns(city_database, part, "data_type = 'uuid'")


@pytest.mark.parametrize("part", PARTS)
def test_an_index_is_listed_with_its_columns_and_its_numbers(city_database: CityDatabase, part: str) -> None:
    listed = part_list(part)
    there = columns(city_database, part)
    for table in listed.indexes:
        assert {(table.table, name) for name in (table.index, table.version, table.subject)} <= there
        if table.expires is not None:
            assert (table.table, table.expires.column) in there
            continue
        for numbers in table.numbers:
            assert numbers.column in listed.sealed_table(numbers.table).columns
            named = {table.subject, *names_in(numbers.code_type)}
            assert {(numbers.table, name) for name in named} <= there
        if not table.beside:
            # Rows are put in the place of others whole, so nothing else may stand in them.
            own = {column for name, column in there if name == table.table}
            assert own == {table.index, table.version, table.subject}


@pytest.mark.parametrize("part", PARTS)
def test_every_index_version_belongs_to_a_listed_index(city_database: CityDatabase, part: str) -> None:
    versions = columns(city_database, part, "column_name LIKE '%%index_version'")

    assert versions == {(one.table, one.version) for one in part_list(part).indexes}


def test_what_expires_does_so_as_the_services_say() -> None:
    (guesses,) = part_list("autofill").indexes

    assert part_list("licence").outside["use codes"] == USE_CODE_LIFE.total_seconds()
    assert guesses.expires is not None
    assert guesses.expires.hours * 3600 == GuessLimits(1, 1).window.total_seconds()


def test_a_column_that_is_forgotten_is_noticed() -> None:
    listed: PartList = part_list("licence")

    assert ("licence", "sealed_number") in listed.known_columns
    assert ("licence", "sealed_something_new") not in listed.known_columns
