"""A gateway over real TLS, fakes behind it, and callers in front of it."""

from __future__ import annotations

import hashlib
import socket
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from core import trace
from core.config import PARTS, Mode
from gateway.config import GatewayConfig
from gateway.parts import Parts, open_parts
from gateway.public.operations import Operations
from gateway.server import listening
from tests.component.gateway.behind import Behind, running
from tests.component.gateway.pki import Authority, Pair
from tests.database import CityDatabase
from tests.loops import of_the_module, share_loops

CASE = {
    "matter_code": "sole-trader-registration",
    "case_number": "A-1",
    "office": "11440299007123456E",
    "operator": "clerk-1",
    "purpose": "registration",
}
HOLDER = {"code_type": "111", "code": "440299198001010012"}
TYPE_CODE = "11100000000013338W011"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def thumbprint(pair: Pair) -> str:
    """x5t#S256 of a certificate."""
    der = ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


@dataclass
class Gateway:
    """A gateway that listens, and what is needed to call it."""

    ports: dict[str, int]
    behind: Behind
    authority: Authority
    parts: Parts
    operations: Operations
    stack: AsyncExitStack = field(repr=False)
    listeners: AsyncExitStack = field(repr=False)

    async def stop(self) -> None:
        """Stops listening, in order."""
        await self.listeners.aclose()

    @property
    def machines_url(self) -> str:
        """Where machines call."""
        return f"https://localhost:{self.ports['machines']}"

    @property
    def people_url(self) -> str:
        """Where people call."""
        return f"https://localhost:{self.ports['people']}"

    async def machine(self, name: str = "approval-platform", **token: Any) -> httpx2.AsyncClient:
        """A machine with its certificate, and a token bound to it."""
        pair = self.authority.issue(name)
        client = await self.certified(pair)
        client.headers["Authorization"] = (
            f"Bearer {self.behind.token(thumbprint(pair), client=name, **token)}"
        )
        return client

    async def certified(self, pair: Pair) -> httpx2.AsyncClient:
        """A machine with a certificate, without a token."""
        context = pair.client_context(self.authority.root)
        client = httpx2.AsyncClient(base_url=self.machines_url, verify=context, timeout=30)
        return await self.stack.enter_async_context(client)

    async def person(self, code: str = "") -> httpx2.AsyncClient:
        """A person, with a token of the identity provider if an ID number is given."""
        client = httpx2.AsyncClient(
            base_url=self.people_url, verify=self.authority.trusting_context(), timeout=30
        )
        if code:
            token = f"provider-token-of-{len(self.behind.citizens)}"
            self.behind.citizens[token] = code
            client.headers["Authorization"] = f"Bearer {token}"
        return await self.stack.enter_async_context(client)


@dataclass(frozen=True)
class GatewayMaker:
    """Starts gateways with settings of a test's own."""

    behind: Behind
    authority: Authority
    parts_port: int
    database: CityDatabase
    stack: AsyncExitStack

    async def __call__(self, *, down: tuple[str, ...] = (), **settings: Any) -> Gateway:
        """A gateway; the parts named in `down` cannot be reached."""
        pair = self.authority.issue("gateway", "localhost")
        nobody = free_port()
        addresses = {name: f"127.0.0.1:{nobody if name in down else self.parts_port}" for name in PARTS}
        people_port = free_port()
        values: dict[str, Any] = {
            "mode": Mode.DEVELOPMENT,
            "tls_ca": self.authority.root,
            "tls_cert": pair.certificate,
            "tls_key": pair.key,
            "machines_listen": "127.0.0.1:0",
            "people_listen": f"127.0.0.1:{people_port}",
            "operations_listen": "127.0.0.1:0",
            "people_url": f"https://localhost:{people_port}",
            "database_dsn_file": self.database.dsn_file("gateway"),
            "keyring": self.database.keyring("gateway"),
            "oidc_issuer": "https://localhost:1",
            "drain_seconds": 1.0,
            **addresses,
            **settings,
        }
        parts = await self.stack.enter_async_context(open_parts(GatewayConfig(**values)))
        operations = Operations()
        listeners = await self.stack.enter_async_context(AsyncExitStack())
        ports = await listeners.enter_async_context(listening(parts, operations))
        return Gateway(ports, self.behind, self.authority, parts, operations, self.stack, listeners)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for each module, and so one browser for the pages."""
    share_loops(items, Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _traces() -> None:
    trace.configure("gateway")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The city's authority."""
    return Authority(tmp_path_factory.mktemp("pki"))


@of_the_module()
async def make_gateway(
    city_database: CityDatabase, authority: Authority, tmp_path: Path
) -> AsyncIterator[GatewayMaker]:
    """Starts gateways with settings of a test's own; all end with the test."""
    behind = Behind()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(running(behind, authority, authority.root))
        yield GatewayMaker(behind, authority, port, city_database, stack)


@of_the_module()
async def gateway(make_gateway: GatewayMaker) -> Gateway:
    """A gateway with everything behind it well."""
    return await make_gateway()
