"""A log that the bench has filled is one that the ledger believes, goes on with, and gives receipts of."""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg
import psycopg

from cli.audit.run import Evidence, audit
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from tests.bench.filling import Made, fill, make
from tests.bench.ground import vault_at
from tests.database import CityDatabase
from tests.store.ledger.conftest import KEY, PRIVATE, StartLedger, disclosure, proved
from tests.store.ledger.test_custody import PLATFORM, asking

WANTED = 700


async def test_a_filled_log_is_led_grown_and_proved(
    start: StartLedger, fresh_database: CityDatabase, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = await start()
    await before.append(disclosure())
    await before.stop()
    vault = vault_at(fresh_database.admin_dsn, fresh_database.keyring("ledger"), "ledger")

    async def maker(first: int, count: int, began: datetime) -> Made:
        return make(vault, first, count, began)

    owner = await asyncpg.connect(fresh_database.admin_dsn)
    pool = await asyncpg.create_pool(fresh_database.dsn("ledger"), min_size=1, max_size=1)
    released = LastReleasedFile(before.file)
    size = await fill(
        owner, type(before.store)(pool), CheckpointNotary(KEY, PRIVATE), released, WANTED, maker
    )
    await owner.close()
    await pool.close()
    report = await asyncio.to_thread(audit, Evidence(fresh_database.dsn("auditor"), [KEY]))
    after = await start()
    (appended,) = await after.append(disclosure())

    assert report.clean, report.document()
    assert (size, after.sequencer.state) == (WANTED, State.LEADING)
    assert (appended.index, proved(appended, None).index) == (WANTED, WANTED)
    row = admin.execute("SELECT item_id FROM entry WHERE idx = 300").fetchone()
    assert row is not None
    receipt = await after.desk.receipt(asking(PLATFORM), row[0])  # type: ignore[arg-type]
    assert proved(receipt, None).index == 300
    assert len(receipt.answer_salt) == 32
