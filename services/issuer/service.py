"""Issues tokens: to registered machines by their certificate, to people by their provider's token."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from services.issuer.domain import (
    Citizen,
    Claims,
    Client,
    Token,
    citizen_token,
    client_not_proved,
    machine_token,
)


class ClientStore(Protocol):
    """The registrations."""

    async def find(self, client_id: str) -> Client | None:
        """The registration under this id, whatever its state."""
        ...


class Signer(Protocol):
    """Holds our signing keys."""

    def sign(self, claims: Claims) -> str:
        """A JWT in compact form."""
        ...

    def public_keys(self) -> str:
        """The JWK set that verifies our tokens, those of the previous keys too, as JSON."""
        ...


class CitizenTokens(Protocol):
    """Judges tokens of the identity provider."""

    async def verify(self, token: str) -> Citizen:
        """The person that the token is about. Raises CitizenTokenInvalidError, ProviderDownError."""
        ...


@dataclass(frozen=True)
class IssuedToken:
    """A signed token and what the caller is told of it."""

    access_token: str = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class PublishedKeys:
    """The JWK set, and until when it may be kept."""

    jwks: str
    expires_at: datetime


class TokenDesk:
    """The issuer's use cases."""

    def __init__(
        self,
        *,
        clients: ClientStore,
        signer: Signer,
        citizens: CitizenTokens,
        audience: str,
        token_life: timedelta,
        keys_life: timedelta,
        clock: Clock,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._clients = clients
        self._signer = signer
        self._citizens = citizens
        self._audience = audience
        self._token_life = token_life
        self._keys_life = keys_life
        self._clock = clock
        self._new_id = new_id

    async def issue(
        self, client_id: str, wanted: Collection[str], *, certificate_name: str, certificate_thumbprint: str
    ) -> IssuedToken:
        """A token for a registered machine, bound to its certificate.

        Errors: INVALID_CLIENT, UNAUTHORIZED_CLIENT, INVALID_SCOPE.
        """
        client = await self._clients.find(client_id)
        if client is None:
            raise client_not_proved()
        scopes = client.grant(certificate_name, wanted)
        return self._signed(
            machine_token(
                client,
                scopes,
                certificate_thumbprint=certificate_thumbprint,
                now=self._clock(),
                life=self._token_life,
                token_id=self._new_id(),
            )
        )

    async def exchange(self, subject_token: str) -> IssuedToken:
        """Our token for the person whom the provider's token is about (RFC 8693).

        Errors: CITIZEN_TOKEN_INVALID, IDENTITY_PROVIDER_DOWN.
        """
        citizen = await self._citizens.verify(subject_token)
        return self._signed(
            citizen_token(
                citizen,
                audience=self._audience,
                now=self._clock(),
                life=self._token_life,
                token_id=self._new_id(),
            )
        )

    def keys(self) -> PublishedKeys:
        """The public keys, with their expiry: a cache that holds them longer must refuse instead."""
        return PublishedKeys(self._signer.public_keys(), self._clock() + self._keys_life)

    def _signed(self, token: Token) -> IssuedToken:
        return IssuedToken(self._signer.sign(token.claims), token.expires_at, token.scopes)
