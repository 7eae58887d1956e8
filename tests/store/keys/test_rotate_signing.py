"""The key that signs checkpoints is rotated: broken off anywhere, it goes on; no ledger is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from cli.keys.lists import part_list
from cli.keys.part import Manner, Pace, UnfinishedError, open_part
from cli.keys.signing import SigningFiles, rotate_signing
from core.merkle import EMPTY_ROOT
from core.note import VerifierKey, open_checkpoint
from deploy.local.keys import make_keys
from services.ledger import signers
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import TreeHead
from services.ledger.signers import KeyWatch
from services.ledger.store import PgLogStore
from tests.database import CityDatabase
from tests.store.keys.harness import CrashError, pool_of

STEPS = (
    "the next signing key is made",
    "the next verifier key is published",
    "both keys sign",
    "the old signing key is dropped",
)
HEAD = TreeHead(0, EMPTY_ROOT)


@pytest.fixture
def folder(fresh_database: CityDatabase) -> Path:
    make_keys(fresh_database.keys, [])
    return fresh_database.keys


def load(folder: Path) -> CheckpointNotary:
    return CheckpointNotary.load(folder / "ledger-signing.key", folder / "ledger.vkey")


@asynccontextmanager
async def running(database: CityDatabase, notary: CheckpointNotary) -> AsyncIterator[None]:
    """A ledger as far as its keys go."""
    async with pool_of(database, "ledger") as pool:
        task = asyncio.create_task(KeyWatch(notary, PgLogStore(pool)).run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def rotate(database: CityDatabase, *, overlap: float = 0.0, crash_at: str = "") -> None:
    async def step(name: str) -> None:
        if name == crash_at:
            raise CrashError

    pace = Pace(settle=0, patience=0, poll=0.02, remind=5, overlap=overlap)
    manner = Manner(lambda _line: None, pace, step)
    async with open_part(database.admin_dsn, part_list("ledger"), database.keyring("ledger"), manner) as part:
        await rotate_signing(part)


@pytest.mark.parametrize("crash_at", STEPS)
async def test_rotation_that_is_broken_off_goes_on_with_the_same_key(
    fresh_database: CityDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    monkeypatch.setattr(signers, "LOOK_SECONDS", 0.02)
    held, notary = SigningFiles(folder), load(folder)
    before = notary.sign(HEAD)
    (old,) = held.published()

    async with running(fresh_database, notary):
        with pytest.raises(CrashError):
            await rotate(fresh_database, crash_at=crash_at)
        next_key = held.line(held.signing()[-1])
        during = load(folder).sign(HEAD)
        await rotate(fresh_database)
        after = notary.sign(HEAD)

    assert held.published() == [next_key, old]
    assert [held.line(key) for key in held.signing()] == [next_key]
    assert open_checkpoint(before, VerifierKey.parse(old))
    assert open_checkpoint(after, VerifierKey.parse(next_key))
    assert [notary.open(note) for note in (before, during, after)] == [HEAD] * 3


async def test_both_sign_until_the_overlap_is_over(fresh_database: CityDatabase, folder: Path) -> None:
    held = SigningFiles(folder)

    with pytest.raises(UnfinishedError, match="run the command again"):
        await rotate(fresh_database, overlap=3600)

    assert len(held.signing()) == 2
    assert load(folder).signs_with == held.published()
    with pytest.raises(UnfinishedError):
        await rotate(fresh_database, overlap=3600)
    assert len(held.published()) == 2


async def test_old_key_is_kept_while_a_ledger_does_not_know_the_new_one(
    fresh_database: CityDatabase, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signers, "LOOK_SECONDS", 0.02)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("ledger-signing.key", "ledger.vkey"):
        (elsewhere / name).write_bytes((folder / name).read_bytes())
    held = SigningFiles(folder)

    async with running(fresh_database, load(folder)), running(fresh_database, load(elsewhere)):
        rotating = asyncio.create_task(rotate(fresh_database))
        await asyncio.sleep(1.0)
        waits = not rotating.done() and len(held.signing()) == 2
        for name in ("ledger.vkey", "ledger-signing.key"):
            (elsewhere / name).write_bytes((folder / name).read_bytes())
        for _ in range(200):
            if len(held.signing()) == 1:
                break
            await asyncio.sleep(0.05)
        (elsewhere / "ledger-signing.key").write_bytes((folder / "ledger-signing.key").read_bytes())
        await rotating

    assert waits


async def test_second_rotation_keeps_every_key_published(fresh_database: CityDatabase, folder: Path) -> None:
    held = SigningFiles(folder)
    first = load(folder).sign(HEAD)

    await rotate(fresh_database)
    second = load(folder).sign(HEAD)
    await rotate(fresh_database)

    assert len(held.published()) == 3
    assert [load(folder).open(note) for note in (first, second)] == [HEAD] * 2
