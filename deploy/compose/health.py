"""A container's health check: `python -m deploy.compose.health <part>` ends with 0 if the part is well.

`… ledger stands_by` asks for the health of that name: of a ledger that may lead or stand by.

It runs inside the part's container, every few seconds and in all of them, so it loads as little as it can:
gRPC's own library without message classes for the services, the standard library for the two that speak HTTP.
It brings the part's own certificate, and asks by the part's name.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ANSWER_SECONDS = 3.0

CHECK = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"  # The HealthCheckResponse of status SERVING, as protobuf writes it.


def is_well(part: str, environment: Mapping[str, str], service: str = "") -> bool:
    """Whether the part of this container answers its health check now; a named one, or the whole server's."""
    if part == "gateway":
        return _reads(f"http://{environment['ONESTOP_OPERATIONS_LISTEN']}/readyz", None)
    port = environment["ONESTOP_LISTEN"].rpartition(":")[2]
    if part == "authority":
        return _reads(f"http://127.0.0.1:{port}/healthz", None)
    if part == "idp":
        tls = ssl.create_default_context(cafile=environment["ONESTOP_TLS_CA"])
        return _reads(f"https://localhost:{port}/.well-known/openid-configuration", tls)
    if part == "witness":
        return _says_ok(part, int(port), environment)
    return _serves(part, f"127.0.0.1:{port}", environment, _request(service))


def _reads(address: str, tls: ssl.SSLContext | None) -> bool:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    try:
        with opener.open(address, timeout=ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _says_ok(part: str, port: int, environment: Mapping[str, str]) -> bool:
    """Over HTTPS by the part's own name, which its certificate bears, with that certificate in return."""
    tls = ssl.create_default_context(cafile=environment["ONESTOP_TLS_CA"])
    tls.load_cert_chain(environment["ONESTOP_TLS_CERT"], environment["ONESTOP_TLS_KEY"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as raw,
            tls.wrap_socket(raw, server_hostname=part) as connection,
        ):
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def _request(service: str) -> bytes:
    """A HealthCheckRequest, as protobuf writes it: field 1, the length, the name; an empty one is nothing."""
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def _serves(part: str, address: str, environment: Mapping[str, str], request: bytes) -> bool:
    import grpc  # noqa: PLC0415 - the parts that speak HTTP are asked without it

    authority, key, certificate = (
        Path(environment[f"ONESTOP_TLS_{name}"]).read_bytes() for name in ("CA", "KEY", "CERT")
    )
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    options = [("grpc.ssl_target_name_override", part)]
    with grpc.secure_channel(address, credentials, options=options) as channel:
        try:
            check = channel.unary_unary(CHECK, request_serializer=bytes, response_deserializer=bytes)
            answer = check(request, timeout=ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer == SERVING)


if __name__ == "__main__":
    sys.exit(not is_well(sys.argv[1], os.environ, *sys.argv[2:3]))
