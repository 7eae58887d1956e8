"""The relying party of OpenID Connect: authorization code with PKCE, by Authlib's client (RFC 9700)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from urllib.parse import urlsplit, urlunsplit

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, KeySet, RSAKey

from core.clock import Clock
from core.config import read_secret
from core.errors import Kind, ServiceError, UnavailableError
from gateway.config import GatewayConfig
from gateway.sessions import Session, SignIn

PART = "identity-provider"
ALGORITHMS = ["ES256", "RS256", "PS256"]
CALL_SECONDS = 5.0
METADATA_LIFE = timedelta(minutes=5)
REFETCH_PAUSE = timedelta(seconds=5)
CLOCK_LEEWAY_SECONDS = 10


class SignInFailedError(ServiceError):
    """The identity provider's answer does not hold; nobody is signed in."""

    kind = Kind.UNAUTHENTICATED
    reason = "SIGN_IN_FAILED"


@dataclass(frozen=True)
class Provider:
    """The provider's discovery document and keys, as fetched."""

    metadata: Mapping[str, object]
    keys: KeySet = field(repr=False)
    fetched_at: datetime

    def endpoint(self, name: str) -> str:
        """An endpoint's address; empty where the provider has none."""
        return str(self.metadata.get(name, ""))


class RelyingParty:
    """Sends people to the provider and judges what they come back with. Its knowledge expires closed."""

    def __init__(self, config: GatewayConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._redirect_uri = f"{config.people_url}/citizen/callback"
        self._tls = ssl.create_default_context(cafile=str(config.oidc_ca or config.tls_ca))
        self._provider: Provider | None = None
        self._fetching = asyncio.Lock()

    async def begin(self, return_to: str) -> tuple[str, SignIn]:
        """Where to send the browser, and what it must bring back."""
        provider = await self._known_provider()
        sign_in = SignIn(generate_token(43), generate_token(43), generate_token(64), return_to)
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                provider.endpoint("authorization_endpoint"),
                state=sign_in.state,
                code_verifier=sign_in.verifier,
                nonce=sign_in.nonce,
            )
        return str(url), sign_in

    async def finish(self, sign_in: SignIn, answer: Mapping[str, str]) -> Session:
        """The session that a valid answer of the provider opens.

        `answer` is the callback's query. Raises SignInFailedError, UnavailableError.
        """
        provider = await self._known_provider()
        if not compare_digest(answer.get("state", "").encode(), sign_in.state.encode()):
            raise SignInFailedError("the answer belongs to another sign-in")
        # RFC 9207: a provider that names itself in its answers must do so in this one.
        names_itself = provider.metadata.get("authorization_response_iss_parameter_supported") is True
        if (names_itself or "iss" in answer) and answer.get("iss") != self._config.oidc_issuer:
            raise SignInFailedError("the answer is another provider's")
        if "error" in answer:
            raise SignInFailedError("the identity provider did not sign the person in")
        try:
            async with self._client() as client:
                tokens = await client.fetch_token(
                    self._reached(provider.endpoint("token_endpoint")),
                    grant_type="authorization_code",
                    code=answer.get("code", ""),
                    code_verifier=sign_in.verifier,
                )
        except OAuthError:
            raise SignInFailedError("the identity provider refused the code") from None
        except (httpx2.HTTPError, ValueError) as failure:
            raise _down(failure) from failure
        return await self._judge(str(tokens.get("id_token", "")), sign_in.nonce)

    async def sign_out_url(self) -> str:
        """Where the browser is signed out at the provider as well; ours where it offers nothing.

        The ID token is not sent as a hint: it holds identity payload, which never goes into a URL.
        """
        provider = await self._known_provider()
        endpoint = provider.endpoint("end_session_endpoint")
        return f"{endpoint}?client_id={self._config.oidc_client_id}" if endpoint else "/"

    async def _judge(self, token: str, nonce: str) -> Session:
        """The session of a valid ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""
        keys = await self._keys_for(token)
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            leeway=CLOCK_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._config.oidc_issuer},
            aud={"essential": True, "value": self._config.oidc_client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError):
            raise SignInFailedError("the identity provider's ID token does not hold") from None
        party = claims.get("azp", self._config.oidc_client_id)
        if party != self._config.oidc_client_id:
            raise SignInFailedError("the identity provider's ID token is for another client")
        return Session(token, datetime.fromtimestamp(int(claims["exp"]), UTC))

    async def _keys_for(self, token: str) -> KeySet:
        """The keys; fetched anew for a key id that is not among them."""
        provider = await self._known_provider()
        try:
            kid = jws.extract_compact(token.encode()).headers().get("kid")
        except (JoseError, ValueError):
            raise SignInFailedError("the identity provider's ID token is malformed") from None
        known = {key.kid for key in provider.keys}
        if kid is not None and kid not in known and self._clock() - provider.fetched_at > REFETCH_PAUSE:
            provider = await self._fetch(provider)
        return provider.keys

    async def _known_provider(self) -> Provider:
        provider = self._provider
        if provider is not None and self._clock() - provider.fetched_at < METADATA_LIFE:
            return provider
        return await self._fetch(provider)

    async def _fetch(self, seen: Provider | None) -> Provider:
        """Fetches discovery document and keys, once for all who wait."""
        async with self._fetching:
            if self._provider is not None and self._provider is not seen:
                return self._provider
            issuer = self._config.oidc_issuer
            try:
                async with httpx2.AsyncClient(verify=self._tls, timeout=CALL_SECONDS) as client:
                    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                    metadata = OpenIDProviderMetadata(await _get_json(client, self._reached(url)))
                    metadata.validate_issuer()
                    if metadata.get("issuer") != issuer:
                        raise ValueError("the discovery document is another issuer's")
                    keys = _usable(await _get_json(client, self._reached(str(metadata["jwks_uri"]))))
            except (httpx2.HTTPError, ValueError, KeyError, JoseError) as failure:
                raise _down(failure) from failure
            self._provider = Provider(metadata, keys, self._clock())
            return self._provider

    def _reached(self, url: str) -> str:
        """An address of the provider's, by the way that leads there from here."""
        asked, issuer = urlsplit(url), urlsplit(self._config.oidc_issuer)
        way = urlsplit(self._config.oidc_address)
        if not way.netloc or (asked.scheme, asked.netloc) != (issuer.scheme, issuer.netloc):
            return url
        return urlunsplit(asked._replace(netloc=way.netloc))

    def _client(self) -> AsyncOAuth2Client:
        secret_file = self._config.oidc_client_secret_file
        return AsyncOAuth2Client(
            client_id=self._config.oidc_client_id,
            client_secret=read_secret(secret_file) if secret_file else None,
            redirect_uri=self._redirect_uri,
            scope=self._config.oidc_scope,
            code_challenge_method="S256",
            verify=self._tls,
            timeout=CALL_SECONDS,
        )


async def _get_json(client: httpx2.AsyncClient, url: str) -> dict[str, object]:
    if not url.startswith("https://"):
        raise ValueError("the identity provider is reached over https only")
    answer = await client.get(url, headers={"Accept": "application/json"})
    answer.raise_for_status()
    document = answer.json()
    if not isinstance(document, dict):
        raise ValueError("the identity provider's answer is no JSON object")
    return document


def _usable(document: Mapping[str, object]) -> KeySet:
    """The signature keys of the kinds we verify; others are passed over (RFC 7517 section 5)."""
    entries = document.get("keys")
    usable: list[ECKey | RSAKey] = []
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        try:
            key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if isinstance(key, ECKey | RSAKey):
            usable.append(key)
    if not usable:
        raise ValueError("the identity provider publishes no usable key")
    return KeySet(list(usable))


def _down(failure: Exception) -> UnavailableError:
    return UnavailableError(
        f"the identity provider cannot be asked ({type(failure).__name__})", part=PART, retry_after=2.0
    )
