"""A person with a browser: signing in at the provider, the session, signing out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx2
import pytest

from tests.component.gateway.conftest import Gateway, GatewayMaker, free_port
from tests.component.idp.harness import FARMER, PASSWORD, RunningIdp, parameters_of, running_idp, sign_in
from tests.loops import of_the_module

CODE = "440299198001010012"
GRANT = {
    "consent_request_id": "0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c",
    "text_sha256": "a" * 64,
    "items": ["land_rights"],
}
REVOKE = "/citizen/v1/consents/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c:revoke"
KEY = {"Idempotency-Key": "k-1"}


@dataclass(frozen=True)
class Browsing:
    """A gateway with an identity provider, and a browser."""

    gateway: Gateway
    idp: RunningIdp
    browser: httpx2.AsyncClient
    stack: AsyncExitStack

    async def to_provider(self, return_to: str = "/citizen/v1/consent_requests") -> httpx2.Response:
        """Begins a sign-in; answers the gateway's redirect."""
        return await self.browser.get("/citizen/login", params={"return_to": return_to})

    async def at_provider(self, sent: httpx2.Response) -> str:
        """Signs in at the provider; answers where it sends the browser."""
        async with self.idp.browser() as window:
            page = await window.get(sent.headers["Location"])
            back = await sign_in(window, page)
        assert back.status_code == 303, back.text
        return str(back.headers["Location"])

    async def sign_in(self, return_to: str = "/citizen/v1/consent_requests") -> httpx2.Response:
        """Signs in; answers the callback's answer."""
        return await self.browser.get(await self.at_provider(await self.to_provider(return_to)))


@of_the_module()
async def browsing(make_gateway: GatewayMaker, tmp_path: Path) -> AsyncIterator[Browsing]:
    """A browser that has been nowhere."""
    port = free_port()
    url = f"https://localhost:{port}"
    async with AsyncExitStack() as stack:
        idp = await stack.enter_async_context(
            running_idp(tmp_path / "idp", callback=f"{url}/citizen/callback")
        )
        gateway = await make_gateway(
            people_listen=f"127.0.0.1:{port}",
            people_url=url,
            oidc_issuer=idp.url,
            oidc_ca=tmp_path / "idp" / "ca.crt",
        )
        yield Browsing(gateway, idp, await gateway.person(), stack)


async def test_browser_signs_in_and_is_let_in_by_its_cookie(browsing: Browsing) -> None:
    sent = await browsing.to_provider()
    back = await browsing.browser.get(await browsing.at_provider(sent))
    seen = await browsing.browser.get("/citizen/v1/consent_requests")

    asked = parse_qs(urlsplit(sent.headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["nonce"]
    assert (back.status_code, back.headers["Location"]) == (303, "/citizen/v1/consent_requests")
    cookies = back.headers.get_list("Set-Cookie")
    session = next(one for one in cookies if one.startswith("__Host-onestop-session="))
    assert all(word in session for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Domain" not in session
    assert seen.status_code == 200, seen.text
    assert FARMER.id_number not in back.headers["Location"] + sent.headers["Location"]


async def test_gateway_reaches_the_provider_by_a_way_of_its_own(
    make_gateway: GatewayMaker, tmp_path: Path
) -> None:
    issuer, port = "https://provider.invalid", free_port()
    url = f"https://localhost:{port}"
    async with running_idp(tmp_path / "idp", callback=f"{url}/citizen/callback", issuer=issuer) as idp:
        gateway = await make_gateway(
            people_listen=f"127.0.0.1:{port}",
            people_url=url,
            oidc_issuer=issuer,
            oidc_address=idp.url,
            oidc_ca=tmp_path / "idp" / "ca.crt",
        )
        browser = await gateway.person()

        sent = await browser.get("/citizen/login", params={"return_to": "/citizen/v1/consent_requests"})
        async with idp.browser() as window:
            page = await window.get(sent.headers["Location"].removeprefix(issuer))
            back = await sign_in(window, page)
        answer = await browser.get(back.headers["Location"])

    assert sent.headers["Location"].startswith(f"{issuer}/authorize?")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/citizen/v1/consent_requests")


async def test_session_at_rest_shows_neither_cookie_nor_token(browsing: Browsing) -> None:
    await browsing.sign_in()
    secret = next(one.value for one in browsing.browser.cookies.jar if "session" in one.name)
    assert secret is not None

    connection = await asyncpg.connect(browsing.gateway.parts.config.database_dsn_file.read_text())
    try:
        rows = await connection.fetch("SELECT session::text AS text, sealed FROM session")
    finally:
        await connection.close()

    assert rows
    for row in rows:
        assert secret not in row["text"]
        assert b"eyJ" not in row["sealed"]


async def test_session_changes_something_only_from_our_own_pages(browsing: Browsing) -> None:
    await browsing.sign_in()
    browser, url = browsing.browser, browsing.gateway.people_url

    answers = [
        await browser.post("/citizen/v1/consents", json=GRANT, headers={**KEY, **headers})
        for headers in (
            {},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": url, "Sec-Fetch-Site": "cross-site"},
            {"Origin": url, "Sec-Fetch-Site": "same-origin"},
        )
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403, 403, 201]
    assert answers[0].json()["reason"] == "CROSS_SITE_REQUEST"
    assert len(browsing.gateway.behind.asked["grant"]) == 1


async def test_callback_with_another_state_is_refused(browsing: Browsing) -> None:
    address = await browsing.at_provider(await browsing.to_provider())

    answer = await browsing.browser.get(re.sub(r"state=[^&]+", "state=forged", address))
    again = await browsing.browser.get(address)

    assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_FAILED")
    assert again.status_code == 401


async def test_callback_in_another_browser_is_refused(browsing: Browsing) -> None:
    address = await browsing.at_provider(await browsing.to_provider())
    victim = await browsing.gateway.person()

    answer = await victim.get(address)

    assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_FAILED")
    assert "Set-Cookie" not in answer.headers


async def test_callback_with_another_code_or_issuer_is_refused(browsing: Browsing) -> None:
    first = await browsing.at_provider(await browsing.to_provider())
    forged = await browsing.browser.get(re.sub(r"code=[^&]+", "code=forged", first))
    second = await browsing.at_provider(await browsing.to_provider())
    mixed_up = await browsing.browser.get(re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", second))
    third = await browsing.at_provider(await browsing.to_provider())
    unnamed = await browsing.browser.get(re.sub(r"&iss=[^&]+", "", third))

    for answer in (forged, mixed_up, unnamed):
        assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_FAILED")


async def test_code_injected_from_another_sign_in_fails_by_its_verifier(browsing: Browsing) -> None:
    stolen = parameters_of_address(await browsing.at_provider(await browsing.to_provider()))["code"]
    own = await browsing.at_provider(await browsing.to_provider())

    answer = await browsing.browser.get(re.sub(r"code=[^&]+", f"code={stolen}", own))

    assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_FAILED")


async def test_provider_s_refusal_signs_nobody_in(browsing: Browsing) -> None:
    sent = await browsing.to_provider()
    state = parse_qs(urlsplit(sent.headers["Location"]).query)["state"][0]

    answer = await browsing.browser.get(
        "/citizen/callback", params={"error": "access_denied", "state": state, "iss": browsing.idp.url}
    )

    assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_FAILED")


@pytest.mark.parametrize(
    "return_to", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_nobody_is_sent_to_another_site_after_signing_in(browsing: Browsing, return_to: str) -> None:
    back = await browsing.sign_in(return_to)

    assert back.headers["Location"] == "/"


async def test_signing_out_ends_the_session_and_sends_no_token_along(browsing: Browsing) -> None:
    await browsing.sign_in()
    old = dict(browsing.browser.cookies)
    browser, url = browsing.browser, browsing.gateway.people_url

    forged = await browser.post("/citizen/logout", headers={"Origin": "https://evil.example"})
    out = await browser.post("/citizen/logout", headers={"Origin": url})
    thief = await browsing.gateway.person()
    thief.cookies.update(old)
    after = await thief.get("/citizen/v1/consent_requests")

    assert forged.status_code == 403
    assert out.status_code == 303
    assert out.headers["Location"] == f"{browsing.idp.url}/end_session?client_id=onestop-gateway"
    assert (after.status_code, after.json()["reason"]) == (401, "SIGN_IN_NEEDED")


async def test_provider_that_is_down_is_named(gateway: Gateway) -> None:
    nobody = await gateway.person()

    answer = await nobody.get("/citizen/login")

    assert (answer.status_code, answer.json()["part"]) == (503, "identity-provider")
    assert answer.headers["Retry-After"] == "2"


async def test_no_number_or_name_is_in_any_log_line(
    browsing: Browsing, capsys: pytest.CaptureFixture[str]
) -> None:
    await browsing.sign_in()
    await browsing.browser.get("/citizen/v1/consent_requests", params={"who": FARMER.id_number})
    await browsing.browser.get(f"/citizen/{FARMER.id_number}")

    written = "".join(capsys.readouterr())

    assert "/citizen/callback" in written
    assert FARMER.id_number not in written
    assert FARMER.name not in written
    assert PASSWORD not in written


def parameters_of_address(address: str) -> dict[str, str]:
    """The query of an address."""
    return parameters_of(httpx2.Response(303, headers={"Location": address}))
