"""Starts a witness: `python -m services.witness`."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import Field, FilePath, field_validator
from pydantic_settings import NoDecode

from core import log, production
from core.clock import now
from core.config import PeerConfig, load_config
from core.merkle import VerificationError
from core.production import Refusal
from core.rpc import run
from services.witness.logs import LogKeys
from services.witness.memory import MemoryFileError, SqliteMemory
from services.witness.rpc_http import application
from services.witness.service import Witness
from services.witness.signing import FileCosigner, KeyFileError

PART = "witness"
DRAIN_SECONDS = 5.0


class WitnessConfig(PeerConfig):
    """A witness's settings. It asks no other part, and has no database and no keyring."""

    listen: str
    anybody: bool = False
    """Whether callers come without a certificate of ONESTOP_TLS_CA, as C2SP tlog-witness has it: what a log
    sends is proved by the log's own signature."""
    signing_key: FilePath
    """Ed25519, PEM: signs the cosignatures, and nothing else."""
    verifier_key: FilePath
    """Its public half in C2SP form for cosignatures."""
    log_keys: Annotated[tuple[FilePath, ...], NoDecode] = Field(min_length=1)
    """Files with the verifier keys of the logs that are watched, a line each; read anew at every request."""
    memory: Path
    """The SQLite file of what was cosigned; made where there is none. A witness that has lost it knows
    nothing any more, and must take a new key."""

    @field_validator("log_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(one for one in value.split(",") if one) if isinstance(value, str) else value

    def unsafe(self) -> Iterator[Refusal]:
        """Also a key that development made."""
        yield from super().unsafe()
        yield from production.unsafe_keys("ONESTOP_SIGNING_KEY", [self.signing_key])


async def main(config: WitnessConfig) -> None:
    """Serves until SIGTERM or SIGINT."""
    try:
        cosigner = FileCosigner.load(config.signing_key, config.verifier_key)
    except KeyFileError as failure:
        raise SystemExit(f"ONESTOP_SIGNING_KEY or ONESTOP_VERIFIER_KEY: {failure}") from None
    logs = LogKeys(config.log_keys)
    try:
        logs.all()
    except (OSError, UnicodeDecodeError, VerificationError) as failure:
        raise SystemExit(f"ONESTOP_LOG_KEYS: {failure}") from None
    try:
        memory = SqliteMemory.open(config.memory)
    except MemoryFileError as failure:
        raise SystemExit(f"ONESTOP_MEMORY: {failure}") from None
    runner = web.AppRunner(
        application(Witness(memory, logs, cosigner, now)), access_log=None, shutdown_timeout=DRAIN_SECONDS
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await runner.setup()
    try:
        host, _, port = config.listen.rpartition(":")
        await web.TCPSite(runner, host, int(port), ssl_context=_tls(config)).start()
        log.get_logger().info("serving", listen=config.listen)
        await stop.wait()
        log.get_logger().info("draining")
    finally:
        await runner.cleanup()
        await memory.close()


def _tls(config: WitnessConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=config.tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.tls_cert, config.tls_key)
    if not config.anybody:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    settings = load_config(WitnessConfig)
    run(PART, settings, lambda: main(settings))
