"""The provider in-process over real TLS, and a person's browser as an HTTP client."""

from __future__ import annotations

import re
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx2
from aiohttp import web
from authlib.common.security import generate_token
from joserfc.jwk import ECKey

from deploy.idp.accounts import Person, hash_password
from deploy.idp.app import IdpApp
from deploy.idp.config import ClientSettings
from deploy.idp.provider import Provider
from deploy.idp.signin import SignIn
from tests.component.gateway.pki import Authority

PASSWORD = "a password for tests"
CALLBACK = "https://localhost:8444/citizen/callback"
SIGNED_OUT = "https://localhost:8444/"

FARMER = Person(uuid4(), "farmer-1", "测试农户", "440299198001010018")


class FakePeople:
    """One person with an account, and her password's hash."""

    def __init__(self) -> None:
        self._hash = hash_password(PASSWORD)

    async def find(self, login: str) -> tuple[Person, str] | None:
        """The farmer, by her login."""
        return (FARMER, self._hash) if login == FARMER.login else None

    async def person(self, subject_id: UUID) -> Person | None:
        """The farmer, by her `sub`."""
        return FARMER if subject_id == FARMER.subject_id else None

    async def answers(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class RunningIdp:
    """A provider that listens."""

    url: str
    tls: ssl.SSLContext

    def browser(self) -> httpx2.AsyncClient:
        """A browser with an empty cookie jar; it does not follow redirects by itself."""
        return httpx2.AsyncClient(base_url=self.url, verify=self.tls)


@asynccontextmanager
async def running_idp(
    folder: Path, *, callback: str = CALLBACK, failed_logins: str = "5 per 5 minutes", issuer: str = ""
) -> AsyncIterator[RunningIdp]:
    """A provider with the town's two clients and one with a secret, on a port of its own.

    Its name is where it listens, unless an `issuer` is given.
    """
    authority = Authority(folder)
    server = authority.issue("localhost", file="idp")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(server.certificate, server.key)
    secret = folder / "client-secret"
    secret.write_text("the other system's secret\n")
    clients = [
        ClientSettings(
            client_id="onestop-gateway", redirect_uris=(callback,), post_logout_redirect_uris=(SIGNED_OUT,)
        ),
        ClientSettings(client_id="onestop-cli", loopback=True),
        ClientSettings(
            client_id="other-system", redirect_uris=("https://other.example/cb",), secret_file=secret
        ),
    ]
    people = FakePeople()
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    provider = Provider("https://placeholder.example", key, clients, 600)
    runner = web.AppRunner(
        IdpApp(provider, SignIn(people, failed_logins), people, 3600).build(), access_log=None
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        url = f"https://localhost:{port}"
        provider.issuer_url = issuer or url
        yield RunningIdp(url, authority.trusting_context())
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Attempt:
    """One client's authorization request."""

    verifier: str
    parameters: dict[str, str]


def attempt(**changes: str) -> Attempt:
    """A right authorization request of the gateway, with changes; an empty value leaves a parameter out."""
    verifier = generate_token(64)
    parameters = {
        "response_type": "code",
        "client_id": "onestop-gateway",
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "state": generate_token(16),
        "nonce": generate_token(16),
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **changes,
    }
    return Attempt(verifier, {name: value for name, value in parameters.items() if value})


async def sign_in(
    browser: httpx2.AsyncClient, page: httpx2.Response, *, password: str = PASSWORD, login: str = FARMER.login
) -> httpx2.Response:
    """Fills the login page's form and sends it."""
    found = re.search(r'name="request" value="([^"]+)"', page.text)
    assert found is not None, page.text
    form = {"request": found.group(1), "login": login, "password": password}
    return await browser.post("/login", data=form)


def parameters_of(response: httpx2.Response) -> dict[str, str]:
    """The parameters of the address that a response sends the browser to."""
    assert response.status_code == 303, response.text
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()
    }


async def code_for(browser: httpx2.AsyncClient, wanted: Attempt) -> str:
    """A code for a fresh sign-in."""
    page = await browser.get("/authorize", params=wanted.parameters)
    return parameters_of(await sign_in(browser, page))["code"]


async def redeem(browser: httpx2.AsyncClient, wanted: Attempt, code: str, **changes: str) -> httpx2.Response:
    """Asks for tokens with the code; changes as for `attempt`."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": wanted.parameters["redirect_uri"],
        "client_id": wanted.parameters["client_id"],
        "code_verifier": wanted.verifier,
        **changes,
    }
    return await browser.post("/token", data={name: value for name, value in form.items() if value})
