"""Starts the autofill service: settings, then adapters, then the desk, then the server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
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
from services.autofill.answers import present
from services.autofill.budget import GuessLimits
from services.autofill.clients import Upstreams
from services.autofill.matter import Matter
from services.autofill.rpc import register
from services.autofill.service import FormDesk, Waiting
from services.autofill.store import PgGuessBook
from services.autofill.templates import TemplateError, load_matters

PART = "autofill"


class Config(ServiceConfig):
    """The service's settings: besides those of every service, its patience and its guess budget."""

    ledger: str = Field(min_length=1)
    issuer: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    datanode: str = Field(min_length=1)
    autofill_source_seconds: float = Field(3.0, gt=0, le=30)
    autofill_tries_per_field: int = Field(5, ge=1, le=1000)
    autofill_tries_per_subject: int = Field(20, ge=1, le=10_000)


def checked_matters() -> Mapping[str, Matter]:
    """The matters, or exit code 2 after a line for each fault of their files."""
    try:
        return load_matters()
    except TemplateError as failure:
        print(failure, file=sys.stderr)
        raise SystemExit(2) from None


async def main(config: Config, matters: Mapping[str, Matter]) -> None:
    """Serves until the process is told to stop."""
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    replies = PgReplies(pool, vault, now)
    ledger, licence, datanode = (channel(config, part) for part in ("ledger", "licence", "datanode"))
    disclosure = Disclosure(
        ledger=LedgerClient(ledger),
        replies=replies,
        present=present,
        clock=now,
        grace=config.open_intent_grace,
    )
    limits = GuessLimits(config.autofill_tries_per_field, config.autofill_tries_per_subject)
    guesses = PgGuessBook(pool, vault, limits, now)
    desk = FormDesk(
        matters=matters,
        sources=Upstreams(licence, datanode, now),
        guesses=guesses,
        disclosure=disclosure,
        clock=now,
        waiting=Waiting(longest=timedelta(seconds=config.autofill_source_seconds)),
    )
    await serve(
        config,
        PART,
        partial(register, desk, context_reader(config, now)),
        tasks=[*protocol_tasks(disclosure, replies), guesses.sweep_forever],
        closers=[disclosure.drain, ledger.close, licence.close, datanode.close, pool.close],
    )


if __name__ == "__main__":
    forms = checked_matters()
    settings = load_config(Config)
    run(PART, settings, lambda: main(settings, forms))
