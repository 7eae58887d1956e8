"""What is committed is released in order, while the next batch is being committed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from services.ledger.store import PgLogStore
from tests.store.ledger.conftest import StartLedger, disclosure, proved


async def test_next_batch_is_committed_while_the_one_before_is_released(
    start: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await start()
    write, held = LastReleasedFile._keep, threading.Event()
    order: list[str] = []

    def slow_disk(file: LastReleasedFile, checkpoint: str) -> None:
        held.wait(10)
        write(file, checkpoint)
        order.append(checkpoint)

    monkeypatch.setattr(LastReleasedFile, "_keep", slow_disk)
    first = asyncio.create_task(ledger.append(disclosure()))
    await _until_size(ledger.store, 1)
    second = asyncio.create_task(ledger.append(disclosure()))
    await _until_size(ledger.store, 2)
    early = [first.done(), second.done()]
    held.set()
    (one,), (two,) = await asyncio.gather(first, second)

    assert early == [False, False]
    assert order == [one.checkpoint, two.checkpoint]
    assert [proved(one).index, proved(two).index] == [0, 1]


async def test_both_batches_are_answered_once_each_when_the_first_cannot_be_released(
    start: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await start()
    write, held = LastReleasedFile._keep, threading.Event()
    broken = [True]

    def full_once(file: LastReleasedFile, checkpoint: str) -> None:
        held.wait(10)
        if broken.pop() if broken else False:
            raise OSError(28, "No space left on device")
        write(file, checkpoint)

    monkeypatch.setattr(LastReleasedFile, "_keep", full_once)
    entries = [disclosure(), disclosure()]
    first = asyncio.create_task(ledger.append(entries[0]))
    await _until_size(ledger.store, 1)
    second = asyncio.create_task(ledger.append(entries[1]))
    await _until_size(ledger.store, 2)
    held.set()
    (one,), (two,) = await asyncio.gather(first, second)

    assert State.RECOVERING in [state for state, _ in ledger.watch.seen]
    assert [proved(one).index, proved(two).index] == [0, 1]
    assert (await ledger.store.head()).size == 2


async def test_repetition_is_not_answered_before_its_entry_is_released(
    start: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await start()
    write, held = LastReleasedFile._keep, threading.Event()

    def slow_disk(file: LastReleasedFile, checkpoint: str) -> None:
        held.wait(10)
        write(file, checkpoint)

    monkeypatch.setattr(LastReleasedFile, "_keep", slow_disk)
    entry = disclosure()
    first = asyncio.create_task(ledger.append(entry))
    await _until_size(ledger.store, 1)
    again = asyncio.create_task(ledger.append(entry))
    done, _ = await asyncio.wait({first, again}, timeout=0.3)
    held.set()

    assert not done
    assert await first == await again


async def _until_size(store: PgLogStore, size: int) -> None:
    async with asyncio.timeout(10):
        while True:
            if (await store.head()).size >= size:
                return
            await asyncio.sleep(0.01)
