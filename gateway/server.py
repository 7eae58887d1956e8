"""The sockets: TLS for machines and for people, plain loopback for operators; and an orderly end."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from core import log
from core.heartbeat import Heartbeat
from gateway.app import build, build_operations
from gateway.config import GatewayConfig
from gateway.parts import Parts
from gateway.problems import HTTP_REASONS, Problem, problem_response
from gateway.public.operations import Operations
from gateway.shapes import Listener
from gateway.traffic import Traffic

HANDSHAKE_SECONDS = 10.0
BACKLOG = 512
LARGEST_LINE = 8190
LARGEST_HEADER = 16 * 1024
MOST_HEADERS = 64
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: those with forward secrecy and authenticated encryption (RFC 9325 section 4.2)."""
CUT_OFF_SECONDS = 0.5
"""For what is left after the drain."""

_logger = log.get_logger()


def machines_tls(config: GatewayConfig) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 with a client certificate of the callers' authority; without one there is no connection.

    Sessions are not resumed: every connection proves its certificate anew.
    """
    context = people_tls(config)
    context.load_verify_locations(config.machines_ca or config.tls_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def people_tls(config: GatewayConfig) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 with the gateway's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context


class _Protocol(RequestHandler):
    """Tells what is not HTTP as a problem document as well."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            _logger.error("connection_failed", error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        reason, detail = HTTP_REASONS.get(status, ("INTERNAL", "an internal error"))
        response = problem_response(Problem(status, reason, detail), "")
        response.force_close()
        return response


class _Server(web.Server):
    """Speaks by our protocol class; aiohttp has no setting for it."""

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


class _Site(web.BaseSite):
    """One listening socket. aiohttp's own has no limit on the time of a TLS handshake."""

    __slots__ = ("_address",)

    def __init__(self, runner: web.BaseRunner, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(runner, ssl_context=tls, backlog=BACKLOG)
        self._address = address

    @property
    def name(self) -> str:
        """The address."""
        return f"{'https' if self._ssl_context else 'http'}://{self._address}"

    async def start(self) -> None:
        """Listens. Raises SystemExit naming the address when it is taken."""
        await super().start()
        host, port = split_address(self._address)
        server = self._runner.server
        assert server is not None
        try:
            self._server = await asyncio.get_running_loop().create_server(
                server,
                host,
                port,
                ssl=self._ssl_context,
                backlog=self._backlog,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._ssl_context else None,
            )
        except OSError as error:
            raise SystemExit(f"{self._address} cannot be listened on: {error.strerror}") from None


def split_address(address: str) -> tuple[str, int]:
    """Host and port. Raises SystemExit where it is no `host:port`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SystemExit(f"{address} is no address; write host:port")
    return host.strip("[]"), int(port)


def refuse_open_operations(address: str) -> None:
    """Raises SystemExit for an operators' address that others can reach."""
    host, _ = split_address(address)
    if host != "localhost" and not ip_address(host).is_loopback:
        raise SystemExit(
            f"ONESTOP_OPERATIONS_LISTEN: {address} must be on loopback; it is neither encrypted"
            " nor does it ask who calls"
        )


@asynccontextmanager
async def listening(parts: Parts, operations: Operations) -> AsyncIterator[dict[str, int]]:
    """Listens on all three while the context lasts; answers each listener's port.

    At the end the outer two take no new connections, and what is in hand is answered in the drain's time.
    """
    config = parts.config
    refuse_open_operations(config.operations_listen)
    listeners = (
        ("operations", build_operations(parts, operations), config.operations_listen, None),
        ("machines", build(parts, Listener.MACHINES), config.machines_listen, machines_tls(config)),
        ("people", build(parts, Listener.PEOPLE), config.people_listen, people_tls(config)),
    )
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        outer: list[_Site] = []
        for name, app, address, tls in listeners:
            runner = _Runner(
                app,
                access_log=None,
                shutdown_timeout=CUT_OFF_SECONDS,
                keepalive_timeout=config.idle_seconds,
                max_line_size=LARGEST_LINE,
                max_field_size=LARGEST_HEADER,
                max_headers=MOST_HEADERS,
                auto_decompress=False,
                lingering_time=1.0,
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = _Site(runner, address, tls)
            await site.start()
            if name != "operations":
                outer.append(site)
            ports[name] = runner.addresses[0][1]
        stack.push_async_callback(_drain, outer, parts.traffic, config.drain_seconds)
        yield ports


async def _drain(sites: Sequence[_Site], traffic: Traffic, seconds: float) -> None:
    """aiohttp's own stop throws away what is still arriving of a body, and its request would hang."""
    for site in sites:
        await site.stop()
    await traffic.ended(seconds)


async def serve(parts: Parts) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what is in flight."""
    operations = Operations()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    heartbeat = Heartbeat()
    heartbeat.start()
    parts.metrics.loop_delay.labels("gateway").set_function(lambda: heartbeat.longest)
    async with listening(parts, operations) as ports:
        _logger.info("serving", **{f"{name}_port": port for name, port in ports.items()})
        await stop.wait()
        operations.drain()
        _logger.info("draining")
    heartbeat.stop()
