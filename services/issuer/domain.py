"""Who may get which token: registrations, and the claims of our access tokens (RFC 9068, RFC 8705)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from core.errors import FieldFault, Kind, ServiceError
from core.identity import Scope, Subject

ISSUER = "onestop-issuer"
"""Claim `iss` of every token of ours."""

CITIZEN_CLIENT = "citizen"
"""Claim `client_id` of a person's token; no outside caller can be registered under it."""

LONGEST_TOKEN_LIFE = timedelta(minutes=5)
"""Design, invariant 7: a token lives at most five minutes."""

Claims = Mapping[str, object]


class InvalidClientError(ServiceError):
    """The client is not known, or its certificate is not the one registered (RFC 6749 section 5.2)."""

    kind = Kind.UNAUTHENTICATED
    reason = "INVALID_CLIENT"


class UnauthorizedClientError(ServiceError):
    """The client proved who it is, and is not permitted to get tokens at present."""

    kind = Kind.FORBIDDEN
    reason = "UNAUTHORIZED_CLIENT"


class InvalidScopeError(ServiceError):
    """A scope was asked for that is not registered for the client."""

    kind = Kind.INVALID
    reason = "INVALID_SCOPE"


class CitizenTokenInvalidError(ServiceError):
    """The identity provider's token does not hold, or does not name a citizen."""

    kind = Kind.UNAUTHENTICATED
    reason = "CITIZEN_TOKEN_INVALID"


class ProviderDownError(ServiceError):
    """The identity provider's keys cannot be had, so nobody can be let in by them."""

    kind = Kind.UNAVAILABLE
    reason = "IDENTITY_PROVIDER_DOWN"


class ClientState(StrEnum):
    """Whether a registration is in use."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Client:
    """The registration of one outside caller."""

    client_id: str
    certificate_name: str
    """DNS SAN that the caller's client certificate must carry."""
    scopes: frozenset[str]
    audience: str
    """Claim `aud` of the tokens made for it."""
    state: ClientState

    def grant(self, certificate_name: str, wanted: Collection[str]) -> tuple[str, ...]:
        """The scopes to put into a token, sorted; `wanted` empty means all that are registered.

        Raises InvalidClientError, UnauthorizedClientError, InvalidScopeError.
        """
        if certificate_name.lower() != self.certificate_name:
            raise client_not_proved()
        if self.state is not ClientState.ACTIVE:
            raise UnauthorizedClientError("the client's registration is disabled")
        if not self.scopes.issuperset(wanted):
            message = "ask only for scopes that are registered for the client, or for none to get all"
            raise InvalidScopeError(message, faults=[FieldFault("scope", "registered", message)])
        return tuple(sorted(set(wanted) or self.scopes))


def client_not_proved() -> InvalidClientError:
    """One answer for an unknown client and for a foreign certificate, so that neither tells who exists."""
    return InvalidClientError("no client is registered under this client id with this certificate's name")


@dataclass(frozen=True)
class Citizen:
    """A person, as the identity provider vouches for her."""

    subject: Subject
    name: str = field(repr=False)
    session_until: datetime
    """When the provider's own token ends; ours never outlives it."""


@dataclass(frozen=True)
class Token:
    """What a token says, before it is signed."""

    claims: Claims = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...]


def machine_token(
    client: Client,
    scopes: tuple[str, ...],
    *,
    certificate_thumbprint: str,
    now: datetime,
    life: timedelta,
    token_id: uuid.UUID,
) -> Token:
    """A token bound to the caller's certificate by `cnf`, `x5t#S256` (RFC 8705 section 3.1)."""
    expires_at = _whole_seconds(now) + min(life, LONGEST_TOKEN_LIFE)
    claims: Claims = {
        **_common(client.client_id, client.audience, now, expires_at, token_id),
        "scope": " ".join(scopes),
        "cnf": {"x5t#S256": certificate_thumbprint},
    }
    return Token(claims, expires_at, scopes)


def citizen_token(
    citizen: Citizen, *, audience: str, now: datetime, life: timedelta, token_id: uuid.UUID
) -> Token:
    """A person's token. It carries her number, so it never leaves the inner hops.

    Raises CitizenTokenInvalidError when the provider's own token has ended.
    """
    starts = _whole_seconds(now)
    expires_at = min(starts + min(life, LONGEST_TOKEN_LIFE), _whole_seconds(citizen.session_until))
    if expires_at <= starts:
        raise CitizenTokenInvalidError("the identity provider's token has expired")
    scopes = (Scope.CITIZEN.value,)
    claims: Claims = {
        **_common(CITIZEN_CLIENT, audience, now, expires_at, token_id),
        "scope": " ".join(scopes),
        "code_type": citizen.subject.code_type,
        "code": citizen.subject.code,
        "name": citizen.name,
    }
    return Token(claims, expires_at, scopes)


def _common(
    client_id: str, audience: str, now: datetime, expires_at: datetime, token_id: uuid.UUID
) -> dict[str, object]:
    """The claims that RFC 9068 section 2.2 asks of every access token."""
    return {
        "iss": ISSUER,
        "sub": client_id,
        "aud": audience,
        "client_id": client_id,
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": str(token_id),
    }


def _whole_seconds(moment: datetime) -> datetime:
    """NumericDate claims are whole seconds here, so what is answered is what the token says."""
    return moment.replace(microsecond=0)
