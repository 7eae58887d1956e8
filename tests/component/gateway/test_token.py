"""The token endpoint: RFC 6749's forms and errors, RFC 8705's proof."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from core.errors import InvalidError, Kind, ServiceError, UnavailableError
from tests.component.gateway.conftest import Gateway, GatewayMaker, thumbprint


class InvalidClientError(ServiceError):
    """As the issuer says it."""

    kind = Kind.UNAUTHENTICATED
    reason = "INVALID_CLIENT"


class InvalidScopeError(InvalidError):
    """As the issuer says it."""

    reason = "INVALID_SCOPE"


def assert_oauth_error(answer: httpx2.Response, status: int, code: str) -> None:
    """An error document of RFC 6749 section 5.2."""
    assert (answer.status_code, answer.json().get("error")) == (status, code), answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}


async def test_token_is_made_for_the_certificate_of_the_connection(gateway: Gateway) -> None:
    pair = gateway.authority.issue("approval-platform")
    client = await gateway.certified(pair)

    answer = await client.post(
        "/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_id": "approval-platform",
            "scope": "licence.read matter.read",
        },
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert token["token_type"] == "Bearer"
    assert 290 <= token["expires_in"] <= 300
    assert token["scope"] == "licence.read matter.read"
    (request,) = gateway.behind.asked["issue"]
    assert request.certificate_name == "approval-platform"
    assert request.certificate_thumbprint == thumbprint(pair)
    assert list(request.scopes) == ["licence.read", "matter.read"]
    used = await client.get(
        "/approval/v1/matters", headers={"Authorization": f"Bearer {token['access_token']}"}
    )
    assert used.status_code == 200


async def test_client_id_is_the_certificate_s_name_where_it_is_left_out(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("rural-bank"))

    await client.post("/oauth2/token", data={"grant_type": "client_credentials"})

    (request,) = gateway.behind.asked["issue"]
    assert request.client_id == "rural-bank"
    assert not request.scopes


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ["client_credentials", "client_credentials"]}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_secret": "x"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "Not An Id"}, "invalid_request"),
        ({"grant_type": "client_credentials", "scope": "A"}, "invalid_request"),
    ],
)
async def test_faulty_form_is_told_as_rfc_6749_says(
    gateway: Gateway, form: dict[str, Any], code: str
) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post("/oauth2/token", data=form)

    assert_oauth_error(answer, 400, code)
    assert not gateway.behind.asked["issue"]


async def test_json_is_no_form(gateway: Gateway) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post("/oauth2/token", json={"grant_type": "client_credentials"})

    assert_oauth_error(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (InvalidClientError("unknown"), 401, "invalid_client"),
        (InvalidScopeError('no "such" scope'), 400, "invalid_scope"),
        (UnavailableError("down", part="issuer"), 503, "temporarily_unavailable"),
        (ServiceError("secret detail"), 500, "server_error"),
    ],
)
async def test_issuer_s_refusal_has_its_oauth_code(
    gateway: Gateway, failure: ServiceError, status: int, code: str
) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))
    gateway.behind.failures["issue"] = failure

    answer = await client.post("/oauth2/token", data={"grant_type": "client_credentials"})

    assert_oauth_error(answer, status, code)
    assert '"such"' not in answer.json()["error_description"]
    assert "secret detail" not in answer.text


async def test_tokens_are_limited_by_client(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(token_limit="1 per minute")
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    first = await client.post("/oauth2/token", data={"grant_type": "client_credentials"})
    second = await client.post("/oauth2/token", data={"grant_type": "client_credentials"})

    assert first.status_code == 200
    assert_oauth_error(second, 429, "temporarily_unavailable")
    assert int(second.headers["Retry-After"]) >= 1


async def test_token_is_in_no_log_line(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    client = await gateway.certified(gateway.authority.issue("approval-platform"))

    answer = await client.post("/oauth2/token", data={"grant_type": "client_credentials"})

    written = "".join(capsys.readouterr())
    assert "/oauth2/token" in written
    assert answer.json()["access_token"] not in written
    assert answer.json()["access_token"].split(".")[2] not in written
