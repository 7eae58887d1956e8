"""Who is refused: without certificate, without token, with somebody else's, too often, beyond its scope."""

from __future__ import annotations

import base64
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from core.es256 import Es256Keys
from deploy.local.pki import Leaf, open_authority, write_leaf
from tests.city import City
from tests.e2e.contract import refused
from tests.story import ID_CARD, Json, Machine, Person, case_of, certify, person

SEARCH = "/approval/v1/licences:search"
NO_CONNECTION = (httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError, ssl.SSLError)


@pytest.fixture(scope="module")
def body(city: City, cast: Json) -> Json:
    """A search that would be answered."""
    return {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}


@pytest.fixture
def stranger(city: City) -> Iterator[httpx2.Client]:
    """Somebody with a certificate of the city's, who is not registered."""
    name = f"stranger-{uuid.uuid4().hex[:8]}"
    certify(city, name)
    with httpx2.Client(base_url=city.machines, verify=city.tls(name)) as client:
        yield client


def bearer(token: str) -> Json:
    """The header of a token."""
    return {"Authorization": f"Bearer {token}"}


def claims_of(token: str) -> Json:
    """What a token says."""
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def signed(city: City, claims: Json, key: ECKey | None = None) -> str:
    """A token that says this, by the issuer's own key unless another is given."""
    keys = Es256Keys.load(city.settings.keys / "issuer-signing.key")
    return jwt.encode({"alg": "ES256", "kid": keys.kid}, claims, key or keys.current, ["ES256"])


def test_without_a_certificate_there_is_no_connection(city: City, body: Json) -> None:
    with httpx2.Client(base_url=city.machines, verify=city.tls()) as nobody, pytest.raises(NO_CONNECTION):
        nobody.post(SEARCH, json=body)


def test_a_certificate_of_another_authority_or_of_yesterday_is_no_certificate(
    city: City, body: Json, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    leaf = Leaf("approval-platform", server=False)
    write_leaf(tmp_path, leaf, open_authority(tmp_path / "ca", "Elsewhere", now), now=now)
    ours = open_authority(city.settings.pki / "ca", "Onestop development CA", now)
    (tmp_path / "old").mkdir()
    yesterday = now - timedelta(days=1)
    write_leaf(tmp_path / "old", leaf, ours, now=yesterday, lifetime=timedelta(hours=1))

    for folder in (tmp_path, tmp_path / "old"):
        context = city.tls()
        context.load_cert_chain(folder / "approval-platform.crt", folder / "approval-platform.key")
        with httpx2.Client(base_url=city.machines, verify=context) as client, pytest.raises(NO_CONNECTION):
            client.post(SEARCH, json=body)


def test_a_call_without_a_token_is_told_how_to_get_one(platform: Machine, body: Json) -> None:
    answer = platform.ask("POST", SEARCH, {"Authorization": ""}, json=body)

    assert "/oauth2/token" in refused(answer, 401, "TOKEN_MISSING")["detail"]


def test_tokens_that_do_not_hold_are_refused_alike(
    city: City, platform: Machine, bank: Machine, farmer: Person, body: Json
) -> None:
    claims = claims_of(platform.token)
    now = int(time.time())
    tokens = {
        "nonsense": "x" * 40,
        "of another certificate": bank.token,
        "by another signer": signed(city, claims, ECKey.generate_key("P-256")),
        "for another audience": signed(city, {**claims, "aud": "elsewhere"}),
        "expired": signed(city, {**claims, "iat": now - 301, "exp": now - 1}),
        "too long-lived": signed(city, {**claims, "iat": now, "exp": now + 3600}),
        "bound to nothing": signed(city, {n: v for n, v in claims.items() if n != "cnf"}),
        "of the identity provider": farmer.token,
        "unsigned": ".".join([_text(b'{"alg":"none"}'), platform.token.split(".")[1], ""]),
        "altered": platform.token[:-6] + "AAAAAA",
    }
    assert set(claims) >= {"iss", "aud", "exp", "iat", "client_id", "scope", "cnf"}
    assert claims["exp"] - claims["iat"] <= 300

    for what, token in tokens.items():
        problem = refused(platform.ask("POST", SEARCH, bearer(token), json=body), 401, "TOKEN_INVALID")
        assert problem["detail"], what


@pytest.mark.parametrize(
    "value", [b"Bearer \xff\xff", b"Bearer a.b.c", b"Bearer", b"Basic eDp5", b"Bearer " + b"x" * 9000]
)
def test_what_cannot_be_a_token_is_refused_as_one(
    platform: Machine, farmer: Person, body: Json, value: bytes
) -> None:
    refused(platform.ask("POST", SEARCH, {"Authorization": value}, json=body), 401, "TOKEN_INVALID")
    refused(farmer.ask("GET", "/citizen/v1/consent_requests", {"Authorization": value}), 401, "TOKEN_INVALID")


def test_what_we_sign_is_what_is_believed(city: City, platform: Machine, body: Json) -> None:
    """So the tokens above are refused for what is wrong with them, not for how they were made."""
    answer = platform.ask("POST", SEARCH, bearer(signed(city, claims_of(platform.token))), json=body)

    assert answer.status_code == 200, answer.text


def test_a_token_opens_its_scopes_and_no_others(
    city: City, platform: Machine, bank: Machine, body: Json
) -> None:
    form = {"grant_type": "client_credentials", "scope": "matter.read licence.verify"}
    narrow = platform.ask("POST", "/oauth2/token", data=form).json()

    search = platform.ask("POST", SEARCH, bearer(narrow["access_token"]), json=body)
    matters = platform.ask("GET", "/approval/v1/matters", bearer(narrow["access_token"]))
    foreign = bank.ask("POST", SEARCH, json=body)
    credit = platform.ask("POST", "/partner/v1/farmers:land_rights", json={})

    assert set(narrow["scope"].split()) == {"licence.verify", "matter.read"}
    assert matters.status_code == 200
    for answer in (search, foreign):
        assert "licence.read" in refused(answer, 403, "SCOPE_MISSING")["detail"]
    assert "credit.fetch" in refused(credit, 403, "SCOPE_MISSING")["detail"]


def test_the_token_endpoint_speaks_oauth(stranger: httpx2.Client, platform: Machine) -> None:
    grant = {"grant_type": "client_credentials"}
    asked = {
        "invalid_client": stranger.post("/oauth2/token", data=grant),
        "invalid_request": platform.ask("POST", "/oauth2/token", data={"scope": "licence.read"}),
        "unsupported_grant_type": platform.ask("POST", "/oauth2/token", data={"grant_type": "password"}),
        "invalid_scope": platform.ask("POST", "/oauth2/token", data={**grant, "scope": "credit.fetch"}),
    }
    posing = stranger.post("/oauth2/token", data={**grant, "client_id": "approval-platform"})

    for code, answer in asked.items():
        assert answer.json()["error"] == code
        assert answer.status_code == (401 if code == "invalid_client" else 400)
        assert answer.headers["Cache-Control"] == "no-store"
    assert posing.json() == asked["invalid_client"].json(), "it tells who is registered"


def test_who_asks_too_often_is_told_when_to_come_back(stranger: httpx2.Client, platform: Machine) -> None:
    """The limit, 60 tokens a minute, is each caller's own."""
    answers = [stranger.post("/oauth2/token", data={})]
    while answers[-1].status_code != 429 and len(answers) < 125:  # A minute may begin anew meanwhile.
        answers.append(stranger.post("/oauth2/token", data={}))
    other = platform.ask("POST", "/oauth2/token", data={"grant_type": "client_credentials"})

    assert {answer.status_code for answer in answers[:60]} == {400}
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"] == "temporarily_unavailable"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert other.status_code == 200


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
