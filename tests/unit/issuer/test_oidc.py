"""Which tokens of the identity provider let a person in, and what happens when the provider is away."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from core.identifiers import citizen_check_digit
from services.issuer.domain import CitizenTokenInvalidError, ProviderDownError
from services.issuer.oidc import LARGEST_ANSWER, ProviderSettings, ProviderTokens

ISSUER = "https://id.example"
NUMBER = "44029919900101123" + citizen_check_digit("44029919900101123")
RSA_KEY = RSAKey.generate_key(2048, auto_kid=True)
EC_KEY = ECKey.generate_key("P-256", auto_kid=True)
FOREIGN_KEY = ECKey.generate_key("P-256", auto_kid=True)


def _small_key() -> dict[str, str]:
    """An RSA key of 1024 bits as a JWK."""
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    modulus = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    return {"kty": "RSA", "kid": str(RSA_KEY.kid), "n": modulus, "e": "AQAB"}


class FakeClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class FakeProvider(httpx2.AsyncBaseTransport):
    """An OpenID provider's discovery and key pages."""

    def __init__(self, *keys: RSAKey | ECKey) -> None:
        self.issuer = ISSUER
        self.jwks_uri = f"{ISSUER}/jwks"
        self.keys = list(keys)
        self.down = False
        self.body: bytes | None = None
        self.key_fetches = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("connection refused")
        if request.url.path == "/.well-known/openid-configuration":
            return httpx2.Response(200, json={"issuer": self.issuer, "jwks_uri": self.jwks_uri})
        self.key_fetches += 1
        await asyncio.sleep(0)
        if self.body is not None:
            return httpx2.Response(200, content=self.body)
        return httpx2.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider(RSA_KEY, EC_KEY)


@pytest.fixture
async def tokens(provider: FakeProvider, clock: FakeClock) -> AsyncIterator[ProviderTokens]:
    settings = ProviderSettings(issuer=ISSUER, audiences=("onestop-citizen", "onestop-app"))
    async with httpx2.AsyncClient(transport=provider) as http:
        yield ProviderTokens(settings, http, clock)


def _token(
    clock: FakeClock,
    key: RSAKey | ECKey = RSA_KEY,
    *,
    header: dict[str, object] | None = None,
    without: str = "",
    **changes: object,
) -> str:
    now = int(clock().timestamp())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "sub": "u-1",
        "aud": "onestop-citizen",
        "iat": now,
        "exp": now + 600,
        "id_number": NUMBER,
        "name": "张三",
        **changes,
    }
    claims.pop(without, None)
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    full_header = {"alg": algorithm, "kid": key.kid, **(header or {})}
    return jwt.encode(full_header, claims, key, [algorithm])


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rs256", "es256"])
async def test_a_good_token_names_the_person(
    tokens: ProviderTokens, clock: FakeClock, key: RSAKey | ECKey
) -> None:
    citizen = await tokens.verify(_token(clock, key))

    assert (citizen.subject.code_type, citizen.subject.code) == ("111", NUMBER)
    assert citizen.name == "张三"
    assert citizen.session_until == clock() + timedelta(seconds=600)


async def test_one_of_several_audiences_is_enough(tokens: ProviderTokens, clock: FakeClock) -> None:
    token = _token(clock, aud=["someone-else", "onestop-app"], azp="onestop-app")

    assert (await tokens.verify(token)).subject.code == NUMBER


def _expired(clock: FakeClock) -> str:
    return _token(clock, exp=int(clock().timestamp()) - 11)


def _early(clock: FakeClock) -> str:
    return _token(clock, nbf=int(clock().timestamp()) + 60)


def _from_the_future(clock: FakeClock) -> str:
    return _token(clock, iat=int(clock().timestamp()) + 60)


def _by_hand(header: dict[str, object], payload: str, sign: Callable[[bytes], bytes]) -> str:
    """A token that no honest library would make."""
    signed = f"{_base64(json.dumps(header).encode())}.{payload}"
    return f"{signed}.{_base64(sign(signed.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unsigned(clock: FakeClock) -> str:
    return _by_hand({"alg": "none", "kid": RSA_KEY.kid}, _token(clock).split(".")[1], lambda _: b"")


def _hmac_by_public_key(clock: FakeClock) -> str:
    secret = RSA_KEY.as_pem(private=False)
    header: dict[str, object] = {"alg": "HS256", "kid": RSA_KEY.kid}
    return _by_hand(header, _token(clock).split(".")[1], lambda signed: hmac.digest(secret, signed, "sha256"))


def _critical(clock: FakeClock) -> str:
    private = RSA_KEY.private_key
    assert private is not None
    header: dict[str, object] = {"alg": "RS256", "kid": RSA_KEY.kid, "crit": ["must"], "must": True}
    payload = _token(clock).split(".")[1]
    return _by_hand(header, payload, lambda signed: private.sign(signed, padding.PKCS1v15(), hashes.SHA256()))


def _altered(clock: FakeClock) -> str:
    header, _, signature = _token(clock).split(".")
    _, other, _ = _token(clock, sub="u-2").split(".")
    return f"{header}.{other}.{signature}"


def _foreign_key_of_known_kid(clock: FakeClock) -> str:
    return _token(clock, FOREIGN_KEY, header={"kid": EC_KEY.kid})


def _key_of_another_kind(clock: FakeClock) -> str:
    return _token(clock, FOREIGN_KEY, header={"kid": RSA_KEY.kid})


REFUSED: dict[str, Callable[[FakeClock], str]] = {
    "expired": _expired,
    "not yet valid": _early,
    "from the future": _from_the_future,
    "without expiry": lambda clock: _token(clock, without="exp"),
    "infinite": lambda clock: _token(clock, exp=10**30),
    "without issue time": lambda clock: _token(clock, without="iat"),
    "foreign issuer": lambda clock: _token(clock, iss="https://id.example/"),
    "foreign audience": lambda clock: _token(clock, aud="another-client"),
    "without audience": lambda clock: _token(clock, without="aud"),
    "foreign party": lambda clock: _token(clock, azp="another-client"),
    "without number": lambda clock: _token(clock, without="id_number"),
    "number of another type": lambda clock: _token(clock, id_number=440299),
    "wrong check digit": lambda clock: _token(
        clock, id_number=NUMBER[:17] + ("1" if NUMBER[17] != "1" else "2")
    ),
    "logout token": lambda clock: _token(clock, header={"typ": "logout+jwt"}),
    "alg none": _unsigned,
    "hmac keyed with the public key": _hmac_by_public_key,
    "altered": _altered,
    "foreign key": lambda clock: _token(clock, FOREIGN_KEY),
    "foreign key under a known id": _foreign_key_of_known_kid,
    "key of another kind": _key_of_another_kind,
    "critical header": _critical,
    "no jwt": lambda clock: "x" * 40,
    "not ascii": lambda clock: "张" * 40,
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
async def test_everything_else_is_refused_without_saying_the_number(
    tokens: ProviderTokens, clock: FakeClock, make: Callable[[FakeClock], str]
) -> None:
    token = make(clock)

    with pytest.raises(CitizenTokenInvalidError) as refusal:
        await tokens.verify(token)

    assert NUMBER not in str(refusal.value)


async def test_keys_are_fetched_once_for_many(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await asyncio.gather(*(tokens.verify(_token(clock)) for _ in range(20)))

    assert provider.key_fetches == 1


async def test_a_rotated_key_is_found_at_once(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await tokens.verify(_token(clock))
    provider.keys = [FOREIGN_KEY]
    clock.forward(6)

    assert (await tokens.verify(_token(clock, FOREIGN_KEY))).subject.code == NUMBER


async def test_unknown_key_ids_lead_to_one_fetch_in_a_few_seconds(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await tokens.verify(_token(clock))
    clock.forward(6)

    for _ in range(10):
        with pytest.raises(CitizenTokenInvalidError):
            await tokens.verify(_token(clock, FOREIGN_KEY))
        clock.forward(0.1)

    assert provider.key_fetches == 2


async def test_a_key_that_was_withdrawn_lets_nobody_in_after_the_cache_ends(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await tokens.verify(_token(clock))
    provider.keys = [EC_KEY]
    clock.forward(301)

    with pytest.raises(CitizenTokenInvalidError):
        await tokens.verify(_token(clock))


async def test_the_cache_expires_closed_when_the_provider_is_away(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await tokens.verify(_token(clock))
    provider.down = True

    clock.forward(299)
    await tokens.verify(_token(clock))
    clock.forward(2)
    with pytest.raises(ProviderDownError) as refusal:
        await tokens.verify(_token(clock))

    assert refusal.value.part == "identity-provider"
    assert refusal.value.retry_after == 5.0


async def test_a_clock_that_goes_back_closes_the_cache(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    await tokens.verify(_token(clock))
    clock.forward(-3600)
    provider.down = True

    with pytest.raises(ProviderDownError):
        await tokens.verify(_token(clock))


async def test_a_dead_provider_is_not_asked_again_at_once(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    provider.body = b"{}"
    for _ in range(5):
        with pytest.raises(ProviderDownError):
            await tokens.verify(_token(clock))
    provider.body = None

    assert provider.key_fetches == 1
    clock.forward(5)
    await tokens.verify(_token(clock))


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"keys": {}}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b'{"keys": [{"kty": "EC"}, 7]}',
        json.dumps({"keys": [_small_key()]}).encode(),
        b" " * (LARGEST_ANSWER + 1),
    ],
    ids=["text", "list", "object", "symmetric", "broken", "1024 bits", "too large"],
)
async def test_a_key_set_of_no_use_lets_nobody_in(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock, body: bytes
) -> None:
    provider.body = body

    with pytest.raises(ProviderDownError):
        await tokens.verify(_token(clock))


async def test_discovery_of_another_issuer_or_plain_http_is_refused(
    tokens: ProviderTokens, provider: FakeProvider, clock: FakeClock
) -> None:
    provider.issuer = "https://evil.example"
    with pytest.raises(ProviderDownError):
        await tokens.verify(_token(clock))

    clock.forward(6)
    provider.issuer, provider.jwks_uri = ISSUER, "http://id.example/jwks"
    with pytest.raises(ProviderDownError):
        await tokens.verify(_token(clock))
