"""A log that went on under a new origin is audited with the new key alone; what it has lost stays lost."""

from __future__ import annotations

import asyncio

from cli.audit.log import Known
from cli.audit.run import Evidence, audit
from core.note import VerifierKey
from services.ledger.released import LastReleasedFile
from tests.database import CityDatabase
from tests.store.audit.conftest import Intruder, kinds
from tests.store.ledger.conftest import KEY, StartLedger, disclosure
from tests.store.ledger.test_continuation import NEW_KEY, continued, go_on, lost_some

HELPERS_SHARE_A_SALT = {"doubled"}
"""The entries of these helpers commit to one answer with one salt, which no real ones do."""


async def test_a_continued_log_is_audited_with_its_new_key(
    start: StartLedger, admin: Intruder, fresh_database: CityDatabase
) -> None:
    town = await lost_some(start, admin, kept=300)
    before = await LastReleasedFile(town.file).read()
    assert before is not None
    again = await go_on(start, town, await continued(town))
    await again.append(disclosure())
    after = await LastReleasedFile(again.file).read()
    assert after is not None

    async def found(key: VerifierKey, note: str) -> set[str]:
        evidence = Evidence(fresh_database.dsn("auditor"), [key], [Known("a checkpoint", note)])
        return kinds(await asyncio.to_thread(audit, evidence)) - HELPERS_SHARE_A_SALT

    assert await found(NEW_KEY, after) == set()
    assert await found(NEW_KEY, before) == {"rolled_back"}
    assert await found(KEY, after) == {"wrong_key"}
