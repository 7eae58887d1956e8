"""A flood of requests, from a process of its own: reads a job as JSON from standard input, answers one.

`rate` 0 is a closed loop: each connection asks again as soon as it is answered. Otherwise requests arrive at
the rate that is asked for, whether or not earlier ones have been answered; one that finds every connection
busy is not sent, and counted as such.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp


@dataclass(frozen=True)
class Flood:
    """What to ask, by how many connections, for how long."""

    url: str
    headers: dict[str, str]
    body: str
    connections: int
    seconds: float
    ca: str
    cert: str
    key: str
    rate: float = 0.0


@dataclass
class Tide:
    """What came of it; seconds."""

    sent: int = 0
    unsent: int = 0
    answered: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    longest_refusal: float = 0.0
    refusals: dict[str, int] = field(default_factory=dict)
    silent: int = 0
    """Refusals by 429 or 503 that did not say when to come back."""
    median: float = 0.0
    """Of the answers that were given."""

    @property
    def goodput(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0


async def flood(job: Flood) -> Tide:
    """Asks until the time is up, and waits for what is in flight."""
    tide, refusals, times = Tide(), Counter[str](), []
    context = ssl.create_default_context(cafile=job.ca)
    context.load_cert_chain(job.cert, job.key)
    connector = aiohttp.TCPConnector(limit=job.connections, ssl=context)
    free = asyncio.Semaphore(job.connections)

    async def ask(session: aiohttp.ClientSession) -> None:
        began = time.monotonic()
        tide.sent += 1
        try:
            async with session.post(job.url, data=job.body, headers=job.headers) as answer:
                await answer.read()
                seconds = time.monotonic() - began
        except (aiohttp.ClientError, TimeoutError) as failure:
            refusals[type(failure).__name__] += 1
            return
        tide.longest = max(tide.longest, seconds)
        if answer.status == 200:
            tide.answered += 1
            times.append(seconds)
            return
        refusals[str(answer.status)] += 1
        tide.longest_refusal = max(tide.longest_refusal, seconds)
        if answer.status in {429, 503} and "Retry-After" not in answer.headers:
            tide.silent += 1

    async def closed(session: aiohttp.ClientSession, until: float) -> None:
        while time.monotonic() < until:
            await ask(session)

    async def one(session: aiohttp.ClientSession) -> None:
        try:
            await ask(session)
        finally:
            free.release()

    async def arrivals(session: aiohttp.ClientSession, began: float) -> None:
        running: set[asyncio.Task[None]] = set()
        due = 0
        while (passed := time.monotonic() - began) < job.seconds:
            while due < passed * job.rate:
                due += 1
                if free.locked():
                    tide.unsent += 1
                    continue
                await free.acquire()
                task = asyncio.create_task(one(session))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.002)
        if running:
            await asyncio.wait(running)

    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        began = time.monotonic()
        if job.rate:
            await arrivals(session, began)
        else:
            await asyncio.gather(*(closed(session, began + job.seconds) for _ in range(job.connections)))
        tide.seconds = time.monotonic() - began
    tide.refusals = dict(refusals)
    tide.median = sorted(times)[len(times) // 2] if times else 0.0
    return tide


def main() -> None:
    """One job."""
    job = Flood(**json.load(sys.stdin))
    print(json.dumps(asdict(asyncio.run(flood(job)))))


def tide_of(said: str) -> Tide:
    """What a flood's process has printed."""
    document: dict[str, Any] = json.loads(said)
    return Tide(**document)


if __name__ == "__main__":
    main()
