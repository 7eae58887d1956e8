"""The gateway's settings: three listeners, the people's identity provider, limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from limits import parse
from pydantic import Field, FilePath, field_validator

from core import production
from core.config import PeerConfig
from core.production import Refusal


class GatewayConfig(PeerConfig):
    """What the gateway needs beside its identity and the addresses of the parts.

    Limits are written as `<number> per <unit>` or `<number> per <count> <unit>`; each caller has its own.
    """

    machines_listen: str
    """host:port for machines with a client certificate."""
    people_listen: str
    """host:port for people, without a client certificate."""
    operations_listen: str
    """host:port for the operators, plain HTTP; loopback only."""

    people_url: str = Field(pattern=r"^https://[^/?#]+$")
    """Where people reach us: scheme, host and port, as browsers send it in `Origin`."""
    machines_url: str = ""
    """Where machines reach us, for the published API document; unset means the people's host."""

    machines_ca: FilePath | None = None
    """Authorities of callers' certificates; unset means the city's own, in development only: who gives
    certificates to callers must not be able to give one with the name of a part."""

    database_dsn_file: FilePath
    keyring: FilePath
    pool_size: int = 4

    oidc_issuer: str = Field(pattern=r"^https://")
    """The identity provider's issuer; its discovery document lies below it."""
    oidc_client_id: str = "onestop-gateway"
    oidc_client_secret_file: Path | None = None
    """For a confidential client; a public one proves itself by PKCE alone."""
    oidc_scope: str = "openid profile"
    oidc_address: str = Field(default="", pattern=r"^(https://[^/?#]+)?$")
    """Where we ourselves reach the provider (scheme, host and port), where that is not its issuer's address,
    as between containers; browsers are sent to the issuer's all the same."""
    oidc_ca: Path | None = None
    """Authorities that the provider's certificate is checked against; unset means the city's own."""

    deadline_seconds: float = Field(default=10.0, gt=0, le=60)
    """How long a call may take; a caller may ask for less."""
    body_seconds: float = Field(default=20.0, gt=0)
    """How long a request's body may take to arrive."""
    idle_seconds: float = Field(default=20.0, gt=0)
    """How long a connection may wait for a request's headers."""
    largest_json: int = Field(default=256 * 1024, gt=0)
    largest_document: int = Field(default=16 * 1024 * 1024, gt=0)
    most_uploads: int = Field(default=32, gt=1)
    """Documents that this process holds in memory at a time; one caller may fill half of the room."""
    most_streams: int = Field(default=8, gt=1)
    """Streams of documents that this process passes on at a time; one caller may hold half of them."""
    longest_line: int = Field(default=8 * 1024 * 1024, gt=0)
    """Bytes of a line of such a stream: a document of 6 MB, in base64."""
    idle_stream_seconds: float = Field(default=60.0, gt=0)
    """How long a stream may wait for its caller to send a line, or to take an answer."""
    most_requests: int = Field(default=1024, gt=1)
    """Requests that this process reads or answers at a time; one caller may hold half of them."""
    most_at_part: int = Field(default=128, gt=0)
    """Requests in hand at one part, at most; more than that makes no part quicker."""
    most_waiting: int = Field(default=128, ge=0)
    """Requests that wait for a place at one part."""
    wait_seconds: float = Field(default=1.0, ge=0)
    """How long a request may wait for its place in a burst; in a standing overload it is told at once."""
    drain_seconds: float = Field(default=8.0, ge=0)

    token_limit: str = "60 per minute"  # noqa: S105 - a rate, no secret
    approval_limit: str = "2000 per second"
    partner_limit: str = "200 per second"
    company_limit: str = "20 per second"
    """Of an application that signs remotely: an authorisation costs the seal service a tenth of a second."""
    citizen_limit: str = "300 per minute"
    address_limit: str = "1200 per minute"
    """For everybody at one address, whoever they are. Behind a load balancer, which passes TLS through and
    hides addresses, this is the limit of all people together: set it accordingly."""

    @property
    def machines_address(self) -> str:
        """Where machines reach us: scheme, host and port."""
        host = urlsplit(self.people_url).hostname or "localhost"
        return self.machines_url or f"https://{host}:{self.machines_listen.rpartition(':')[2]}"

    @field_validator(
        "token_limit", "approval_limit", "partner_limit", "company_limit", "citizen_limit", "address_limit"
    )
    @classmethod
    def _is_a_limit(cls, text: str) -> str:
        try:
            parse(text)
        except ValueError:
            raise ValueError("write a limit as `<number> per <unit>`, such as `60 per minute`") from None
        return text

    def unsafe(self) -> Iterator[Refusal]:
        """Also callers without an authority of their own, and an identity provider that is development's."""
        yield from super().unsafe()
        yield from production.unsafe_database("ONESTOP_DATABASE_DSN_FILE", self.database_dsn_file)
        yield from production.unsafe_keyring("ONESTOP_KEYRING", self.keyring)
        yield from production.unsafe_callers("ONESTOP_MACHINES_CA", self.machines_ca, self.tls_ca)
        yield from production.unsafe_address("ONESTOP_PEOPLE_URL", self.people_url, "this gateway")
        provider = "the citizens' identity provider"
        yield from production.unsafe_address("ONESTOP_OIDC_ISSUER", self.oidc_issuer, provider)
        yield from production.unsafe_certificates("ONESTOP_OIDC_CA", self.oidc_ca)
        yield from production.unsafe_secret("ONESTOP_OIDC_CLIENT_SECRET_FILE", self.oidc_client_secret_file)
