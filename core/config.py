"""Settings from the environment, read once at start; every bad one is named at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import Field, FilePath, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from core import production
from core.production import Refusal

PARTS = ("ledger", "issuer", "licence", "datanode", "autofill", "eseal", "agricredit")
"""The gRPC services; each name is also its certificate's name, its schema and its role's suffix."""


LED = "ledger"
"""The part of which one process leads and others stand by; any other scales behind one address."""


class Mode(StrEnum):
    """Development allows what production refuses, such as the development identity provider."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class PeerConfig(BaseSettings):
    """What every process of the city needs: its identity and where the others are.

    Secrets come as paths of files, never as values.
    """

    model_config = SettingsConfigDict(env_prefix="ONESTOP_", frozen=True, extra="ignore")

    mode: Mode = Mode.PRODUCTION
    tls_ca: FilePath
    tls_cert: FilePath
    tls_key: FilePath
    log_level: str = "INFO"
    ledger: str = ""
    issuer: str = ""
    licence: str = ""
    datanode: str = ""
    autofill: str = ""
    eseal: str = ""
    agricredit: str = ""

    def addresses(self, part: str) -> list[str]:
        """`host:port` of a part that this process needs; of the ledger, those of its standbys too."""
        variable = f"ONESTOP_{part.upper()}"
        addresses = [one.strip() for one in str(getattr(self, part)).split(",")]
        if not all(addresses):
            raise SystemExit(f"{variable}: the address of {part} is needed, as host:port")
        if len(addresses) > 1 and part != LED:
            raise SystemExit(f"{variable}: {part} has one address; only {LED} has those of its standbys too")
        return addresses

    def unsafe(self) -> Iterator[Refusal]:
        """What production refuses of these settings; a part adds its own. Asked in production only."""
        yield from production.unsafe_environment(os.environ)
        if self.log_level.upper() == "DEBUG":
            yield "ONESTOP_LOG_LEVEL", "DEBUG lets libraries write down what they carry; take INFO"
        yield from production.unsafe_certificates("ONESTOP_TLS_CA", self.tls_ca)
        yield from production.unsafe_certificates("ONESTOP_TLS_CERT", self.tls_cert)
        yield from production.unsafe_keys("ONESTOP_TLS_KEY", [self.tls_key])


class ServiceConfig(PeerConfig):
    """What every service needs besides: where it listens, its database and its keys."""

    listen: str
    database_dsn_file: FilePath
    keyring: FilePath
    pool_size: int = 8
    open_intent_seconds: float = Field(default=30.0, ge=1, le=600)
    """How old an intent must be for recovery to close it; a late act that finds it closed rolls back."""

    @property
    def open_intent_grace(self) -> timedelta:
        """The same as a span of time."""
        return timedelta(seconds=self.open_intent_seconds)

    def unsafe(self) -> Iterator[Refusal]:
        """Also an address of the database that proves too little, and a keyring that development made."""
        yield from super().unsafe()
        yield from production.unsafe_database("ONESTOP_DATABASE_DSN_FILE", self.database_dsn_file)
        yield from production.unsafe_keyring("ONESTOP_KEYRING", self.keyring)


ConfigType = TypeVar("ConfigType", bound=BaseSettings)


def load_config(kind: type[ConfigType]) -> ConfigType:
    """The settings, or exit code 2 after a line for each bad variable, or for each that production refuses.

    With `--check` on the command line, says that they are right and exits.
    """
    prefix = str(kind.model_config.get("env_prefix", ""))
    try:
        config = kind()
    except ValidationError as failure:
        for fault in failure.errors():
            variable = prefix + "_".join(str(part) for part in fault["loc"]).upper()
            print(f"{variable}: {fault['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
    if isinstance(config, PeerConfig) and config.mode is Mode.PRODUCTION and (refused := [*config.unsafe()]):
        for variable, why in refused:
            print(f"{variable}: {why}", file=sys.stderr)
        raise SystemExit(2)
    if "--check" in sys.argv[1:]:
        print("the settings are complete")
        raise SystemExit(0)
    return config


def read_secret(path: Path) -> str:
    """A secret file's text without its line end."""
    return path.read_text(encoding="utf-8").strip()
