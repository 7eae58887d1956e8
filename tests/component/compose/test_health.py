"""The containers' health check, against a real server that asks for certificates."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from core.access import STANDS_BY
from deploy.compose.health import is_well
from deploy.local.pki import make_pki
from tests.component.gateway.pki import Authority
from tests.store.ledger.watching import WitnessProcess

PART = "ledger"
State = health_pb2.HealthCheckResponse


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("health") / "pki"
    make_pki(folder, [PART, "issuer"])
    return folder


@pytest.fixture
def standing() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def environment(pki: Path, standing: health.HealthServicer) -> Iterator[dict[str, str]]:
    """What the part's container is told, while its server runs."""
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(standing, server)
    pair = [((pki / f"{PART}.key").read_bytes(), (pki / f"{PART}.crt").read_bytes())]
    tls = grpc.ssl_server_credentials(pair, (pki / "ca.crt").read_bytes(), require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", tls)
    server.start()
    yield {
        "ONESTOP_LISTEN": f"0.0.0.0:{port}",
        "ONESTOP_TLS_CA": str(pki / "ca.crt"),
        "ONESTOP_TLS_CERT": str(pki / f"{PART}.crt"),
        "ONESTOP_TLS_KEY": str(pki / f"{PART}.key"),
    }
    server.stop(None).wait()


def test_a_part_that_serves_is_well(environment: dict[str, str]) -> None:
    assert is_well(PART, environment)


def test_the_witness_is_well_while_it_answers(tmp_path: Path) -> None:
    witness = WitnessProcess("north", tmp_path, Authority(tmp_path / "pki"))
    environment = {
        "ONESTOP_LISTEN": f"0.0.0.0:{witness.port}",
        "ONESTOP_TLS_CA": str(witness.authority.root),
        "ONESTOP_TLS_CERT": str(witness.pair.certificate),
        "ONESTOP_TLS_KEY": str(witness.pair.key),
    }
    assert not is_well("witness", environment)

    witness.start()
    try:
        assert is_well("witness", environment)
    finally:
        witness.kill()
    assert not is_well("witness", environment)


def test_a_part_that_does_not_serve_is_not_well(
    environment: dict[str, str], standing: health.HealthServicer
) -> None:
    standing.set("", State.NOT_SERVING)

    assert not is_well(PART, environment)


def test_a_part_that_stands_by_is_well_under_that_name(
    environment: dict[str, str], standing: health.HealthServicer
) -> None:
    standing.set("", State.NOT_SERVING)
    standing.set(STANDS_BY, State.SERVING)

    assert is_well(PART, environment, STANDS_BY)
    assert not is_well(PART, environment, "another name")


def test_another_part_in_its_place_is_not_well(environment: dict[str, str]) -> None:
    assert not is_well("issuer", environment)


def test_nobody_listening_is_not_well(environment: dict[str, str]) -> None:
    assert not is_well(PART, {**environment, "ONESTOP_LISTEN": "0.0.0.0:9"})
    assert not is_well("gateway", {"ONESTOP_OPERATIONS_LISTEN": "127.0.0.1:9"})
    assert not is_well("idp", {**environment, "ONESTOP_LISTEN": "0.0.0.0:9"})
    assert not is_well("authority", {**environment, "ONESTOP_LISTEN": "0.0.0.0:9"})
