"""Closing what a crash left open: whatever goes wrong with one intent, or with the way to the database."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime, timedelta
from typing import cast
from unittest.mock import Mock

import pytest

from core.disclosure import Disclosure, Entry, EntryKind, Presented, Produced, Receipt
from core.intents import entry_about
from core.replies import PgReplies
from core.rpc import protocol_tasks
from tests.unit.core.test_disclosure import City, crash_before_outcome

OTHER = uuid.UUID(int=7)


async def test_an_intent_that_cannot_be_closed_holds_up_no_other() -> None:
    city = City()
    await crash_before_outcome(city)
    await city.disclosure.drain()
    (stuck,) = city.memory.terminal
    key = city.context("k2")
    await city.ledger.append(entry_about(key, EntryKind.INTENT, "eseal.sign", Produced(None), item_id=OTHER))
    append = city.ledger.append

    async def refuses_one(entry: Entry) -> Receipt:
        if entry.intent_id == stuck:
            raise ValueError("what was kept of it does not open")
        return await append(entry)

    city.ledger.append = refuses_one  # type: ignore[method-assign]

    with pytest.raises(ValueError, match="does not open"):
        await city.disclosure.recover()

    assert [entry.intent_id for entry in city.ledger.entries.values() if entry.intent_id] == [OTHER]


async def test_an_intent_is_left_alone_for_as_long_as_the_city_says() -> None:
    city, asked = City(), list[datetime]()

    async def open_intents(older_than: datetime) -> list[Entry]:
        asked.append(older_than)
        return []

    city.ledger.open_intents = open_intents  # type: ignore[method-assign]
    patient = Disclosure(
        ledger=city.ledger,
        replies=city.memory,
        present=lambda answer: Presented(answer, b""),
        clock=lambda: city.now,
        grace=timedelta(seconds=8),
    )

    await patient.recover()

    assert asked == [city.now - timedelta(seconds=8)]


async def test_recovery_outlives_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.rpc.RECOVER_SECONDS", 0.0)
    failures: list[Exception] = [ConnectionRefusedError("no database"), LookupError("a row vanished")]
    calls = asyncio.Queue[int]()

    class Recovering:
        async def recover(self) -> None:
            calls.put_nowait(1)
            if failures:
                raise failures.pop(0)

    recover_forever = protocol_tasks(cast(Disclosure, Recovering()), cast(PgReplies, Mock()))[0]
    task = asyncio.ensure_future(recover_forever())

    async with asyncio.timeout(5):
        for _ in range(3):
            await calls.get()

    assert not task.done()
    task.cancel()
