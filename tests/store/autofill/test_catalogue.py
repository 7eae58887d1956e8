"""Every source of every matter is in the data node's catalogue, in the unit the form says, and entitled."""

from __future__ import annotations

from collections.abc import Mapping, Set

import psycopg
import pytest

from services.autofill.matter import Matter, Source
from services.autofill.templates import load_matters
from tests.database import CityDatabase

MATTERS = load_matters()
MONEY_AND_AREAS = ("CNY", "m2", "mu", "ha")


@pytest.fixture(scope="module")
def units(city_database: CityDatabase) -> Mapping[tuple[str, str], str]:
    """The unit of every catalogued field, by resource and name."""
    with psycopg.connect(city_database.admin_dsn) as connection:
        rows = connection.execute("SELECT resource, name, unit FROM datanode.resource_field").fetchall()
    return {(resource, name): unit for resource, name, unit in rows}


@pytest.fixture(scope="module")
def entitled(city_database: CityDatabase) -> Set[tuple[str, str, str]]:
    """Matter, resource and field of everything that may be read for a matter."""
    with psycopg.connect(city_database.admin_dsn) as connection:
        granted = connection.execute(
            "SELECT item, resource, field FROM datanode.entitlement WHERE basis = 'matter'"
        ).fetchall()
        free = connection.execute(
            "SELECT f.resource, f.name FROM datanode.resource_field f JOIN datanode.resource r"
            " ON r.code = f.resource WHERE r.sharing_class = 'unconditional'"
        ).fetchall()
    return {(i, r, f) for i, r, f in granted} | {(code, r, f) for code in MATTERS for r, f in free}


def register_sources(matter: Matter) -> list[tuple[str, Source]]:
    return [
        (field.name, source)
        for field in matter.fields.values()
        for source in field.sources
        if not source.resource.startswith("licence.")
    ]


@pytest.mark.parametrize("matter", MATTERS.values(), ids=list(MATTERS))
def test_every_register_source_exists_and_its_matter_is_entitled_to_it(
    matter: Matter,
    units: Mapping[tuple[str, str], str],
    entitled: Set[tuple[str, str, str]],
) -> None:
    missing = [
        f"{name}: {source.resource} {needed}"
        for name, source in register_sources(matter)
        for needed in sorted(source.needs)
        if (source.resource, needed) not in units or (matter.code, source.resource, needed) not in entitled
    ]

    assert missing == []


@pytest.mark.parametrize("matter", MATTERS.values(), ids=list(MATTERS))
def test_a_source_in_money_or_area_says_its_unit_as_the_catalogue_has_it(
    matter: Matter, units: Mapping[tuple[str, str], str]
) -> None:
    for name, source in register_sources(matter):
        unit = units.get((source.resource, source.field), "")
        measured = unit if unit.startswith(MONEY_AND_AREAS) else ""
        # mu (2000/3 m2) says its size; the form's word for it is mu.
        assert source.unit == measured.split(" (")[0], f"{name}: {source.resource} {source.field}"
