"""Tokens of the citizens' identity provider, verified by its published keys (OpenID Connect Core 1.0)."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from core.clock import Clock
from core.errors import ServiceError
from core.identifiers import check_citizen_number
from core.identity import CITIZEN_NUMBER, Subject
from services.issuer.domain import Citizen, CitizenTokenInvalidError, ProviderDownError

ALGORITHMS = {"RS256": RSAKey, "ES256": ECKey}
"""The signatures we accept, each with the kind of key it takes; `none` and HMAC are not among them."""

TOKEN_TYPES = frozenset({"", "jwt", "at+jwt"})
SMALLEST_RSA_BITS = 2048
LARGEST_ANSWER = 256 * 1024
LONGEST_NAME = 100

Key = RSAKey | ECKey


@dataclass(frozen=True)
class ProviderSettings:
    """The identity provider, as the operator configured it."""

    issuer: str
    """Issuer URL, https; the tokens' `iss`, to the letter."""
    audiences: tuple[str, ...]
    """Our client ids at the provider; a token must name one of them in `aud`."""
    jwks_url: str = ""
    """Where the keys are; empty means by discovery."""
    number_claim: str = "id_number"
    """Claim that holds the citizen ID number (GB 11643)."""
    name_claim: str = "name"
    keys_life: timedelta = timedelta(minutes=5)
    """After this the keys are fetched again; where that fails, nobody is let in."""
    refetch_interval: timedelta = timedelta(seconds=5)
    """An unknown key id, or a failure, leads to a new fetch at most this often."""
    leeway: timedelta = timedelta(seconds=10)
    """How far the provider's clock may be ahead of ours."""


class ProviderTokens:
    """Judges the provider's tokens. Its keys are cached, and the cache expires closed."""

    def __init__(self, settings: ProviderSettings, http: httpx2.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._fetches = 0
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Citizen:
        """The person that the token is about. Raises CitizenTokenInvalidError, ProviderDownError."""
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError):
            raise _invalid("it is not a signed JWT") from None
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise _invalid("its signature algorithm is not one of RS256, ES256")
        if str(header.get("typ", "")).lower() not in TOKEN_TYPES:
            raise _invalid("it is another kind of token")
        key = await self._key(str(header.get("kid", "")))
        if not isinstance(key, ALGORITHMS[algorithm]):
            raise _invalid("its signature algorithm does not fit its key")
        try:
            claims = jwt.decode(token, key, [algorithm]).claims
            self._rules().validate(claims)
        except (JoseError, ValueError):
            raise _invalid("its signature, issuer, audience or times do not hold") from None
        return self._citizen(claims)

    def _rules(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=int(self._settings.leeway.total_seconds()),
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "values": list(self._settings.audiences)},
            exp={"essential": True},
            iat={"essential": True},
        )

    def _citizen(self, claims: Mapping[str, object]) -> Citizen:
        party = claims.get("azp")
        if party is not None and party not in self._settings.audiences:
            raise _invalid("it was made for another client")
        number = claims.get(self._settings.number_claim)
        if not isinstance(number, str):
            raise _invalid("it names no citizen ID number")
        try:
            subject = Subject(CITIZEN_NUMBER, check_citizen_number(number, self._settings.number_claim))
        except ServiceError:
            raise _invalid("the citizen ID number in it is malformed") from None
        name = claims.get(self._settings.name_claim)
        try:
            session_until = datetime.fromtimestamp(float(str(claims["exp"])), UTC)
        except (OverflowError, ValueError, OSError):
            raise _invalid("its times are out of range") from None
        return Citizen(subject, name[:LONGEST_NAME] if isinstance(name, str) else "", session_until)

    async def _key(self, kid: str) -> Key:
        """The provider's key of this id; without an id, its only one (OpenID Connect Core section 10.1)."""
        if not self._fresh():
            await self._fetch()
        key = self._find(kid)
        if key is None and self._may_fetch():
            await self._fetch()
            key = self._find(kid)
        if key is None:
            raise _invalid("the identity provider publishes no key of that id")
        return key

    def _find(self, kid: str) -> Key | None:
        if not kid:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _fresh(self) -> bool:
        """Whether the cached keys may be used; a clock that went back closes the cache too."""
        now = self._clock()
        return self._fetched_at is not None and (
            timedelta() <= now - self._fetched_at < self._settings.keys_life
        )

    def _may_fetch(self) -> bool:
        now = self._clock()
        return self._tried_at is None or not (
            timedelta() <= now - self._tried_at < self._settings.refetch_interval
        )

    async def _fetch(self) -> None:
        """Fetches the keys, once for all who wait. Raises ProviderDownError."""
        seen = self._fetches
        async with self._fetching:
            if self._fetches != seen and self._fresh():
                return
            if not self._may_fetch():
                raise self._down("its keys could not be had a moment ago")
            self._tried_at = self._clock()
            try:
                keys = _usable_keys(await self._get_json(await self._jwks_url()))
            except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
                raise self._down(f"its keys could not be fetched ({type(failure).__name__})") from failure
            except (ValueError, KeyError, TypeError):
                raise self._down("it answered something other than its keys") from None
            self._keys = keys
            self._fetched_at = self._clock()
            self._fetches += 1

    async def _jwks_url(self) -> str:
        """Where the keys are, by setting or by discovery (OpenID Connect Discovery section 4)."""
        if self._settings.jwks_url:
            return self._settings.jwks_url
        document = await self._get_json(
            f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        )
        if document["issuer"] != self._settings.issuer:
            raise ValueError("the discovery document is another issuer's")
        url = document["jwks_uri"]
        if not isinstance(url, str) or urlsplit(url).scheme != "https":
            raise ValueError("the keys' address is not https")
        return url

    async def _get_json(self, url: str) -> dict[str, object]:
        body = b""
        async with self._http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise ValueError(f"status {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise ValueError("the answer is too large")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise TypeError("the answer is no JSON object")
        return document

    def _down(self, why: str) -> ProviderDownError:
        return ProviderDownError(
            f"the identity provider cannot be asked: {why}",
            part="identity-provider",
            retry_after=self._settings.refetch_interval.total_seconds(),
        )


def _usable_keys(document: Mapping[str, object]) -> dict[str, Key]:
    """The signature keys of the accepted kinds, by id; others are passed over (RFC 7517 section 5)."""
    found = document["keys"]
    if not isinstance(found, list):
        raise TypeError("the key set is no list")
    keys: dict[str, Key] = {}
    for entry in found:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            with warnings.catch_warnings():
                # A weak key is not worth a warning here: it is passed over below.
                warnings.simplefilter("ignore", SecurityWarning)
                key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if isinstance(key, RSAKey | ECKey) and _strong(key):
            keys[str(entry.get("kid", ""))] = key
    if not keys:
        raise ValueError("the key set holds no usable key")
    return keys


def _strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return key.public_key.key_size >= SMALLEST_RSA_BITS
    return key.curve_name == "P-256"


def _invalid(why: str) -> CitizenTokenInvalidError:
    return CitizenTokenInvalidError(f"the citizen's token of the identity provider is refused: {why}")
