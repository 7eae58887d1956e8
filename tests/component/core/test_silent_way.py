"""A part whose connections fall silent for good: its callers find the new way to it within seconds."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from core.config import Mode, PeerConfig, ServiceConfig
from core.rpc import build_server, channel
from deploy.local.pki import make_pki
from tests.faults.way import Trouble, Way

FOUND_SECONDS = 12.0
"""After 4 s a connection that answers no ping is given up; this leaves room for a busy machine."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[int]:
    """A part that serves nothing but its health; its port."""
    make_pki(tmp_path, ("licence", "gateway", "supervisor"))
    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        tls_ca=tmp_path / "ca.crt",
        tls_cert=tmp_path / "licence.crt",
        tls_key=tmp_path / "licence.key",
        database_dsn_file=tmp_path / "ca.crt",
        keyring=tmp_path / "ca.crt",
    )
    made, port, health = build_server(config, lambda _: [])
    await made.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    yield port
    await made.stop(None)


async def test_a_connection_that_fell_silent_is_given_up_for_a_new_one(server: int, tmp_path: Path) -> None:
    with Way(server) as way:
        config = PeerConfig(
            tls_ca=tmp_path / "ca.crt",
            tls_cert=tmp_path / "gateway.crt",
            tls_key=tmp_path / "gateway.key",
            licence=f"127.0.0.1:{way.port}",
        )
        async with channel(config, "licence") as connected:
            check = connected.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            asked = health_pb2.HealthCheckRequest()
            await check(asked, timeout=5)
            way.trouble = Trouble.FORGOTTEN
            began, told = time.monotonic(), grpc.StatusCode.OK
            while time.monotonic() - began < FOUND_SECONDS:
                try:
                    answer = await check(asked, timeout=FOUND_SECONDS)
                    break
                except grpc.aio.AioRpcError as error:
                    told = error.code()

    assert told is grpc.StatusCode.UNAVAILABLE, "the call was left waiting"
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
