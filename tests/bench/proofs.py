"""`ledger.proof`: how long a receipt takes, with its inclusion proof, from a log of 10 million entries.

The log is filled with rows as the ledger would have written them (tests/bench/filling.py). It is kept, and a
run that is broken off goes on.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Iterable, Sequence
from functools import partial

import asyncpg
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from cli.keys.ground import owners_database
from core.db import make_pool
from core.rpc import channel
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.released import LastReleasedFile
from services.ledger.store import PgLogStore
from tests.bench.callers import address_of, peer_config, thumbprint
from tests.bench.figures import LESS_IS_BETTER, Figure, Goal, median, single
from tests.bench.filling import fill, makers
from tests.bench.ground import CITY_PEOPLE, LIMITS_AWAY, Bench, running, vault_at
from tests.city import City
from tests.story import platform_of

ENTRIES = 10_000_000
ASKED = 2_000
STEPS = (1, 8)
GOAL = Goal(LESS_IS_BETTER, 5.0)
CALLER = "approval-platform"


def measure(bench: Bench) -> Iterable[Figure]:
    """Milliseconds of GetReceipt, asked by the gateway's name, for entries all over the log."""
    wanted = round(ENTRIES * bench.people / CITY_PEOPLE)
    city = City(people=100, home=bench.folder / f"log-{wanted}", environment=LIMITS_AWAY)
    with running(bench, city):
        pass
    with owners_database(city.settings) as dsn:
        size = asyncio.run(_grow(bench, city, dsn, wanted))
    with running(bench, city):
        figures = [single("ledger.proof.entries", size, "entries")]
        for step in STEPS:
            bench.say(f"ledger.proof, {step} at a time, {ASKED} receipts a round")
            rounds = [asyncio.run(_ask(city, step, size, number)) for number in range(bench.rounds)]
            for percent in (50, 95, 99):
                times = [_percentile(one, percent) for one in rounds]
                goal = GOAL if (percent, step) == (99, 1) else None
                figures.append(median(f"ledger.proof.c{step}.p{percent}", times, "ms", goal))
        return figures


async def _grow(bench: Bench, city: City, dsn: str, wanted: int) -> int:
    """Makes the log as long as wanted; its size."""
    keys = city.settings.keys
    notary = CheckpointNotary.load(keys / "ledger-signing.key", keys / "ledger.vkey")
    released = LastReleasedFile(city.settings.ledger / "last-checkpoint")
    open_vault = partial(vault_at, dsn, keys / "ledger-keyring.json", "ledger")
    pool = await make_pool((keys / "ledger.dsn").read_text().strip(), 2)
    owner = await asyncpg.connect(dsn)
    try:
        with makers(open_vault) as maker:
            said = partial(_say, bench)
            return await fill(owner, PgLogStore(pool), notary, released, wanted, maker, say=said)
    finally:
        await owner.close()
        pool.terminate()


def _say(bench: Bench, text: str) -> None:
    bench.say(f"ledger.proof: {text}")


async def _ask(city: City, at_once: int, size: int, seed: int) -> list[float]:
    """Milliseconds of each receipt, as the gateway asks for it."""
    chance = random.Random(seed)
    ids = await _some_ids(city, [chance.randrange(size) for _ in range(ASKED)])
    config = peer_config(city.settings.pki, "gateway", ledger=address_of(city, "ledger"))
    with platform_of(city) as platform:
        credential = context_pb2.Credential(
            token=platform.token, certificate_thumbprint=thumbprint(city, CALLER)
        )
    opened = channel(config, "ledger")
    stub = pb_grpc.LedgerServiceStub(opened)
    times: list[float] = []

    async def ask(part: Sequence[uuid.UUID]) -> None:
        for item in part:
            request = pb.GetReceiptRequest(
                credential=credential, context=context_pb2.RequestContext(), id=str(item)
            )
            began = time.perf_counter()
            answer = await stub.GetReceipt(request, timeout=10)
            times.append((time.perf_counter() - began) * 1000)
            assert answer.receipt.index < answer.receipt.tree_size <= size

    await ask(ids[:50])
    times.clear()
    await asyncio.gather(*(ask(ids[start::at_once]) for start in range(at_once)))
    await opened.close()
    return times


async def _some_ids(city: City, indexes: Sequence[int]) -> list[uuid.UUID]:
    connection = await asyncpg.connect(city.admin_dsn)
    try:
        query = "SELECT item_id FROM ledger.entry WHERE idx = ANY($1) AND caller = $2"
        rows = await connection.fetch(query, list(indexes), CALLER)
    finally:
        await connection.close()
    return [row["item_id"] for row in rows]


def _percentile(times: Sequence[float], percent: int) -> float:
    return sorted(times)[len(times) * percent // 100]
