"""The walls between the parts of the running city: no foreign certificate, no foreign table, no open port."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import grpc
import httpx2
import psycopg
import pytest
from psycopg import sql

from core.access import CALLERS
from core.config import PARTS
from tests.city import City

SECONDS = 5.0


def channel(city: City, part: str, name: str) -> grpc.Channel:
    """To a part, with the certificate of `name`; without any where it is empty."""
    pki = city.settings.pki
    certificate = (pki / f"{name}.crt").read_bytes() if name else None
    key = (pki / f"{name}.key").read_bytes() if name else None
    credentials = grpc.ssl_channel_credentials((pki / "ca.crt").read_bytes(), key, certificate)
    return grpc.secure_channel(f"localhost:{city.settings.ports[part]}", credentials)


def refusal(city: City, part: str, method: str, name: str) -> grpc.StatusCode:
    """How a part refuses an empty request to a method."""
    with channel(city, part, name) as opened:
        call = opened.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        try:
            call(b"", timeout=SECONDS)
        except grpc.RpcError as error:
            return grpc.StatusCode(error.code())
    return grpc.StatusCode.OK


def methods(part: str) -> Iterator[str]:
    """The part's own methods."""
    return (method for method in CALLERS if method.startswith(f"/onestop.{part}."))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_listens_to_those_it_knows_and_to_nobody_from_outside(city: City, part: str) -> None:
    for method in methods(part):
        outsider = refusal(city, part, method, "approval-platform")
        assert outsider is grpc.StatusCode.PERMISSION_DENIED, method
    assert refusal(city, part, next(methods(part)), "") is grpc.StatusCode.UNAVAILABLE
    assert refusal(city, part, "/grpc.health.v1.Health/Check", "supervisor") is grpc.StatusCode.OK


def test_an_inner_read_is_not_for_the_gateway(city: City) -> None:
    """What makes no entry of its own can be reached by the composing services alone."""
    for part, method in (
        ("licence", "/onestop.licence.v1.LicenceService/BatchReadLicenceFields"),
        ("datanode", "/onestop.datanode.v1.DataNodeService/BatchReadRecords"),
    ):
        assert refusal(city, part, method, "gateway") is grpc.StatusCode.PERMISSION_DENIED
        assert refusal(city, part, method, "autofill") is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("part", [*PARTS, "gateway", "idp"])
def test_a_part_s_role_reaches_its_own_schema_and_no_other(city: City, part: str) -> None:
    with psycopg.connect(city.admin_dsn) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%%'"
            " AND schemaname <> 'information_schema'"
        ).fetchall()
    foreign = [(schema, table) for schema, table in tables if schema != part]
    assert len(foreign) > 50

    with psycopg.connect((city.settings.keys / f"{part}.dsn").read_text().strip(), autocommit=True) as own:
        own.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(part, "data_key")))
        for schema, table in foreign:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(schema, table)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            own.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(part, "sneaked_in")))


def test_the_operators_listener_is_on_loopback_alone(city: City) -> None:
    assert httpx2.get(f"{city.operations}/healthz").json() == {"status": "ok"}
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in addresses - {"127.0.0.1", "::1", "127.0.1.1"}:
        with socket.socket(socket.AF_INET6 if ":" in str(address) else socket.AF_INET) as probe:
            probe.settimeout(SECONDS)
            assert probe.connect_ex((str(address), city.settings.ports["operations"])) != 0
