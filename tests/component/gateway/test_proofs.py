"""Who may speak at the machines' listener: certificates, tokens, scopes."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx2
import pytest
from joserfc.jwk import ECKey

from tests.component.gateway.asserting import SEARCH, assert_problem
from tests.component.gateway.conftest import Gateway, GatewayMaker
from tests.component.gateway.pki import Authority


async def test_without_certificate_there_is_no_connection(gateway: Gateway) -> None:
    async with httpx2.AsyncClient(
        base_url=gateway.machines_url, verify=gateway.authority.trusting_context()
    ) as nobody:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError)):
            await nobody.post("/approval/v1/licences:search", json=SEARCH)

    assert not gateway.behind.asked


async def test_certificate_of_another_authority_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    foreign = Authority(tmp_path / "foreign").issue("approval-platform")
    context = foreign.client_context(gateway.authority.root)

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as stranger:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await stranger.post("/oauth2/token", data={"grant_type": "client_credentials"})


async def test_callers_can_have_an_authority_of_their_own_and_then_no_part_s_certificate_counts(
    make_gateway: GatewayMaker, tmp_path: Path
) -> None:
    callers = Authority(tmp_path / "callers")
    gateway = await make_gateway(machines_ca=callers.root)
    city = gateway.authority.root
    form = {"grant_type": "client_credentials"}

    outer = callers.issue("approval-platform").client_context(city)
    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=outer) as caller:
        known = await caller.post("/oauth2/token", data=form)
    inner = gateway.authority.issue("licence").client_context(city)
    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=inner) as part:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await part.post("/oauth2/token", data=form)

    assert known.status_code != 401


async def test_expired_certificate_is_refused(gateway: Gateway) -> None:
    pair = gateway.authority.issue("approval-platform", expired=True, file="expired")
    context = pair.client_context(gateway.authority.root)

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as late:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await late.post("/oauth2/token", data={"grant_type": "client_credentials"})


@pytest.mark.parametrize(
    "fault",
    [
        "expired",
        "not yet valid",
        "for servers only",
        "for neither end",
        "self-signed",
        "of another authority",
        "signed by a caller",
    ],
)
async def test_certificate_with_a_fault_is_refused(gateway: Gateway, fault: str) -> None:
    context = gateway.authority.faulty(fault, "approval-platform").client_context(gateway.authority.root)

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as nobody:
        with pytest.raises((httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)):
            await nobody.get("/openapi.json")


async def test_old_tls_is_refused(gateway: Gateway) -> None:
    context = gateway.authority.issue("approval-platform").client_context(gateway.authority.root)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async with httpx2.AsyncClient(base_url=gateway.machines_url, verify=context) as old:
        with pytest.raises(httpx2.ConnectError):
            await old.get("/openapi.json")


@pytest.mark.parametrize("listener", ["machines", "people"])
async def test_weak_ciphers_are_refused(gateway: Gateway, listener: str) -> None:
    """Of TLS 1.2 what lacks forward secrecy or authenticated encryption."""
    context = gateway.authority.issue("approval-platform").client_context(gateway.authority.root)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    offered = (
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA", False),
    )

    for ciphers, taken in offered:
        context.set_ciphers(ciphers)
        try:
            _, writer = await asyncio.open_connection("localhost", gateway.ports[listener], ssl=context)
        except (ssl.SSLError, ConnectionError):
            assert not taken, ciphers
        else:
            writer.close()
            assert taken, ciphers


async def test_call_without_token_is_told_how_to_get_one(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 401, "TOKEN_MISSING")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not gateway.behind.asked["search"]


async def test_stolen_token_with_the_thief_s_own_certificate_is_refused(gateway: Gateway) -> None:
    victim = await gateway.machine("approval-platform")
    thief = await gateway.certified(gateway.authority.issue("rural-bank"))

    answer = await thief.post(
        "/approval/v1/licences:search",
        json=SEARCH,
        headers={"Authorization": victim.headers["Authorization"]},
    )

    assert_problem(answer, 401, "TOKEN_INVALID")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert not gateway.behind.asked["search"]


async def test_expired_token_is_refused(gateway: Gateway) -> None:
    platform = await gateway.machine(age=301)

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert "expired" in assert_problem(answer, 401, "TOKEN_INVALID")["detail"]


async def test_token_of_another_signer_is_refused(gateway: Gateway) -> None:
    stranger = ECKey.generate_key("P-256")
    stranger.ensure_kid()
    platform = await gateway.machine(key=stranger)

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 401, "TOKEN_INVALID")


async def test_citizen_s_token_does_not_open_the_machines_listener(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post(
        "/approval/v1/licences:search",
        json=SEARCH,
        headers={"Authorization": f"Bearer {gateway.behind.citizen_token('440299198001010012')}"},
    )

    assert_problem(answer, 401, "TOKEN_INVALID")


async def test_missing_scope_is_named(gateway: Gateway) -> None:
    bank = await gateway.machine("rural-bank", scope="consent.request credit.fetch")

    answer = await bank.post("/approval/v1/licences:search", json=SEARCH)

    assert "licence.read" in assert_problem(answer, 403, "SCOPE_MISSING")["detail"]
    assert not gateway.behind.asked["search"]
