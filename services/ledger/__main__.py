"""Starts the ledger: `python -m services.ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import grpc
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc
from pydantic import Field, FilePath

from core.clock import now
from core.config import ServiceConfig, load_config
from core.db import open_pool
from core.keyring import Keyring
from core.rpc import context_reader, run, serve
from core.vault import Vault
from services.ledger.checkpoint import CheckpointNotary, KeyFileError
from services.ledger.domain import PART
from services.ledger.released import LastReleasedFile
from services.ledger.rpc import SERVICE, LedgerServicer, Standing
from services.ledger.sequencer import Sequencer
from services.ledger.service import LedgerDesk
from services.ledger.store import PgLogStore


class LedgerConfig(ServiceConfig):
    """What the ledger needs beside what every service does."""

    issuer: str = Field(min_length=1)
    signing_key: FilePath
    """Ed25519, PEM: signs the checkpoints."""
    verifier_key: FilePath
    """The same key's public half in C2SP form, `<origin>+<id>+<key>`; its name is the log's origin."""
    last_checkpoint: Path
    """Where the last released checkpoint is kept, outside the database and its backups; made by the ledger.

    Without it, or with a newer one than the database holds, the ledger is read-only. A standby on another
    machine is given a copy of it.
    """


async def main(config: LedgerConfig) -> None:
    """Serves until SIGTERM or SIGINT."""
    try:
        notary = CheckpointNotary.load(config.signing_key, config.verifier_key)
    except KeyFileError as failure:
        raise SystemExit(f"ONESTOP_SIGNING_KEY or ONESTOP_VERIFIER_KEY: {failure}") from None
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    store = PgLogStore(pool)
    standing = Standing()
    sequencer = Sequencer(store, notary, LastReleasedFile(config.last_checkpoint), standing, now)
    desk = LedgerDesk(sequencer, store, notary, vault, now)
    reader = context_reader(config, now)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        pb_grpc.add_LedgerServiceServicer_to_server(LedgerServicer(desk, reader, notary.verifier_key), server)
        return [SERVICE]

    tasks = [sequencer.run, vault.keep_fresh]
    await serve(config, PART, register, tasks=tasks, readiness=standing.show, closers=[pool.close])


if __name__ == "__main__":
    settings = load_config(LedgerConfig)
    run(PART, settings, lambda: main(settings))
