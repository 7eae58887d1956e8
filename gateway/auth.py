"""Who is calling: a machine by its certificate and the token bound to it, a person by her sign-in."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from aiohttp import web
from cryptography import x509
from onestop.common.v1 import context_pb2
from onestop.issuer.v1 import issuer_pb2

from core.clock import Clock
from core.errors import Kind, ServiceError, UnauthenticatedError
from core.identity import Caller
from core.tokens import TokenVerifier
from gateway.clients import Clients
from gateway.sessions import Sessions

SESSION_COOKIE = "__Host-onestop-session"
SAFE_METHODS = frozenset({"GET", "HEAD"})
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 8192

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_EXCHANGES = 20_000
_EXPIRY_MARGIN = timedelta(seconds=5)


class TokenMissingError(ServiceError):
    """No access token came with the request."""

    kind = Kind.UNAUTHENTICATED
    reason = "TOKEN_MISSING"


class SignInNeededError(ServiceError):
    """No signed-in person: neither a session nor a token."""

    kind = Kind.UNAUTHENTICATED
    reason = "SIGN_IN_NEEDED"


class CertificateError(ServiceError):
    """The client certificate cannot be used."""

    kind = Kind.UNAUTHENTICATED
    reason = "CERTIFICATE_UNUSABLE"


class CrossSiteError(ServiceError):
    """A browser was made to send this by another site."""

    kind = Kind.FORBIDDEN
    reason = "CROSS_SITE_REQUEST"


@dataclass(frozen=True)
class Certificate:
    """The client certificate that the TLS handshake proved."""

    name: str
    """Its first DNS name."""
    thumbprint: str
    """x5t#S256: SHA-256 of its DER form, base64url without padding (RFC 8705 section 3.1)."""
    not_after: datetime


@dataclass(frozen=True)
class Identity:
    """A proved caller and the credential that is relayed for it."""

    caller: Caller
    credential: context_pb2.Credential = field(repr=False)
    limit_key: str = field(repr=False)


def certificate_of(request: web.Request, now: datetime) -> Certificate:
    """The peer's certificate. The listener has verified its chain; a connection may outlive it, though."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the caller has gone")
    der: bytes | None = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if der is None:
        raise CertificateError("a client certificate is needed")
    certificate = _read_certificate(der)
    if not certificate.name:
        raise CertificateError("the client certificate carries no DNS name")
    if certificate.not_after <= now:
        raise CertificateError("the client certificate has expired")
    return certificate


@lru_cache(maxsize=1024)
def _read_certificate(der: bytes) -> Certificate:
    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        dns = []
    digest = hashlib.sha256(der).digest()
    thumbprint = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return Certificate(dns[0] if dns else "", thumbprint, certificate.not_valid_after_utc)


def bearer_token(request: web.Request) -> str:
    """The token in `Authorization: Bearer …` (RFC 6750 section 2.1); empty where there is none."""
    values = request.headers.getall("Authorization", [])
    if not values:
        return ""
    kind, _, rest = values[0].partition(" ")
    token = rest.strip()
    if len(values) > 1 or kind.lower() != "bearer" or not token:
        raise UnauthenticatedError("the header Authorization must be one Bearer token")
    if not _may_be_token(token):
        raise UnauthenticatedError("the token is not of a form that any of ours has")
    return token


@lru_cache(maxsize=1024)
def _may_be_token(text: str) -> bool:
    return SHORTEST_TOKEN <= len(text) <= LONGEST_TOKEN and _TOKEN.fullmatch(text) is not None


class Machines:
    """Proves machines."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def prove(self, request: web.Request, certificate: Certificate) -> Identity:
        """The machine whose token is bound to its certificate. Raises UnauthenticatedError and kin.

        The services verify the token again; this check keeps what does not hold off them.
        """
        token = bearer_token(request)
        if not token:
            raise TokenMissingError(
                "an access token is needed: POST /oauth2/token, then Authorization: Bearer"
            )
        verdict = await self._verifier.verify(token, certificate.thumbprint)
        credential = context_pb2.Credential(token=token, certificate_thumbprint=certificate.thumbprint)
        return Identity(verdict.caller, credential, certificate.name)


class Citizens:
    """Proves people, and gets our token for theirs; ours never leaves the inner hops."""

    def __init__(
        self, sessions: Sessions, clients: Clients, verifier: TokenVerifier, clock: Clock, people_url: str
    ) -> None:
        self._sessions = sessions
        self._clients = clients
        self._verifier = verifier
        self._clock = clock
        self._people_url = people_url
        self._exchanged: OrderedDict[bytes, tuple[str, datetime]] = OrderedDict()

    async def prove(self, request: web.Request, deadline: datetime) -> Identity:
        """The person, by a token of the identity provider or by her session's cookie."""
        token = bearer_token(request)
        if not token:
            token = await self._token_of_session(request)
        ours = await self._exchange(token, deadline)
        verdict = await self._verifier.verify(ours, "")
        subject = verdict.caller.subject
        if subject is None:
            raise UnauthenticatedError("the token is not a person's")
        limit_key = hashlib.sha256(f"{subject.code_type}:{subject.code}".encode()).hexdigest()
        return Identity(verdict.caller, context_pb2.Credential(token=ours), limit_key)

    def refuse_cross_site(self, request: web.Request) -> None:
        """Raises CrossSiteError unless a cookie-bearing request was made by a page of ours.

        Browsers tell the page's origin with every request that changes something (Fetch standard, `Origin`).
        """
        if request.method in SAFE_METHODS:
            return
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise CrossSiteError("the request was made by another site")
        if request.headers.get("Origin") != self._people_url:
            raise CrossSiteError("a request with a session cookie needs the header Origin of this site")

    async def _token_of_session(self, request: web.Request) -> str:
        secret = request.cookies.get(SESSION_COOKIE, "")
        if not secret:
            raise SignInNeededError("sign in at /citizen/login, or send a token of the identity provider")
        self.refuse_cross_site(request)
        session = await self._sessions.find(secret)
        if session is None:
            raise SignInNeededError("the session has ended; sign in again at /citizen/login")
        return session.id_token

    async def _exchange(self, token: str, deadline: datetime) -> str:
        """Our token, as long as it lasts; the issuer judges the provider's."""
        key = hashlib.sha256(token.encode()).digest()
        found = self._exchanged.get(key)
        if found is not None and found[1] - _EXPIRY_MARGIN > self._clock():
            return found[0]
        request = issuer_pb2.ExchangeCitizenTokenRequest(subject_token=token)
        method = self._clients.issuer.ExchangeCitizenToken
        answer = await self._clients.call("issuer", method, request, deadline)
        self._exchanged[key] = (answer.access_token, answer.expires_at.ToDatetime(tzinfo=UTC))
        self._exchanged.move_to_end(key)
        while len(self._exchanged) > _EXCHANGES:
            self._exchanged.popitem(last=False)
        return answer.access_token
