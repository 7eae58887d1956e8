"""For the operators, on loopback: alive, ready, metrics."""

from __future__ import annotations

import asyncio
import time

import asyncpg
from aiohttp import web
from onestop.ledger.v1 import ledger_pb2

from core.errors import ServiceError
from gateway.parts import PARTS, Parts

READINESS_LIFE_SECONDS = 1.0
LEDGER_SECONDS = 2.0

WITNESS_STATES = {
    ledger_pb2.WITNESS_STATE_UNASKED: "unasked",
    ledger_pb2.WITNESS_STATE_COSIGNS: "cosigns",
    ledger_pb2.WITNESS_STATE_SILENT: "silent",
    ledger_pb2.WITNESS_STATE_REFUSES: "refuses",
}


class Operations:
    """Says how the gateway is doing. `drain` turns readiness off before the listeners close."""

    def __init__(self) -> None:
        self._draining = False
        self._checking = asyncio.Lock()
        self._checked_at = 0.0
        self._standing: dict[str, bool] = {}
        self._witnesses: dict[str, str] = {}

    def drain(self) -> None:
        """From now on, no new traffic is wanted."""
        self._draining = True

    def add_to(self, app: web.Application) -> None:
        """Adds the routes."""
        app.router.add_get("/healthz", self.alive)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/metrics", self.metrics)

    async def alive(self, request: web.Request) -> web.Response:
        """This process runs."""
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Whether traffic may come: every part is well, and the ledger can prove things."""
        standing = await self._stand(request.app[PARTS])
        ready = all(standing.values()) and not self._draining
        status = "draining" if self._draining else "ready" if ready else "not_ready"
        parts = {name: "ok" if well else "down" for name, well in sorted(standing.items())}
        # A witness that is away takes no traffic away: it costs its cosignature alone.
        answer = {"status": status, "parts": parts, "witnesses": self._witnesses}
        return web.json_response(answer, status=200 if ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus text format."""
        await self._stand(request.app[PARTS])
        return web.Response(
            body=request.app[PARTS].metrics.text(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def _stand(self, parts: Parts) -> dict[str, bool]:
        """How each part stands; asked at most once a second, however many ask."""
        async with self._checking:
            if time.monotonic() - self._checked_at > READINESS_LIFE_SECONDS:
                names = list(parts.clients.parts)
                asked = [parts.clients.parts[name].is_serving() for name in names]
                serving, proves, stores, self._witnesses = await asyncio.gather(
                    asyncio.gather(*asked), _ledger_proves(parts), _stores(parts), _witnesses(parts)
                )
                self._standing = dict(zip(names, serving, strict=True))
                self._standing["ledger"] = self._standing["ledger"] and proves
                self._standing["sessions"] = stores
                self._checked_at = time.monotonic()
            return self._standing


async def _ledger_proves(parts: Parts) -> bool:
    """Whether the ledger shows a checkpoint."""
    try:
        answer = await parts.clients.ledger.GetCheckpoint(
            ledger_pb2.GetCheckpointRequest(), timeout=LEDGER_SECONDS
        )
    except Exception:
        return False
    return bool(answer.checkpoint)


async def _witnesses(parts: Parts) -> dict[str, str]:
    """How the witnesses stand to the ledger; nothing where it does not say. The metrics are told too."""
    gauges = parts.metrics
    try:
        answer = await parts.clients.ledger.ListWitnesses(
            ledger_pb2.ListWitnessesRequest(), timeout=LEDGER_SECONDS
        )
    except Exception:
        return {}
    states = {one.name: WITNESS_STATES.get(one.state, "unasked") for one in answer.witnesses}
    gauges.ledger_size.set(answer.size)
    for one in answer.witnesses:
        gauges.witness_size.labels(one.name).set(one.size)
        gauges.witness_cosigns.labels(one.name).set(states[one.name] == "cosigns")
    return states


async def _stores(parts: Parts) -> bool:
    """Whether the gateway's own database answers."""
    try:
        async with asyncio.timeout(LEDGER_SECONDS):
            return await parts.sessions.answers()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ServiceError):
        return False
