"""The register against a real PostgreSQL, as the service's own role."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import cast
from uuid import uuid4

import asyncpg
import pytest

from core.db import Pool
from core.keyring import Keyring
from core.vault import Vault
from services.licence.domain import LicenceKey, Suspension
from services.licence.store import PgRegister
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.store.licence.samples import (
    DRIVING_LICENCE,
    HOLDER,
    HOUSEHOLD_REGISTER,
    ID_CARD,
    TYPES,
    Town,
    citizen,
    id_card,
    identifier,
    record,
)

BY_CODE = {one.type_code: one for one in TYPES.values()}
CARD, BOOK = ID_CARD.type_code, HOUSEHOLD_REGISTER.type_code


class Bench:
    """A register, what fills it, and a pool that counts the register's statements."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, database: CityDatabase) -> None:
        self.pool = pool
        self.vault = vault
        self.town = Town(database.admin_dsn, vault)
        self.statements: list[str] = []
        self.register = PgRegister(cast(Pool, self), vault, BY_CODE)

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Stands in for the pool's fetch."""
        self.statements.append(statement)
        rows: list[asyncpg.Record] = await self.pool.fetch(statement, *arguments)
        return rows


@pytest.fixture
async def bench(city_database: CityDatabase, pool: PoolFactory) -> Bench:
    city_database.truncate("licence")
    licence_pool = await pool("licence")
    vault = await Vault.open(licence_pool, Keyring.load(city_database.keyring("licence")))
    return Bench(licence_pool, vault, city_database)


async def test_a_holder_is_found_by_number_with_the_licences_of_the_types_asked_for(bench: Bench) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await bench.town.settle(
        HOLDER,
        [(ID_CARD, card), (HOUSEHOLD_REGISTER, record(HOUSEHOLD_REGISTER, subject_id))],
        subject_id,
    )

    (found,) = await bench.register.current(HOLDER, [CARD])

    assert found.key == LicenceKey(subject_id, card.licence_id)
    assert (found.identifier, found.version, found.valid_until) == (card.identifier, 1, date(2040, 4, 30))
    assert found.recorded_at == card.recorded_at


async def test_unknown_holder_and_holder_without_such_licences_look_the_same(bench: Bench) -> None:
    subject_id = uuid4()
    await bench.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)

    assert await bench.register.current(HOLDER, [BOOK]) == []
    assert await bench.register.current(citizen(2), [CARD]) == []


async def test_a_number_of_another_kind_is_another_holder(bench: Bench) -> None:
    subject_id = uuid4()
    await bench.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)

    assert await bench.register.current(replace(HOLDER, code_type="114"), [CARD]) == []


async def test_a_replaced_version_is_kept_but_not_current(bench: Bench) -> None:
    subject_id = uuid4()
    old = replace(id_card(subject_id), superseded_on=date(2025, 1, 1))
    new = replace(id_card(subject_id), version=2, identifier=identifier(ID_CARD, 2))
    await bench.town.settle(HOLDER, [(ID_CARD, old), (ID_CARD, new)], subject_id)

    current = await bench.register.current(HOLDER, [CARD])
    opened = await bench.register.open(LicenceKey(subject_id, old.licence_id))

    assert [one.version for one in current] == [2]
    assert opened is not None
    assert opened.licence.superseded


async def test_suspension_and_revocation_are_read(bench: Bench) -> None:
    subject_id = uuid4()
    licence = replace(
        record(DRIVING_LICENCE, subject_id),
        suspended_from=date(2026, 1, 1),
        suspended_until=date(2026, 6, 30),
        suspension_reason="道路交通安全法第二十四条",
        revoked_on=date(2026, 5, 1),
        revocation_kind="revoked",
        revocation_reason="道路交通安全法第九十一条",
    )
    await bench.town.settle(HOLDER, [(DRIVING_LICENCE, licence)], subject_id)

    (found,) = await bench.register.current(HOLDER, [DRIVING_LICENCE.type_code])

    assert found.suspension == Suspension(date(2026, 1, 1), date(2026, 6, 30))
    assert found.revoked_on == date(2026, 5, 1)


async def test_a_licence_opens_with_its_holder_and_the_fields_asked_for(bench: Bench) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await bench.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    opened = await bench.register.open(LicenceKey(subject_id, card.licence_id))

    assert opened is not None
    assert opened.holder() == HOLDER
    assert opened.fields({"number", "sex", "address", "not_there"}) == {
        "number": HOLDER.code,
        "sex": "女",
        "address": card.face["address"],
    }


async def test_a_licence_opens_only_under_its_own_holder(bench: Bench) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await bench.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    assert await bench.register.open(LicenceKey(uuid4(), card.licence_id)) is None
    assert await bench.register.open(LicenceKey(subject_id, uuid4())) is None


async def test_an_identifier_leads_to_its_licence(bench: Bench) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await bench.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    assert await bench.register.locate(card.identifier) == LicenceKey(subject_id, card.licence_id)
    assert await bench.register.locate(identifier(ID_CARD)) is None


async def test_an_identifier_belongs_to_one_licence(bench: Bench) -> None:
    one, other = uuid4(), uuid4()
    card = id_card(one)
    await bench.town.settle(HOLDER, [(ID_CARD, card)], one)

    with pytest.raises(asyncpg.UniqueViolationError):
        await bench.town.settle(
            citizen(2), [(ID_CARD, replace(id_card(other), identifier=card.identifier))], other
        )


async def test_concurrent_look_ups_share_statements_and_keep_their_own_answers(bench: Bench) -> None:
    people = [citizen(serial) for serial in range(40)]
    for person in people[::2]:
        subject_id = uuid4()
        await bench.town.settle(
            person,
            [
                (ID_CARD, id_card(subject_id, person)),
                (HOUSEHOLD_REGISTER, record(HOUSEHOLD_REGISTER, subject_id)),
            ],
            subject_id,
        )

    asked = [[CARD], [BOOK], [CARD, BOOK]]
    found = await asyncio.gather(
        *(bench.register.current(person, asked[n % 3]) for n, person in enumerate(people))
    )
    opened = await asyncio.gather(*(bench.register.open(one.key) for each in found for one in each))

    for n, licences in enumerate(found):
        expected = sorted(asked[n % 3]) if n % 2 == 0 else []
        assert [licence.type_code for licence in licences] == expected
    assert len(bench.statements) == 2
    for licence, contents in zip((one for each in found for one in each), opened, strict=True):
        assert contents is not None
        assert contents.licence == licence


async def test_one_holder_asked_for_twice_at_once_is_answered_twice(bench: Bench) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await bench.town.settle(HOLDER, [(ID_CARD, card)], subject_id)
    key = LicenceKey(subject_id, card.licence_id)

    both = await asyncio.gather(
        bench.register.current(HOLDER, [CARD]), bench.register.current(HOLDER, [CARD])
    )
    opened = await asyncio.gather(bench.register.open(key), bench.register.open(key))

    assert [len(found) for found in both] == [1, 1]
    assert all(opened)


async def test_while_the_index_key_changes_a_holder_is_found_once_under_both(
    bench: Bench, city_database: CityDatabase
) -> None:
    subject_id = uuid4()
    await bench.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    keyring = Keyring.load(city_database.keyring("licence")).with_new_index()
    vault = await Vault.open(bench.pool, keyring)
    register = PgRegister(bench.pool, vault, BY_CODE)

    by_old_index = await register.current(HOLDER, [CARD])
    await bench.town.execute(
        "INSERT INTO holder_index (blind_index, index_version, subject_id) VALUES ($1, $2, $3)",
        vault.blind_index(HOLDER),
        vault.index_version,
        subject_id,
    )
    by_both = await register.current(HOLDER, [CARD])

    assert len(by_old_index) == len(by_both) == 1


async def test_the_service_may_read_licences_and_change_none(bench: Bench) -> None:
    subject_id = uuid4()
    await bench.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)

    for statement in (
        "UPDATE licence SET revoked_on = NULL",
        "DELETE FROM licence",
        "INSERT INTO holder_index VALUES ('\\x00', 1, gen_random_uuid())",
        "TRUNCATE holder",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await bench.pool.execute(statement)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("valid_until", date(2019, 1, 1)),
        ("suspended_until", date(2030, 1, 1)),
        ("revoked_on", date(2026, 1, 1)),
        ("revocation_kind", "revoked"),
        ("version", 0),
    ],
)
async def test_the_table_refuses_licences_that_contradict_themselves(
    bench: Bench, column: str, value: object
) -> None:
    subject_id = uuid4()
    broken = replace(id_card(subject_id), **{column: value})  # type: ignore[arg-type]  # one of five columns

    with pytest.raises(asyncpg.CheckViolationError):
        await bench.town.settle(HOLDER, [(ID_CARD, broken)], subject_id)
