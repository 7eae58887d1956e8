"""Replies and sealed values on a real database."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import asyncpg
import pytest
from onestop.licence.v1 import licence_pb2

from core.clock import now
from core.disclosure import (
    ActAbortedError,
    Basis,
    BasisKind,
    Entry,
    EntryKind,
    Outcome,
    Presented,
    Receipt,
    RecordRef,
    ReplyKey,
)
from core.identity import Subject
from core.keyring import Keyring
from core.replies import TERMINALS_KEPT, PgReplies
from core.vault import SealBrokenError, Vault
from tests.conftest import PoolFactory
from tests.database import CityDatabase

CODE = "440299199001010010"


@pytest.fixture
async def vault(city_database: CityDatabase, pool: PoolFactory) -> Vault:
    """The licence part's vault."""
    return await Vault.open(await pool("licence"), Keyring.load(city_database.keyring("licence")))


@pytest.fixture
async def replies(pool: PoolFactory, vault: Vault) -> PgReplies:
    """The licence part's memory."""
    return PgReplies(await pool("licence"), vault, now)


def key() -> ReplyKey:
    return ReplyKey("approval-platform", "clerk-1", "licence.change", uuid.uuid4().hex, CODE)


def outcome_of(intent_id: uuid.UUID, outcome: Outcome = Outcome.COMPLETED) -> Entry:
    return Entry(
        item_id=uuid.uuid5(intent_id, "outcome"),
        kind=EntryKind.OUTCOME,
        method="licence.change",
        caller="approval-platform",
        office="",
        basis=Basis(BasisKind.MATTER, "residence-permit", "case-1"),
        purpose="",
        operator="clerk-1",
        subject=Subject("111", CODE),
        field_names=("number",),
        records=(RecordRef("licence", "1"),),
        outcome=outcome,
        intent_id=intent_id,
        answer_commitment=b"c" * 32,
        answer_salt=b"s" * 32,
    )


async def test_a_completed_act_is_remembered_whole(replies: PgReplies) -> None:
    request, intent_id = key(), uuid.uuid4()
    wire = licence_pb2.SearchLicencesAnswer(use_code="u" * 20)
    assert await replies.claim(request, b"body", intent_id, now() + timedelta(seconds=9))

    async with replies.transaction() as tx:
        await replies.complete(tx, request, Presented(wire, b"{}", is_json=True), outcome_of(intent_id))

    stored = await replies.find(request, b"body")
    assert stored is not None
    assert stored.wire == wire
    assert stored.answer_json == b"{}"
    assert stored.receipt is None
    assert stored.outcome == outcome_of(intent_id)
    other = await replies.find(request, b"another body")
    assert other is not None
    assert not other.body_matches


async def test_of_many_claims_at_once_one_wins(replies: PgReplies) -> None:
    request = key()

    won = await asyncio.gather(*(replies.claim(request, b"body", uuid.uuid4(), now()) for _ in range(20)))

    assert won.count(True) == 1


async def test_an_aborted_intent_frees_its_key_and_rolls_a_late_act_back(replies: PgReplies) -> None:
    request, intent_id = key(), uuid.uuid4()
    await replies.claim(request, b"body", intent_id, now())
    closed = await replies.close(outcome_of(intent_id, Outcome.ABORTED))

    with pytest.raises(ActAbortedError):
        async with replies.transaction() as tx:
            await replies.complete(
                tx, request, Presented(licence_pb2.SearchLicencesAnswer(), b""), outcome_of(intent_id)
            )

    assert closed.outcome is Outcome.ABORTED
    assert await replies.claim(request, b"body", uuid.uuid4(), now())


async def test_closing_a_completed_intent_answers_its_stored_outcome(replies: PgReplies) -> None:
    request, intent_id = key(), uuid.uuid4()
    await replies.claim(request, b"body", intent_id, now())
    async with replies.transaction() as tx:
        await replies.complete(
            tx, request, Presented(licence_pb2.SearchLicencesAnswer(), b""), outcome_of(intent_id)
        )

    assert await replies.close(outcome_of(intent_id, Outcome.ABORTED)) == outcome_of(intent_id)


async def test_a_read_is_remembered_with_its_receipt(replies: PgReplies) -> None:
    request = key()
    wire = licence_pb2.SearchLicencesAnswer(use_code="u" * 20)
    receipt = Receipt(str(uuid.uuid4()), b"{}", 4, 7, (b"h" * 32,), "checkpoint", b"s" * 32)

    assert await replies.store_read(request, b"body", wire, receipt)
    assert not await replies.store_read(request, b"body", wire, receipt)

    stored = await replies.find(request, b"body")
    assert stored is not None
    assert (stored.wire, stored.receipt) == (wire, receipt)


async def test_the_end_of_an_act_is_forgotten_when_nobody_can_need_it(
    replies: PgReplies, pool: PoolFactory, city_database: CityDatabase
) -> None:
    old, still_open, named, young = (uuid.uuid4() for _ in range(4))
    await replies.claim(key(), b"body", named, now())
    for intent_id in (old, still_open, named, young):
        await replies.close(outcome_of(intent_id, Outcome.ABORTED))
    owner = await asyncpg.connect(city_database.admin_dsn)
    await owner.execute(
        "UPDATE licence.intent_terminal SET closed_at = now() - interval '31 days'"
        " WHERE intent_id = ANY ($1)",
        [old, still_open, named],
    )
    await owner.close()

    assert await replies.forget_ends(now() - TERMINALS_KEPT, [still_open]) == 1
    assert await replies.forget_ends(now() - TERMINALS_KEPT, [still_open]) == 0

    kept = await (await pool("licence")).fetch("SELECT intent_id FROM intent_terminal")
    assert {still_open, named, young} <= {row["intent_id"] for row in kept}
    assert old not in {row["intent_id"] for row in kept}


async def test_a_late_act_whose_end_was_forgotten_rolls_back(replies: PgReplies, pool: PoolFactory) -> None:
    request, intent_id = key(), uuid.uuid4()
    await replies.claim(request, b"body", intent_id, now())
    await replies.close(outcome_of(intent_id, Outcome.ABORTED))
    licence = await pool("licence")
    await licence.execute("DELETE FROM reply WHERE intent_id = $1", intent_id)
    assert await replies.forget_ends(now() + timedelta(hours=1), []) >= 1

    with pytest.raises(ActAbortedError):
        async with replies.transaction() as tx:
            await replies.complete(
                tx, request, Presented(licence_pb2.SearchLicencesAnswer(), b""), outcome_of(intent_id)
            )

    assert await licence.fetchval("SELECT count(*) FROM intent_terminal WHERE intent_id = $1", intent_id) == 0


async def test_an_expired_reply_is_forgotten(replies: PgReplies, pool: PoolFactory) -> None:
    request = key()
    receipt = Receipt(str(uuid.uuid4()), b"{}", 0, 1, (), "checkpoint", b"")
    await replies.store_read(request, b"body", licence_pb2.SearchLicencesAnswer(), receipt)
    await (await pool("licence")).execute("UPDATE reply SET expires_at = now() - interval '1 second'")

    assert await replies.find(request, b"body") is None
    assert await replies.claim(request, b"another body", uuid.uuid4(), now())


async def test_nothing_remembered_shows_a_number_in_clear(
    replies: PgReplies, pool: PoolFactory, city_database: CityDatabase
) -> None:
    request, intent_id = key(), uuid.uuid4()
    await replies.claim(request, b"body", intent_id, now())
    async with replies.transaction() as tx:
        wire = licence_pb2.GetLicenceAnswer(number=CODE)
        await replies.complete(tx, request, Presented(wire, b"{}", is_json=True), outcome_of(intent_id))

    connection = await asyncpg.connect(city_database.admin_dsn)
    rows = await connection.fetch("SELECT * FROM licence.reply, licence.intent_terminal")
    await connection.close()
    assert rows
    assert not any(CODE.encode() in bytes(v) for row in rows for v in row.values() if isinstance(v, bytes))


async def test_a_sealed_value_opens_for_its_own_row_and_column_only(vault: Vault) -> None:
    row = uuid.uuid4()
    sealed = vault.seal("李·明".encode(), row=row, column="holder.name")

    assert vault.unseal(sealed, row=row, column="holder.name").decode() == "李·明"
    for wrong_row, wrong_column in ((uuid.uuid4(), "holder.name"), (row, "holder.number")):
        with pytest.raises(SealBrokenError):
            vault.unseal(sealed, row=wrong_row, column=wrong_column)
    with pytest.raises(SealBrokenError):
        vault.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), row=row, column="holder.name")


async def test_another_keyring_does_not_open_the_database(pool: PoolFactory, vault: Vault) -> None:
    with pytest.raises(SealBrokenError):
        await Vault.open(await pool("licence"), Keyring.generate())


def test_a_rotated_index_key_still_finds_what_the_old_one_wrote() -> None:
    ring = Keyring.generate()
    subject = Subject("111", CODE)
    old = Vault(ring, {1: b"k" * 32})
    new = Vault(ring.with_new_index(), {1: b"k" * 32})

    assert old.blind_index(subject) in new.blind_indexes(subject)
    assert new.blind_index(subject) not in old.blind_indexes(subject)
    assert new.keyed_hash(b"request") == old.keyed_hash(b"request")
