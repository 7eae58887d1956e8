"""Signing in at the provider, as a browser and a client program do it."""

from __future__ import annotations

import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.component.idp.harness import (
    FARMER,
    SIGNED_OUT,
    RunningIdp,
    attempt,
    code_for,
    parameters_of,
    redeem,
    running_idp,
    sign_in,
)


async def test_discovery_document_is_valid_and_its_addresses_are_this_providers(
    idp: RunningIdp, browser: httpx2.AsyncClient
) -> None:
    document = (await browser.get("/.well-known/openid-configuration")).json()

    # Discovery 1.0 wants RS256 listed; this provider deliberately signs with ES256 alone.
    OpenIDProviderMetadata(document | {"id_token_signing_alg_values_supported": ["RS256"]}).validate()

    assert document["issuer"] == idp.url
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]


async def test_sign_in_yields_tokens_about_the_person(idp: RunningIdp, browser: httpx2.AsyncClient) -> None:
    wanted = attempt()
    began = int(time.time())

    page = await browser.get("/authorize", params=wanted.parameters)
    back = await sign_in(browser, page)
    told = parameters_of(back)
    answer = await redeem(browser, wanted, told["code"])

    assert urlsplit(back.headers["Location"]).path == "/citizen/callback"
    assert told["state"] == wanted.parameters["state"]
    assert told["iss"] == idp.url
    assert answer.headers["Cache-Control"] == "no-store"
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert "refresh_token" not in tokens
    keys = KeySet.import_key_set((await browser.get("/jwks")).json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["ES256"]).claims
    assert claims["iss"] == idp.url
    assert claims["aud"] == "onestop-gateway"
    assert claims["sub"] == str(FARMER.subject_id)
    assert claims["name"] == FARMER.name
    assert claims["id_number"] == FARMER.id_number
    assert claims["nonce"] == wanted.parameters["nonce"]
    assert claims["auth_time"] >= began
    assert claims["exp"] - claims["iat"] == 600


async def test_access_token_is_a_jwt_for_the_api_and_opens_userinfo(
    idp: RunningIdp, browser: httpx2.AsyncClient
) -> None:
    wanted = attempt(client_id="onestop-cli", redirect_uri="http://127.0.0.1:49152/callback")

    tokens = (await redeem(browser, wanted, await code_for(browser, wanted))).json()
    info = await browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    keys = KeySet.import_key_set((await browser.get("/jwks")).json())
    decoded = jwt.decode(tokens["access_token"], keys, algorithms=["ES256"])
    assert decoded.header["typ"] == "at+jwt"
    assert "onestop" in decoded.claims["aud"]
    assert info.json() == {"sub": str(FARMER.subject_id), "name": FARMER.name, "id_number": FARMER.id_number}


async def test_id_token_does_not_open_userinfo(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()
    tokens = (await redeem(browser, wanted, await code_for(browser, wanted))).json()

    info = await browser.get("/userinfo", headers={"Authorization": f"Bearer {tokens['id_token']}"})

    assert info.status_code == 401


async def test_second_application_needs_no_second_login(browser: httpx2.AsyncClient) -> None:
    await code_for(browser, attempt())

    again = await browser.get("/authorize", params=attempt().parameters)
    asked_anew = await browser.get("/authorize", params=attempt(prompt="login").parameters)

    assert "code" in parameters_of(again)
    assert 'name="password"' in asked_anew.text


async def test_silent_sign_in_without_a_session_is_refused_to_the_client(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/authorize", params=attempt(prompt="none").parameters)

    assert parameters_of(answer)["error"] == "login_required"


async def test_wrong_verifier_is_refused_and_burns_the_code(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()
    code = await code_for(browser, wanted)

    wrong = await redeem(browser, wanted, code, code_verifier="x" * 64)
    right = await redeem(browser, wanted, code)

    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert (right.status_code, right.json()["error"]) == (400, "invalid_grant")


async def test_missing_verifier_is_refused(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()

    answer = await redeem(browser, wanted, await code_for(browser, wanted), code_verifier="")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_code_is_good_once(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()
    code = await code_for(browser, wanted)

    first = await redeem(browser, wanted, code)
    second = await redeem(browser, wanted, code)

    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")


async def test_code_of_one_client_is_no_good_to_another(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()

    answer = await redeem(browser, wanted, await code_for(browser, wanted), client_id="onestop-cli")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_token_request_from_another_redirect_uri_is_refused(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()

    answer = await redeem(
        browser, wanted, await code_for(browser, wanted), redirect_uri="https://localhost:8444/other"
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://localhost:8444/citizen/callback/"},
        {"redirect_uri": "https://evil.example/citizen/callback"},
        {"redirect_uri": ""},
        {"client_id": "onestop-cli"},
        {"client_id": "onestop-cli", "redirect_uri": "http://127.0.0.1:80a/callback"},
        {"client_id": "onestop-cli", "redirect_uri": "http://127.0.0.1/callback"},
        {"client_id": "onestop-cli", "redirect_uri": "http://localhost:5000/callback"},
        {"client_id": "onestop-cli", "redirect_uri": "http://127.0.0.1:5000@evil.example/callback"},
        {"client_id": "nobody"},
        {"client_id": ""},
    ],
)
async def test_unknown_client_or_redirect_uri_sends_nobody_anywhere(
    browser: httpx2.AsyncClient, changes: dict[str, str]
) -> None:
    answer = await browser.get("/authorize", params=attempt(**changes).parameters)

    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "登录请求有误" in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
async def test_faulty_request_of_a_known_client_is_told_to_the_client(
    browser: httpx2.AsyncClient, changes: dict[str, str], error: str
) -> None:
    wanted = attempt(**changes)

    told = parameters_of(await browser.get("/authorize", params=wanted.parameters))

    assert told["error"] == error
    assert told["state"] == wanted.parameters["state"]


async def test_wrong_password_and_unknown_login_are_told_in_the_same_words(
    browser: httpx2.AsyncClient,
) -> None:
    page = await browser.get("/authorize", params=attempt().parameters)

    wrong = await sign_in(browser, page, password="not it")
    unknown = await sign_in(browser, page, login="nobody-here")

    assert wrong.status_code == unknown.status_code == 401
    assert "账号或密码不正确" in wrong.text
    assert "账号或密码不正确" in unknown.text


async def test_failed_logins_are_limited_even_for_the_right_password(tmp_path: Path) -> None:
    async with running_idp(tmp_path, failed_logins="2 per minute") as idp, idp.browser() as browser:
        page = await browser.get("/authorize", params=attempt().parameters)

        statuses = [(await sign_in(browser, page, password="not it")).status_code for _ in range(2)]
        refused = await sign_in(browser, page)
        other = await sign_in(browser, page, login="somebody-else")

    assert statuses == [401, 401]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert other.status_code == 401


async def test_login_form_of_another_browser_is_refused(idp: RunningIdp, browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/authorize", params=attempt().parameters)

    async with idp.browser() as attacker:
        answer = await sign_in(attacker, page)

    assert answer.status_code == 400
    assert "已过期" in answer.text


async def test_login_page_holds_nothing_from_outside_and_no_script(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/authorize", params=attempt().parameters)

    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "form-action 'self' https://localhost:8444" in policy
    assert "<script" not in page.text
    assert "http" not in page.text.replace("onestop-gateway", "")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))


async def test_client_with_a_secret_must_show_it(browser: httpx2.AsyncClient) -> None:
    wanted = attempt(client_id="other-system", redirect_uri="https://other.example/cb")
    without = await redeem(browser, wanted, await code_for(browser, wanted))
    again = attempt(client_id="other-system", redirect_uri="https://other.example/cb")
    code = parameters_of(await browser.get("/authorize", params=again.parameters))["code"]

    basic = b64encode(b"other-system:the other system's secret").decode()
    answer = await browser.post(
        "/token",
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": "https://other.example/cb",
            "code_verifier": again.verifier,
        },
        headers={"Authorization": f"Basic {basic}"},
    )

    assert without.json()["error"] == "invalid_client"
    assert answer.status_code == 200, answer.text


async def test_sign_out_ends_the_session_and_returns_to_the_client(browser: httpx2.AsyncClient) -> None:
    wanted = attempt()
    tokens = (await redeem(browser, wanted, await code_for(browser, wanted))).json()

    answer = await browser.get(
        "/end_session",
        params={"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "s1"},
    )
    after = await browser.get("/authorize", params=attempt().parameters)

    assert answer.headers["Location"] == f"{SIGNED_OUT}?state=s1"
    assert 'name="password"' in after.text


async def test_sign_out_without_an_id_token_asks_first_and_goes_nowhere(browser: httpx2.AsyncClient) -> None:
    await code_for(browser, attempt())

    asked = await browser.get("/end_session", params={"post_logout_redirect_uri": "https://evil.example/"})
    still = await browser.get("/authorize", params=attempt().parameters)
    done = await browser.post("/end_session")
    after = await browser.get("/authorize", params=attempt().parameters)

    assert asked.status_code == 200
    assert "code" in parameters_of(still)
    assert done.status_code == 200
    assert 'name="password"' in after.text
