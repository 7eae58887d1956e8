"""Verifies the issuer's access tokens, and remembers each verdict until the token expires."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.clock import Clock
from core.errors import ServiceError, UnauthenticatedError, UnavailableError
from core.identity import Caller, Subject

ISSUER = "onestop-issuer"
AUDIENCE = "onestop"
ALGORITHM = "ES256"
CITIZEN_CLIENT = "citizen"
LONGEST_LIFE = timedelta(minutes=5)

_REMEMBERED = 20_000
_REFETCH_PAUSE = timedelta(seconds=5)
_CLOCKS_DIFFER = timedelta(minutes=1)
"""How far the issuer's clock may be ahead of ours."""


@dataclass(frozen=True)
class IssuerKeys:
    """The issuer's public keys (JWK set as JSON), and until when they may be trusted."""

    jwks: str
    expires_at: datetime


@dataclass(frozen=True)
class Verdict:
    """A token that holds: whose it is, which certificate it is bound to, and until when."""

    caller: Caller
    thumbprint: str
    expires_at: datetime


FetchKeys = Callable[[], Awaitable[IssuerKeys]]


class TokenVerifier:
    """Verifies tokens against the issuer's keys. Keys that could not be renewed in time expire closed."""

    def __init__(self, fetch_keys: FetchKeys, clock: Clock) -> None:
        self._fetch = fetch_keys
        self._clock = clock
        self._keys: KeySet | None = None
        self._keys_until = datetime.min.replace(tzinfo=UTC)
        self._fetched_at = datetime.min.replace(tzinfo=UTC)
        self._renewing = asyncio.Lock()
        self._failures = 0
        self._verdicts: OrderedDict[str, Verdict] = OrderedDict()

    async def verify(self, token: str, thumbprint: str) -> Verdict:
        """The verdict on a token that came over the certificate with this x5t#S256 (RFC 8705).

        Raises UnauthenticatedError, or UnavailableError while the issuer's keys cannot be had.
        """
        verdict = self._verdicts.get(token)
        if verdict is None:
            verdict = await self._judge(token)
            self._remember(token, verdict)
        if verdict.expires_at <= self._clock():
            self._verdicts.pop(token, None)
            raise UnauthenticatedError("the access token has expired; get a new one")
        if verdict.thumbprint != thumbprint:
            raise UnauthenticatedError("the access token is bound to another client certificate")
        return verdict

    async def _judge(self, token: str) -> Verdict:
        keys = await self._live_keys()
        try:
            decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            keys = await self._renewed_keys()
            try:
                decoded = jwt.decode(token, keys, algorithms=[ALGORITHM])
            except (JoseError, ValueError):
                raise UnauthenticatedError("the access token is not one of this city's issuer") from None
        return self._claims(decoded.claims)

    def _claims(self, claims: dict[str, object]) -> Verdict:
        issued, expires = claims.get("iat"), claims.get("exp")
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise UnauthenticatedError("the access token is for another audience")
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise UnauthenticatedError("the access token lacks its times")
        latest = self._clock().timestamp() + (LONGEST_LIFE + _CLOCKS_DIFFER).total_seconds()
        if expires - issued > LONGEST_LIFE.total_seconds() or expires > latest:
            raise UnauthenticatedError("the access token lives longer than 5 minutes")
        client, scope = claims.get("client_id"), claims.get("scope")
        if not isinstance(client, str) or not isinstance(scope, str):
            raise UnauthenticatedError("the access token names no client")
        confirmation = claims.get("cnf")
        bound = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
        subject = None
        if client == CITIZEN_CLIENT:
            code_type, code = claims.get("code_type"), claims.get("code")
            if not (isinstance(code_type, str) and isinstance(code, str) and code_type and code):
                raise UnauthenticatedError("the access token names no person")
            subject = Subject(code_type, code)
        elif not isinstance(bound, str) or not bound:
            raise UnauthenticatedError("the access token is not bound to a certificate")
        caller = Caller(client, frozenset(scope.split()), subject)
        return Verdict(caller, bound if isinstance(bound, str) else "", datetime.fromtimestamp(expires, UTC))

    def _remember(self, token: str, verdict: Verdict) -> None:
        self._verdicts[token] = verdict
        while len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)

    async def _live_keys(self) -> KeySet:
        if self._keys is not None and self._clock() < self._keys_until:
            return self._keys
        return await self._renewed_keys()

    async def _renewed_keys(self) -> KeySet:
        """The keys, fetched again unless that was done a moment ago; one fetch at a time."""
        failures = self._failures
        async with self._renewing:
            now = self._clock()
            live = self._keys if self._keys is not None and now < self._keys_until else None
            if live is not None and now - self._fetched_at < _REFETCH_PAUSE:
                return live
            # Whoever waited while another failed has that failure: an issuer that hangs would else be waited
            # for by one after the other.
            if self._failures == failures:
                try:
                    fetched = await self._fetch()
                    self._keys = KeySet.import_key_set(json.loads(fetched.jwks))
                except (ServiceError, JoseError, ValueError, KeyError, TypeError):
                    self._failures += 1
                else:
                    self._keys_until = fetched.expires_at
                    self._fetched_at = now
                    return self._keys
            if live is not None:
                return live
            raise UnavailableError(
                "the issuer's keys cannot be had; tokens cannot be verified", part="issuer", retry_after=1.0
            )
