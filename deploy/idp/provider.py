"""The protocol: OAuth 2.0 authorization code with PKCE and OpenID Connect, by Authlib.

No sockets and no database here: a request goes in as values, a response comes out as values.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from authlib.common.security import generate_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidRequestError,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import compare_s256_code_challenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.rpinitiated import EndSessionEndpoint, EndSessionRequest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from deploy.idp.accounts import Person
from deploy.idp.clients import Client
from deploy.idp.config import ClientSettings
from deploy.idp.keys import ALGORITHM
from deploy.idp.messages import Incoming, Outgoing, Request
from deploy.idp.sessions import Grant, Session, Shelf

API_AUDIENCE = "onestop"
"""The audience of access tokens: the city's API (RFC 9068 section 3)."""

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - the header's `typ` of RFC 9068 section 2.1
CODE_LIFETIME = 60.0


@dataclass(frozen=True)
class Consent:
    """A valid authorization request: where it goes back to, and whether the person must sign in first."""

    redirect_uri: str
    needs_sign_in: bool


@dataclass(frozen=True)
class Logout:
    """A valid sign-out request; `redirect_uri` is empty where there is nowhere to go back to."""

    needs_confirmation: bool
    redirect_uri: str


class _S256Only(CodeChallenge):
    """PKCE is required, and only with S256 (RFC 9700 section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012 - Authlib's class attribute
    CODE_CHALLENGE_METHODS = {"S256": compare_s256_code_challenge}  # noqa: RUF012

    def validate_code_challenge(self, grant: AuthorizationCodeGrant, redirect_uri: str) -> None:
        payload = grant.request.payload
        assert payload is not None
        data = payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: 'code_challenge' with 'code_challenge_method' S256.")
        super().validate_code_challenge(grant, redirect_uri)


class Provider(AuthorizationServer):
    """The provider's protocol state: clients, codes, the key."""

    def __init__(
        self, issuer_url: str, key: ECKey, clients: Collection[ClientSettings], token_lifetime: int
    ) -> None:
        super().__init__()
        self.issuer_url = issuer_url
        self.key = key
        self.token_lifetime = token_lifetime
        self.clients = {settings.client_id: Client(settings) for settings in clients}
        self.codes: Shelf[Grant] = Shelf(CODE_LIFETIME)
        self.register_token_generator(
            "default",
            BearerTokenGenerator(self._access_token, expires_generator=lambda *_: token_lifetime),
        )
        self.register_grant(_grant_of(self), [_S256Only(required=True), _IdToken(self)])
        self.register_endpoint(_EndSession(self))

    def query_client(self, client_id: str) -> Client | None:  # type: ignore[override]  # None: unknown
        """The registered client."""
        return self.clients.get(client_id)

    def save_token(self, token: dict[str, str | int], request: OAuth2Request) -> None:
        """Nothing to keep: access tokens are signed and short-lived."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: Incoming) -> OAuth2Request:
        """The request as Authlib reads it."""
        return Request(request)

    def handle_response(
        self,
        status: int,
        body: Mapping[str, object] | str,
        headers: Mapping[str, str] | Collection[tuple[str, str]],
    ) -> Outgoing:
        """The response as this app sends it."""
        return Outgoing(status, body, dict(headers))

    def consent(self, incoming: Incoming, session: Session | None) -> Consent | Outgoing:
        """What an authorization request asks for, or the way back to the client with an error.

        Raises OAuth2Error where the client or its redirect URI is unknown, so that nobody is sent anywhere.
        """
        try:
            grant = self.get_consent_grant(incoming, end_user=session)  # type: ignore[no-untyped-call]
        except OAuth2Error as error:
            if not error.redirect_uri:
                raise
            return self.handle_response(*error())
        return Consent(redirect_uri=grant.redirect_uri, needs_sign_in=session is None or bool(grant.prompt))

    def grant(self, incoming: Incoming, session: Session) -> Outgoing:
        """The way back to the client with a code for the signed-in person."""
        request = self.create_oauth2_request(incoming)
        grant = self.get_authorization_grant(request)
        answer = self.create_authorization_response(request, grant_user=session, grant=grant)
        assert isinstance(answer, Outgoing)
        return answer

    def logout(self, incoming: Incoming) -> Logout:
        """What a sign-out request asks for. Raises OAuth2Error."""
        wanted = self.validate_endpoint_request("end_session", incoming)
        assert isinstance(wanted, EndSessionRequest)
        return Logout(needs_confirmation=wanted.needs_confirmation, redirect_uri=wanted.redirect_uri or "")

    def claims(self, person: Person) -> dict[str, str]:
        """What tokens and userinfo say of a person."""
        return {"sub": str(person.subject_id), "name": person.name, "id_number": person.id_number}

    def signed(self, header: Mapping[str, str], claims: Mapping[str, object]) -> str:
        """A JWT by the provider's key."""
        return jwt.encode({"alg": ALGORITHM, "kid": self.key.kid, **header}, dict(claims), self.key)

    def subject_of_access_token(self, token: str) -> str:
        """The `sub` of an access token of ours. Raises joserfc's JoseError, or ValueError."""
        decoded = jwt.decode(token, self.key, algorithms=[ALGORITHM])
        if decoded.header.get("typ") != ACCESS_TOKEN_TYPE:
            raise ValueError("it is another kind of token")
        registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer_url},
            aud={"essential": True, "value": API_AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )
        registry.validate(decoded.claims)
        return str(decoded.claims["sub"])

    def _access_token(self, *, client: ClientMixin, grant_type: str, user: Session, scope: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer_url,
            # The client too: who verifies by the client's id takes either kind of token.
            "aud": [API_AUDIENCE, client.get_client_id()],
            "client_id": client.get_client_id(),
            "iat": now,
            "exp": now + self.token_lifetime,
            "jti": generate_token(22),
            "scope": scope,
            "auth_time": user.signed_in_at,
            **self.claims(user.person),
        }
        return self.signed({"typ": ACCESS_TOKEN_TYPE}, claims)


class _IdToken(OpenIDCode):
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=False)
        self._provider = provider

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        client_id = request.payload.client_id if request.payload else ""
        return any(
            grant.nonce == nonce and grant.client_id == client_id for grant in self._provider.codes.values()
        )

    def resolve_client_private_key(self, client: Client) -> ECKey:
        return self._provider.key

    def get_client_algorithm(self, client: Client) -> str:
        return ALGORITHM

    def get_encode_header(self, client: Client) -> dict[str, str | None]:
        return {"alg": ALGORITHM, "kid": self._provider.key.kid, "typ": "JWT"}

    def get_client_claims(self, client: Client) -> dict[str, object]:
        return {
            "iss": self._provider.issuer_url,
            "aud": client.client_id,
            "exp": int(time.time()) + self._provider.token_lifetime,
        }

    def generate_user_info(self, user: Session, scope: str) -> UserInfo:
        return UserInfo(self._provider.claims(user.person))


def _grant_of(provider: Provider) -> type[AuthorizationCodeGrant]:
    """The grant's class, since Authlib makes one instance of it for each request."""

    class CodeGrant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")

        def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
            assert request.payload is not None
            assert request.user is not None
            data = request.payload.data
            provider.codes.put(
                code,
                Grant(
                    client_id=request.payload.client_id,
                    redirect_uri=request.payload.redirect_uri,
                    scope=request.scope,
                    nonce=data.get("nonce"),
                    code_challenge=data["code_challenge"],
                    code_challenge_method=data["code_challenge_method"],
                    session=request.user,
                ),
            )

        def query_authorization_code(self, code: str, client: ClientMixin) -> Grant | None:
            # Taken, not looked at: a code is good for one try, right or wrong.
            grant = provider.codes.take(code)
            return grant if grant and grant.client_id == client.get_client_id() else None

        def delete_authorization_code(self, authorization_code: Grant) -> None:
            pass

        def authenticate_user(self, authorization_code: Grant) -> Session:
            return authorization_code.session

    return CodeGrant


class _EndSession(EndSessionEndpoint):
    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._keys = KeySet([provider.key])

    def get_server_jwks(self) -> KeySet:
        return self._keys

    def end_session(self, end_session_request: EndSessionRequest) -> None:
        """The browser's session is ended by the app, which knows the cookie."""
