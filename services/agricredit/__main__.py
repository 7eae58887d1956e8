"""Starts the agricredit service: settings, then adapters, then the two desks, then the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Annotated

from pydantic import Field, FilePath, field_validator
from pydantic_settings import NoDecode

from core import production
from core.clock import now
from core.config import ServiceConfig, load_config
from core.db import open_pool
from core.disclosure import Disclosure
from core.es256 import Es256Keys, KeyFileError
from core.keyring import Keyring
from core.ledger import LedgerClient
from core.present import AnswerPresenter
from core.production import Refusal
from core.replies import PgReplies
from core.rpc import channel, context_reader, protocol_tasks, run, serve
from core.vault import Vault
from services.agricredit.answers import answer_to_pb
from services.agricredit.clients import DataNode
from services.agricredit.envelope import Envelope
from services.agricredit.fetching import FetchDesk
from services.agricredit.rpc import AgriCreditServicer, register
from services.agricredit.service import ConsentDesk
from services.agricredit.store_uses import PgUses

PART = "agricredit"


class AgriCreditConfig(ServiceConfig):
    """What this service needs beside what every service does."""

    answer_key: FilePath
    """P-256, PEM: the city's key, which signs every answer to a partner."""
    previous_answer_keys: Annotated[tuple[FilePath, ...], NoDecode] = ()
    """Keys that were current before, separated by commas, private or public; still published."""
    source_seconds: float = Field(default=2.0, gt=0, le=30)
    """How long the data node may take; a shorter deadline of the caller wins."""

    @field_validator("previous_answer_keys", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    def unsafe(self) -> Iterator[Refusal]:
        """Also development's key for answers."""
        yield from super().unsafe()
        yield from production.unsafe_keys("ONESTOP_ANSWER_KEY", [self.answer_key])
        yield from production.unsafe_keys("ONESTOP_PREVIOUS_ANSWER_KEYS", self.previous_answer_keys)


async def main(config: AgriCreditConfig) -> None:
    """Serves until the process is told to stop."""
    try:
        keys = Es256Keys.load(config.answer_key, config.previous_answer_keys)
    except KeyFileError as failure:
        raise SystemExit(f"ONESTOP_ANSWER_KEY or ONESTOP_PREVIOUS_ANSWER_KEYS: {failure}") from None
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    replies = PgReplies(pool, vault, now)
    ledger = channel(config, "ledger")
    datanode = channel(config, "datanode")
    disclosure = Disclosure(
        ledger=LedgerClient(ledger),
        replies=replies,
        present=AnswerPresenter(answer_to_pb),
        clock=now,
        grace=config.open_intent_grace,
    )
    store = PgUses(pool, vault, now)
    consents = ConsentDesk(consents=store, disclosure=disclosure, clock=now)
    fetches = FetchDesk(
        uses=store,
        registers=DataNode(datanode, now),
        disclosure=disclosure,
        clock=now,
        source_life=timedelta(seconds=config.source_seconds),
    )
    servicer = AgriCreditServicer(consents, fetches, context_reader(config, now), Envelope(keys))
    await serve(
        config,
        PART,
        partial(register, servicer),
        tasks=protocol_tasks(disclosure, replies),
        closers=[fetches.drain, disclosure.drain, datanode.close, ledger.close, pool.close],
    )


if __name__ == "__main__":
    settings = load_config(AgriCreditConfig)
    run(PART, settings, lambda: main(settings))
