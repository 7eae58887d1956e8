"""Starts the licence service: settings, then adapters, then the desk, then the server."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from core.clock import now
from core.config import ServiceConfig, load_config
from core.db import open_pool
from core.disclosure import Disclosure
from core.keyring import Keyring
from core.ledger import LedgerClient
from core.replies import PgReplies
from core.rpc import channel, context_reader, protocol_tasks, run, serve
from core.vault import Vault
from services.licence.answers import present
from services.licence.catalogue import load_catalogue
from services.licence.rpc import register
from services.licence.service import LicenceDesk
from services.licence.store import PgRegister
from services.licence.usecode import SealedUseCodes

PART = "licence"


class Config(ServiceConfig):
    """What every service needs, and the two parts that this one cannot do without."""

    ledger: str = Field(min_length=1)
    issuer: str = Field(min_length=1)


async def main(config: Config) -> None:
    """Serves until the process is told to stop."""
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    catalogue = load_catalogue()
    replies = PgReplies(pool, vault, now)
    ledger = channel(config, "ledger")
    disclosure = Disclosure(
        ledger=LedgerClient(ledger),
        replies=replies,
        present=present,
        clock=now,
        grace=config.open_intent_grace,
    )
    desk = LicenceDesk(
        register=PgRegister(pool, vault, catalogue.types),
        catalogue=catalogue,
        use_codes=SealedUseCodes(vault),
        disclosure=disclosure,
        clock=now,
    )
    await serve(
        config,
        PART,
        partial(register, desk, context_reader(config, now)),
        tasks=protocol_tasks(disclosure, replies),
        closers=[disclosure.drain, ledger.close, pool.close],
    )


if __name__ == "__main__":
    settings = load_config(Config)
    run(PART, settings, lambda: main(settings))
