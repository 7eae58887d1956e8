"""The gRPC server of a service, and the channels to others: mutual TLS, names checked on both ends."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from onestop.issuer.v1 import issuer_pb2, issuer_pb2_grpc

from core import log, trace
from core.clock import Clock, now
from core.config import PeerConfig, ServiceConfig
from core.context import ContextReader
from core.db import is_outage
from core.disclosure import Disclosure
from core.errors import ServiceError
from core.failover import FailoverChannel
from core.garbage import collect_rarely
from core.guard import Guard, peer_name
from core.heartbeat import BeatingHealth, Heartbeat
from core.replies import TERMINALS_KEPT, PgReplies
from core.status import from_rpc_error
from core.tokens import IssuerKeys, TokenVerifier

__all__ = [
    "Guard",
    "Register",
    "Task",
    "build_server",
    "channel",
    "context_reader",
    "peer_name",
    "protocol_tasks",
    "run",
    "serve",
]

LARGEST_MESSAGE = 20 * 1024 * 1024
DRAIN_SECONDS = 8.0
RECOVER_SECONDS = 10.0
FORGET_SECONDS = 3600.0

Register = Callable[[grpc.aio.Server], Sequence[str]]
"""Adds the servicers and answers the full names of their services."""

Task = Callable[[], Awaitable[None]]
"""Runs beside the server until it is cancelled."""


class Ready(Protocol):
    """Sets the health of the whole server, or the one of this name."""

    async def __call__(self, yes: bool, name: str = "") -> None: ...


Readiness = Callable[[Ready], Awaitable[None]]
"""A task that says, through what it is given, whether the part may take traffic now."""

_logger = log.get_logger()


def channel(config: PeerConfig, part: str) -> grpc.aio.Channel:
    """A channel to a part, over mutual TLS; whoever answers must bear the part's name.

    Where the part has several addresses, of which one leads, calls go to that one (core/failover.py).
    """
    channels = channels_to_each(config, part)
    return channels[0] if len(channels) == 1 else FailoverChannel(channels)


def channels_to_each(config: PeerConfig, part: str) -> list[grpc.aio.Channel]:
    """A channel to each address of a part."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=config.tls_ca.read_bytes(),
        private_key=config.tls_key.read_bytes(),
        certificate_chain=config.tls_cert.read_bytes(),
    )
    options = [
        ("grpc.ssl_target_name_override", part),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.max_send_message_length", LARGEST_MESSAGE),
        # While calls wait for an answer: a machine that vanished is given up after 4 s. The ping needs a
        # limit of its own, else gRPC waits for it a minute.
        ("grpc.keepalive_time_ms", 1_500),
        ("grpc.keepalive_timeout_ms", 2_500),
        ("grpc.http2.ping_timeout_ms", 2_500),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.enable_retries", 0),
    ]
    return [
        grpc.aio.secure_channel(address, credentials, options=options) for address in config.addresses(part)
    ]


def token_verifier(config: PeerConfig, clock: Clock) -> TokenVerifier:
    """A verifier that fetches the issuer's keys."""
    stub = issuer_pb2_grpc.IssuerServiceStub(channel(config, "issuer"))

    async def fetch() -> IssuerKeys:
        try:
            response = await stub.GetKeys(issuer_pb2.GetKeysRequest(), timeout=3.0)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "issuer") from error
        return IssuerKeys(response.jwks, response.expires_at.ToDatetime(tzinfo=clock().tzinfo))

    return TokenVerifier(fetch, clock)


def context_reader(config: PeerConfig, clock: Clock) -> ContextReader:
    """What every servicer reads its context with."""
    return ContextReader(token_verifier(config, clock), clock)


def protocol_tasks(disclosure: Disclosure, replies: PgReplies) -> list[Task]:
    """What a composing service runs beside its server: recovery of intents, forgetting of how old ones ended,
    sweeping of replies, and keys that are the live ones."""

    async def recover_forever() -> None:
        while True:
            try:
                await disclosure.recover()
            except ServiceError as error:
                _logger.warning("recovery_waits", reason=error.reason, waits_for=error.part)
            except Exception as error:
                # The service answers on: what stays open is tried again, and nothing of it was released.
                if is_outage(error):
                    _logger.warning("recovery_waits", reason="DATABASE_AWAY", waits_for="database")
                else:
                    _logger.exception("recovery_failed")
            await asyncio.sleep(RECOVER_SECONDS)

    async def forget_forever() -> None:
        while True:
            try:
                await disclosure.forget(now() - TERMINALS_KEPT)
            except ServiceError as error:
                _logger.info("nothing_forgotten", reason=error.reason, waits_for=error.part)
            except Exception as error:
                if is_outage(error):
                    _logger.info("nothing_forgotten", reason="DATABASE_AWAY", waits_for="database")
                else:
                    _logger.exception("forgetting_failed")
            await asyncio.sleep(FORGET_SECONDS)

    return [recover_forever, forget_forever, replies.sweep_forever, replies.keep_keys_fresh]


def build_server(
    config: ServiceConfig,
    register: Register,
    guard: Guard | None = None,
    heartbeat: Heartbeat | None = None,
) -> tuple[grpc.aio.Server, int, health.aio.HealthServicer]:
    """A server that is bound but not started; its port; and its health, not yet serving."""
    server = grpc.aio.server(
        interceptors=[guard or Guard()],
        options=[
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    names = list(register(server))
    health_servicer = BeatingHealth(heartbeat) if heartbeat else health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    credentials = grpc.ssl_server_credentials(
        [(config.tls_key.read_bytes(), config.tls_cert.read_bytes())],
        root_certificates=config.tls_ca.read_bytes(),
        require_client_auth=True,
    )
    try:
        port = server.add_secure_port(config.listen, credentials)
    except RuntimeError:
        raise SystemExit(
            f"ONESTOP_LISTEN: {config.listen} cannot be listened on; is another process there?"
        ) from None
    return server, port, health_servicer


async def serve(
    config: ServiceConfig,
    part: str,
    register: Register,
    *,
    tasks: Sequence[Task] = (),
    readiness: Readiness | None = None,
    closers: Sequence[Callable[[], Awaitable[object]]] = (),
) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what is in flight, and closes in order.

    A task beside the server that ends or fails ends the process: the supervisor starts it anew. The part
    is ready once it serves, or when `readiness` says so.
    """
    heartbeat = Heartbeat()
    server, _, health_servicer = build_server(config, register, heartbeat=heartbeat)
    await server.start()
    heartbeat.start()
    running = [asyncio.ensure_future(task()) for task in tasks]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def ready(yes: bool, name: str = "") -> None:
        state = health_pb2.HealthCheckResponse
        await health_servicer.set(name, state.SERVING if yes else state.NOT_SERVING)

    if readiness is None:
        await ready(True)
    else:
        running.append(asyncio.ensure_future(readiness(ready)))
    _logger.info("serving", listen=config.listen)
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait([waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    _logger.info("draining")
    await health_servicer.enter_graceful_shutdown()
    await server.stop(DRAIN_SECONDS)
    failed = [task.exception() for task in running if task.done() and not task.cancelled()]
    for task in (waiting, *running):
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
    heartbeat.stop()
    for close in closers:
        await close()
    if failed:
        raise SystemExit(f"{part}: a task beside the server ended: {failed[0]!r}")


def run(part: str, config: PeerConfig, main: Callable[[], Awaitable[None]]) -> None:
    """Runs a process's main coroutine, with logs and traces set up."""
    import uvloop  # noqa: PLC0415  # Windows has none, and imports this module for its channels only

    log.configure(part, config.log_level)
    trace.configure(part)

    async def entry() -> None:
        gc.freeze()  # What has been imported stays.
        collect_rarely()
        await main()

    uvloop.run(entry())
