"""A running autofill service for each test, and two people whom its upstreams know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.config import PARTS
from deploy.local.pki import make_pki
from tests.component.autofill.harness import (
    HER,
    HOUSEHOLD,
    HOUSING,
    ID_CARD,
    PERSON,
    REGISTER,
    Counter,
    running_counter,
)
from tests.conftest import PoolFactory
from tests.database import CityDatabase


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of every part."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, (*PARTS, "gateway"))
    return folder


@pytest.fixture
async def counter(city_database: CityDatabase, pool: PoolFactory, pki: Path) -> AsyncIterator[Counter]:
    city_database.truncate("autofill")
    async with running_counter(city_database, await pool("autofill"), pki) as running:
        settle(running)
        yield running


def settle(counter: Counter) -> None:
    """Puts one applicant into the registers: they agree on her name, not on where she is registered."""
    held = counter.upstream
    held.hold(
        ID_CARD,
        HER,
        {
            "number": HER,
            "holder_name": "买买提·吐尔逊",
            "sex": "女",
            "nation": "维吾尔",
            "birth_date": "1990-01-01",
            "address": "韶关市浈江区风度北路1号",
        },
    )
    held.hold(
        PERSON,
        HER,
        {
            "citizen_number": HER,
            "name": "买买提吐尔逊",
            "sex": "2",
            "ethnicity": "05",
            "birth_date": "1990-01-01",
            "registered_address": "韶关市武江区惠民北路 3 号",
            "current_address": None,
            "phone": "13800138000",
            "education": "20",
        },
    )
    held.hold(
        HOUSEHOLD,
        HER,
        {
            "address": "韶关市武江区惠民北路３号",
            "member_count": 2,
            "members": [
                {"name": "买买提·吐尔逊", "citizen_number": HER, "relation": "02", "sex": "2"},
                {"name": "张三", "citizen_number": "440299196502030122", "relation": "10", "sex": "1"},
            ],
        },
    )
    held.hold(REGISTER, HER, {"education": "大学本科"})
    held.hold(
        HOUSING,
        HER,
        {
            "location": "韶关市武江区惠民北路3号",
            "certificate_number": "粤（2020）韶关市不动产权第0000001号",
            "area_m2": 88.5,
            "use_name": "住宅",
            "state": "in_force",
        },
        {
            "location": "旧宅",
            "certificate_number": "旧",
            "area_m2": 40,
            "use_name": "住宅",
            "state": "cancelled",
        },
    )
