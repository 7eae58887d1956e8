"""Many concurrent appenders in one process, as in a service: each waits for its receipt and comes again.

Reads a job as JSON from standard input, answers one. What waits goes together in the next `AppendBatch`, by
the very client that services use.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from core.config import PeerConfig
from core.entries import Basis, BasisKind, Entry, EntryKind, Outcome, RecordRef
from core.identity import Subject
from core.ledger import LedgerClient
from core.rpc import channel

NUMBER = "440299199005189806"


@dataclass(frozen=True)
class AppendJob:
    """So many appenders for so long, as the part of this certificate."""

    ledger: str
    ca: str
    cert: str
    key: str
    appenders: int
    seconds: float
    warm_up: float = 1.0


@dataclass
class Appended:
    """What came of it; times in milliseconds."""

    entries: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    times: dict[str, float] = field(default_factory=dict)
    leaf_bytes: int = 0


def entry(fresh: Callable[[int], bytes] = os.urandom) -> Entry:
    """An entry as a licence search leaves it; `fresh` makes so many random bytes."""
    records = [uuid.UUID(bytes=fresh(16), version=4) for _ in range(3)]
    return Entry(
        item_id=uuid.UUID(bytes=fresh(16), version=4),
        kind=EntryKind.DISCLOSURE,
        method="licence.search",
        caller="approval-platform",
        office="11440203007290001A",
        basis=Basis(BasisKind.MATTER, "sole-trader-registration", "BENCH-00000001"),
        purpose="个体工商户设立登记",
        operator="clerk-017",
        subject=Subject("111", NUMBER),
        field_names=("issuer_name", "state", "type_name", "valid_from", "valid_until", "version"),
        records=tuple(RecordRef("licence.11100000000013127D001", str(one)) for one in records),
        outcome=Outcome.RELEASED,
        answer_commitment=fresh(32),
        answer_salt=fresh(32),
    )


async def run(job: AppendJob) -> Appended:
    """Appends until the time is up."""
    config = PeerConfig(
        tls_ca=Path(job.ca), tls_cert=Path(job.cert), tls_key=Path(job.key), ledger=job.ledger
    )
    connected = channel(config, "ledger")
    client = LedgerClient(connected)
    answer, times = Appended(), []
    loop = asyncio.get_running_loop()
    counted_from = loop.time() + job.warm_up
    until = counted_from + job.seconds

    async def append() -> None:
        while (began := loop.time()) < until:
            receipt = await client.append(entry())
            if counted_from <= began and loop.time() <= until:
                times.append(loop.time() - began)
                answer.leaf_bytes = len(receipt.entry)

    async def spent() -> float:
        await asyncio.sleep(job.warm_up)
        before = time.process_time()
        await asyncio.sleep(job.seconds)
        return time.process_time() - before

    watching = asyncio.create_task(spent())
    await asyncio.gather(*(append() for _ in range(job.appenders)))
    answer.cpu_seconds = await watching
    await connected.close()
    times.sort()
    answer.entries, answer.seconds = len(times), job.seconds
    for percent in (50, 95, 99):
        answer.times[f"p{percent}"] = times[len(times) * percent // 100] * 1000 if times else 0.0
    return answer


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(AppendJob(**json.load(sys.stdin)))))))
