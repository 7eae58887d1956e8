"""Starts the issuer: `python -m services.issuer`."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import grpc
import httpx2
from onestop.issuer.v1 import issuer_pb2_grpc
from pydantic import Field, FilePath, field_validator
from pydantic_settings import NoDecode

from core import production
from core.clock import now
from core.config import ServiceConfig, load_config
from core.db import open_pool
from core.es256 import Es256Keys, KeyFileError
from core.production import Refusal
from core.rpc import run, serve
from core.tokens import AUDIENCE
from services.issuer.oidc import ProviderSettings, ProviderTokens
from services.issuer.rpc import SERVICE, IssuerServicer
from services.issuer.service import TokenDesk
from services.issuer.signing import TokenSigner
from services.issuer.store import PgClientStore

PROVIDER_SECONDS = 3.0
PROVIDER = "the citizens' identity provider"


class IssuerConfig(ServiceConfig):
    """What the issuer needs beside what every service does. Lists are separated by commas."""

    signing_key: FilePath
    """P-256, PEM: signs every new token."""
    previous_signing_keys: Annotated[tuple[FilePath, ...], NoDecode] = ()
    """Keys that were current before, private or public; their tokens still verify."""
    token_seconds: int = Field(default=300, ge=30, le=300)
    keys_seconds: int = Field(default=300, ge=30, le=3600)
    """How long others may keep our public keys."""
    oidc_issuer: str
    """Issuer URL of the citizens' identity provider, as in its tokens' `iss`."""
    oidc_audiences: Annotated[tuple[str, ...], NoDecode] = Field(min_length=1)
    """What must be in `aud` of its tokens: our client ids at the provider, or the API's name there."""
    oidc_jwks_url: str = ""
    """Where the provider's keys are; by discovery where empty."""
    oidc_ca: FilePath | None = None
    """CA of the provider's own certificate; the system's CAs where unset."""
    oidc_number_claim: str = Field(default="id_number", min_length=1)
    oidc_name_claim: str = Field(default="name", min_length=1)

    @field_validator("previous_signing_keys", "oidc_audiences", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _https(cls, value: str) -> str:
        address = urlsplit(value)
        if value and (address.scheme != "https" or not address.netloc):
            raise ValueError("must be an https address")
        return value

    def unsafe(self) -> Iterator[Refusal]:
        """Also development's token key, and an identity provider that is development's."""
        yield from super().unsafe()
        yield from production.unsafe_keys("ONESTOP_SIGNING_KEY", [self.signing_key])
        yield from production.unsafe_keys("ONESTOP_PREVIOUS_SIGNING_KEYS", self.previous_signing_keys)
        yield from production.unsafe_address("ONESTOP_OIDC_ISSUER", self.oidc_issuer, PROVIDER)
        yield from production.unsafe_address("ONESTOP_OIDC_JWKS_URL", self.oidc_jwks_url, PROVIDER)
        yield from production.unsafe_certificates("ONESTOP_OIDC_CA", self.oidc_ca)


async def main(config: IssuerConfig) -> None:
    """Serves until SIGTERM or SIGINT."""
    try:
        keys = Es256Keys.load(config.signing_key, config.previous_signing_keys)
    except KeyFileError as failure:
        raise SystemExit(f"ONESTOP_SIGNING_KEY or ONESTOP_PREVIOUS_SIGNING_KEYS: {failure}") from None
    pool = await open_pool(config)
    http = provider_http(config.oidc_ca)
    provider = ProviderSettings(
        issuer=config.oidc_issuer,
        audiences=config.oidc_audiences,
        jwks_url=config.oidc_jwks_url,
        number_claim=config.oidc_number_claim,
        name_claim=config.oidc_name_claim,
    )
    desk = TokenDesk(
        clients=PgClientStore(pool),
        signer=TokenSigner(keys),
        citizens=ProviderTokens(provider, http, now),
        audience=AUDIENCE,
        token_life=timedelta(seconds=config.token_seconds),
        keys_life=timedelta(seconds=config.keys_seconds),
        clock=now,
    )

    def register(server: grpc.aio.Server) -> Sequence[str]:
        issuer_pb2_grpc.add_IssuerServiceServicer_to_server(IssuerServicer(desk), server)
        return [SERVICE]

    await serve(config, "issuer", register, closers=[http.aclose, pool.close])


def provider_http(ca: Path | None) -> httpx2.AsyncClient:
    """A client that trusts the configured CA alone, follows no redirects and heeds no proxy settings."""
    tls = ssl.create_default_context(cafile=str(ca) if ca else None)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return httpx2.AsyncClient(verify=tls, timeout=PROVIDER_SECONDS, trust_env=False)


if __name__ == "__main__":
    settings = load_config(IssuerConfig)
    run("issuer", settings, lambda: main(settings))
