"""The provider's settings. Each has a default that fits the city on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from core.config import ServiceConfig
from core.production import Refusal


class ClientSettings(BaseModel, frozen=True):
    """One registered client.

    A public client (no `secret_file`) proves itself by PKCE alone. `loopback` lets it be called back at
    `http://127.0.0.1:<any port>/callback`, as programs on a person's own machine are (RFC 8252 section 7.3).
    """

    client_id: str
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    loopback: bool = False
    secret_file: Path | None = None


class IdpConfig(ServiceConfig):
    """What the provider needs beside what every service does.

    `issuer_url` is the provider's name in its tokens, and where it is reached. `gateway_url` is where the
    city's gateway is reached by people. The password and the signing key are made at the first start when
    their files do not exist; they lie beside the keyring unless set.
    """

    listen: str = "127.0.0.1:8480"
    issuer_url: str = "https://localhost:8480"
    gateway_url: str = "https://localhost:8444"
    password_file: Path | None = None
    signing_key: Path | None = None
    token_lifetime: int = Field(default=1800, ge=60, le=86_400)
    session_lifetime: int = Field(default=8 * 3600, ge=60)
    failed_logins: str = "5 per 5 minutes"
    clients: tuple[ClientSettings, ...] = ()

    def unsafe(self) -> Iterator[Refusal]:
        """Nothing: in production the provider does not start at all, however it is set."""
        return iter(())

    def password_path(self) -> Path:
        """The file with the shared development password."""
        return self.password_file or self.keyring.parent / "idp-password"

    def signing_key_path(self) -> Path:
        """The file with the provider's P-256 key, PEM."""
        return self.signing_key or self.keyring.parent / "idp-signing.key"

    def registered_clients(self) -> tuple[ClientSettings, ...]:
        """The clients that are set, or else the gateway and the command line."""
        return self.clients or (
            ClientSettings(
                client_id="onestop-gateway",
                redirect_uris=(f"{self.gateway_url}/citizen/callback",),
                post_logout_redirect_uris=(f"{self.gateway_url}/",),
            ),
            ClientSettings(client_id="onestop-cli", loopback=True),
        )
