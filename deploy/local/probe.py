"""Asks each part whether it is well, as its callers would reach it: over TLS, by name.

`python -m deploy.local.probe <part>` ends with 0 if it is, 1 if not.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2

from core.access import STANDS_BY
from deploy.local.pki import PROBER
from deploy.local.settings import AUTHORITY, WITNESS, Settings, part_of, read_settings

ANSWER_SECONDS = 2.0
LISTEN_SECONDS = 0.2
CHECK = "/grpc.health.v1.Health/Check"
WRITE = health_pb2.HealthCheckRequest.SerializeToString
READ = health_pb2.HealthCheckResponse.FromString
WITHOUT_GRPC = ("gateway", "idp", WITNESS, AUTHORITY)


async def is_well(settings: Settings, part: str) -> bool:
    """Whether the part answers its health check now."""
    if not _listens(settings, part):
        return False
    if part == "gateway":
        return await _gateway_says(settings, "readyz")
    if part == AUTHORITY:
        return await asyncio.to_thread(_reads, f"{settings.authority_url}/healthz", None)
    if part == WITNESS:
        own = (str(settings.pki / f"{PROBER}.crt"), str(settings.pki / f"{PROBER}.key"))
        tls = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
        tls.load_cert_chain(*own)
        address = f"https://localhost:{settings.ports[part]}/healthz"
        return await asyncio.to_thread(_reads, address, tls, "status")
    if part == "idp":
        address = f"https://localhost:{settings.ports['idp']}/.well-known/openid-configuration"
        tls = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
        return await asyncio.to_thread(_reads, address, tls)
    return await _serves(settings, part)


async def is_alive(settings: Settings) -> bool:
    """Whether the gateway runs, ready or not."""
    return await _gateway_says(settings, "healthz")


async def _gateway_says(settings: Settings, what: str) -> bool:
    address = f"http://127.0.0.1:{settings.ports['operations']}/{what}"
    return await asyncio.to_thread(_reads, address, None)


def serves(settings: Settings, part: str) -> bool:
    """Whether a gRPC part serves now; for callers without a loop. A call that fails is an answer too."""
    if not _listens(settings, part):
        return False
    credentials, options, request = _health_check(settings, part)
    with grpc.secure_channel(_address(settings, part), credentials, options=options) as channel:
        check = channel.unary_unary(CHECK, request_serializer=WRITE, response_deserializer=READ)
        try:
            answer = check(request, timeout=ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _serves(settings: Settings, part: str) -> bool:
    credentials, options, request = _health_check(settings, part)
    async with grpc.aio.secure_channel(_address(settings, part), credentials, options=options) as channel:
        check = channel.unary_unary(CHECK, request_serializer=WRITE, response_deserializer=READ)
        try:
            answer = await check(request, timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _listens(settings: Settings, part: str) -> bool:
    """Whether anybody is there: what is asked ten times a second while a part starts need not cost a context
    for TLS each time."""
    port = settings.ports["operations" if part == "gateway" else part]
    try:
        socket.create_connection(("127.0.0.1", port), LISTEN_SECONDS).close()
    except OSError:
        return False
    return True


def _address(settings: Settings, part: str) -> str:
    return f"127.0.0.1:{settings.ports[part]}"


def _health_check(
    settings: Settings, part: str
) -> tuple[grpc.ChannelCredentials, list[tuple[str, str]], health_pb2.HealthCheckRequest]:
    credentials = grpc.ssl_channel_credentials(
        (settings.pki / "ca.crt").read_bytes(),
        (settings.pki / f"{PROBER}.key").read_bytes(),
        (settings.pki / f"{PROBER}.crt").read_bytes(),
    )
    # Of two ledgers one leads, and both are well.
    asked = STANDS_BY if settings.with_standby and part_of(part) == "ledger" else ""
    options = [("grpc.ssl_target_name_override", part_of(part))]
    return credentials, options, health_pb2.HealthCheckRequest(service=asked)


def _reads(address: str, tls: ssl.SSLContext | None, member: str = "issuer") -> bool:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    try:
        with opener.open(address, timeout=ANSWER_SECONDS) as answer:
            return bool(answer.status == 200) and (tls is None or member in json.load(answer))
    except (OSError, ValueError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(not asyncio.run(is_well(read_settings(os.environ), sys.argv[1])))
