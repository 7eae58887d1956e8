"""What every handler shares, opened once and closed in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiohttp import web

from core import log
from core.clock import Clock, now
from core.config import read_secret
from core.db import make_pool
from core.keyring import Keyring
from core.rpc import channel, token_verifier
from core.vault import Vault
from gateway.admission import Admission
from gateway.auth import Citizens, Machines
from gateway.clients import Clients, needed_parts
from gateway.config import GatewayConfig
from gateway.limits import Limits, Uploads
from gateway.metrics import Metrics
from gateway.oidc import RelyingParty
from gateway.sessions import Sessions
from gateway.traffic import Traffic

SWEEP_SECONDS = 300.0

_logger = log.get_logger()


@dataclass(frozen=True)
class Parts:
    """The gateway's own parts."""

    config: GatewayConfig
    clock: Clock
    metrics: Metrics
    limits: Limits
    uploads: Uploads
    streams: Uploads
    admission: Admission
    traffic: Traffic
    clients: Clients
    sessions: Sessions
    machines: Machines
    citizens: Citizens
    provider: RelyingParty


PARTS = web.AppKey("parts", Parts)


@asynccontextmanager
async def open_parts(config: GatewayConfig, clock: Clock = now) -> AsyncIterator[Parts]:
    """Opens channels and pool; closes them at the end."""
    metrics = Metrics()
    clients = Clients({name: channel(config, name) for name in needed_parts()}, metrics)
    pool = await make_pool(read_secret(config.database_dsn_file), config.pool_size)
    try:
        vault = await Vault.open(pool, Keyring.load(config.keyring))
        sessions = Sessions(pool, vault, clock)
        verifier = token_verifier(config, clock)
        beside = [asyncio.create_task(_sweep_forever(sessions)), asyncio.create_task(vault.keep_fresh())]
        try:
            yield Parts(
                config=config,
                clock=clock,
                metrics=metrics,
                limits=Limits(config, metrics),
                uploads=Uploads(config.most_uploads),
                streams=Uploads(config.most_streams),
                admission=Admission(config, metrics),
                traffic=Traffic(),
                clients=clients,
                sessions=sessions,
                machines=Machines(verifier),
                citizens=Citizens(sessions, clients, verifier, clock, config.people_url),
                provider=RelyingParty(config, clock),
            )
        finally:
            for task in beside:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    finally:
        await clients.close()
        await pool.close()


async def _sweep_forever(sessions: Sessions) -> None:
    while True:
        try:
            await sessions.sweep()
        except Exception:
            # Expired rows are never read, so a late sweep costs room only.
            _logger.warning("sweep_failed", exc_info=True)
        await asyncio.sleep(SWEEP_SECONDS)
