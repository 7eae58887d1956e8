"""Trust in tokens and in the issuer's keys ends when it should, and ends closed (design, invariant 8)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from core.errors import UnauthenticatedError, UnavailableError
from core.tokens import ALGORITHM, AUDIENCE, ISSUER, IssuerKeys, TokenVerifier
from tests.fakes import FakeClock

THUMBPRINT = "T" * 43
KEYS_LIFE = timedelta(minutes=2)
TOKEN_LIFE = timedelta(minutes=5)


class Issuer:
    """Signs by a key that can be replaced, publishes it, and can be away."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.down = False
        self.fetched = 0

    async def publish(self) -> IssuerKeys:
        """The keys, for two minutes."""
        self.fetched += 1
        if self.down:
            raise UnavailableError("away", part="issuer")
        jwks = json.dumps({"keys": [self.key.as_dict(private=False)]})
        return IssuerKeys(jwks, self.clock() + KEYS_LIFE)

    def token(self, client: str = "platform", life: timedelta = TOKEN_LIFE, **other: object) -> str:
        """A machine's token."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + int(life.total_seconds()),
            "client_id": client,
            "scope": "licence.read",
            "cnf": {"x5t#S256": THUMBPRINT},
            **other,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self.key.kid}, claims, self.key, [ALGORITHM])


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(FakeClock())


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(issuer.publish, issuer.clock)


async def test_a_known_token_outlives_the_issuer_and_its_keys_but_not_itself(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    token = issuer.token()
    await verifier.verify(token, THUMBPRINT)
    issuer.down = True

    issuer.clock.advance(TOKEN_LIFE - timedelta(seconds=1))
    verdict = await verifier.verify(token, THUMBPRINT)
    issuer.clock.advance(timedelta(seconds=1))

    assert verdict.caller.name == "platform"
    with pytest.raises(UnauthenticatedError, match="expired"):
        await verifier.verify(token, THUMBPRINT)


async def test_once_the_keys_have_expired_nothing_new_is_accepted(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    await verifier.verify(issuer.token("first"), THUMBPRINT)
    issuer.down = True

    issuer.clock.advance(KEYS_LIFE - timedelta(seconds=1))
    await verifier.verify(issuer.token("second"), THUMBPRINT)
    issuer.clock.advance(timedelta(seconds=1))

    with pytest.raises(UnavailableError) as refusal:
        await verifier.verify(issuer.token("third"), THUMBPRINT)
    assert (refusal.value.part, refusal.value.retry_after) == ("issuer", 1.0)
    issuer.down = False
    assert (await verifier.verify(issuer.token("third"), THUMBPRINT)).caller.name == "third"


async def test_who_has_never_seen_the_keys_believes_nobody(issuer: Issuer, verifier: TokenVerifier) -> None:
    issuer.down = True

    with pytest.raises(UnavailableError):
        await verifier.verify(issuer.token(), THUMBPRINT)


async def test_a_key_that_is_not_published_any_more_is_believed_no_longer_than_its_copy(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    await verifier.verify(issuer.token("first"), THUMBPRINT)
    stolen = Issuer(issuer.clock)
    stolen.key, issuer.key = issuer.key, ECKey.generate_key("P-256", auto_kid=True)

    issuer.clock.advance(KEYS_LIFE)

    with pytest.raises(UnauthenticatedError):
        await verifier.verify(stolen.token("thief"), THUMBPRINT)
    assert (await verifier.verify(issuer.token("second"), THUMBPRINT)).caller.name == "second"


async def test_a_new_key_is_taken_up_at_once_and_nonsense_fetches_no_more_than_now_and_then(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    await verifier.verify(issuer.token("first"), THUMBPRINT)
    issuer.key = ECKey.generate_key("P-256", auto_kid=True)
    issuer.clock.advance(timedelta(seconds=6))

    verdict = await verifier.verify(issuer.token("second"), THUMBPRINT)
    for _ in range(20):
        with pytest.raises(UnauthenticatedError):
            await verifier.verify("nonsense", THUMBPRINT)

    assert verdict.caller.name == "second"
    assert issuer.fetched == 2


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "elsewhere"},
        {"aud": "elsewhere"},
        {"aud": [AUDIENCE]},
        {"life": timedelta(minutes=5, seconds=1)},
        {"exp": None},
        {"iat": "now"},
        {"client_id": 7},
        {"scope": None},
        {"cnf": {}},
        {"cnf": "T" * 43},
        {"cnf": {"x5t#S256": "S" * 43}},
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    issuer: Issuer, verifier: TokenVerifier, other: dict[str, object]
) -> None:
    token = issuer.token("platform", **other)  # type: ignore[arg-type]  # life is a timedelta where it is there

    with pytest.raises(UnauthenticatedError):
        await verifier.verify(token, THUMBPRINT)


@pytest.mark.parametrize(
    "other",
    [
        {"cnf": {"x5t#S256": ""}},
        {"client_id": "citizen", "cnf": None},
        {"client_id": "citizen", "cnf": None, "code_type": "111", "code": ""},
        {"client_id": "citizen", "cnf": None, "code_type": 111, "code": 44},
    ],
    ids=["bound-to-nothing", "nobody", "no-number", "no-texts"],
)
async def test_without_a_certificate_nobody_passes_but_a_person_who_is_named(
    issuer: Issuer, verifier: TokenVerifier, other: dict[str, object]
) -> None:
    with pytest.raises(UnauthenticatedError):
        await verifier.verify(issuer.token("platform", **other), "")  # type: ignore[arg-type]  # no life among them


async def test_a_token_from_tomorrow_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    tomorrow = int((issuer.clock() + timedelta(days=1)).timestamp())

    with pytest.raises(UnauthenticatedError):
        await verifier.verify(issuer.token(iat=tomorrow, exp=tomorrow + 300), THUMBPRINT)


async def test_keys_that_are_none_count_as_an_outage(issuer: Issuer) -> None:
    async def nonsense() -> IssuerKeys:
        return IssuerKeys('{"keys": [{"kty": "?"}]}', issuer.clock() + KEYS_LIFE)

    with pytest.raises(UnavailableError):
        await TokenVerifier(nonsense, issuer.clock).verify(issuer.token(), THUMBPRINT)


async def test_an_issuer_that_hangs_is_waited_for_once_and_not_by_one_after_the_other(issuer: Issuer) -> None:
    tries = 0

    async def hangs() -> IssuerKeys:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.05)
        raise UnavailableError("late", part="issuer")

    verifier = TokenVerifier(hangs, issuer.clock)
    asked = (verifier.verify(issuer.token(f"client-{n}"), THUMBPRINT) for n in range(20))

    refusals = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(refusal) for refusal in refusals} == {UnavailableError}
    assert tries == 1
