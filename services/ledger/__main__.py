"""Starts the ledger: `python -m services.ledger`."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc
from pydantic import Field, FilePath

from core import production
from core.clock import now
from core.config import ServiceConfig, load_config
from core.db import open_pool
from core.disclosure import Disclosure
from core.keyring import Keyring
from core.merkle import VerificationError
from core.policy import Policy
from core.present import AnswerPresenter
from core.production import Refusal
from core.replies import PgReplies
from core.rpc import channels_to_each, context_reader, run, serve
from core.vault import Vault
from services.ledger.answers import answer_to_pb
from services.ledger.checkpoint import CheckpointNotary, KeyFileError
from services.ledger.correspondence import HttpCorrespondent, is_address
from services.ledger.disclosures import DisclosureDesk, OwnLedger
from services.ledger.domain import PART
from services.ledger.feeding import Feeder
from services.ledger.peers import GrpcPeers
from services.ledger.publishing import PublicLog
from services.ledger.released import LastReleasedFile
from services.ledger.rpc import SERVICE, LedgerServicer, Standing
from services.ledger.sequencer import Sequencer, State
from services.ledger.service import LedgerDesk
from services.ledger.shredding import Shredder
from services.ledger.signers import KeyWatch
from services.ledger.store import PgLogStore
from services.ledger.store_uses import PgUses
from services.ledger.store_witnesses import PgContinuations, PgCosignatures


class LedgerConfig(ServiceConfig):
    """What the ledger needs beside what every service does."""

    issuer: str = Field(min_length=1)
    signing_key: FilePath
    """Ed25519, PEM: signs the checkpoints. While the key is rotated it holds the next one too."""
    verifier_key: FilePath
    """The same key's public half in C2SP form, `<origin>+<id>+<key>`; its name is the log's origin. Those
    of keys that have signed before stay in it, a line each."""
    last_checkpoint: Path
    """Where the last released checkpoint is kept, outside the database and its backups; made by the ledger.

    Without it, or with a newer one than the database holds, the ledger is read-only. Each process has a file
    of its own; a new standby begins with what a peer in `ledger` keeps.
    """
    witnesses: FilePath | None = None
    """The witnesses and how many of them are wanted, as C2SP tlog-policy writes it, each with the address of
    its submission prefix; unset means none."""
    witnesses_ca: FilePath | None = None
    """PEM: further authorities of the witnesses' certificates, beside the system's."""

    def unsafe(self) -> Iterator[Refusal]:
        """Also a log key, or a log's name, that is development's."""
        yield from super().unsafe()
        yield from production.unsafe_keys("ONESTOP_SIGNING_KEY", [self.signing_key])
        yield from production.unsafe_origin("ONESTOP_VERIFIER_KEY", self.verifier_key)
        yield from production.unsafe_certificates("ONESTOP_WITNESSES_CA", self.witnesses_ca)


async def main(config: LedgerConfig) -> None:
    """Serves until SIGTERM or SIGINT."""
    try:
        notary = CheckpointNotary.load(config.signing_key, config.verifier_key)
    except KeyFileError as failure:
        raise SystemExit(f"ONESTOP_SIGNING_KEY or ONESTOP_VERIFIER_KEY: {failure}") from None
    policy = _policy(config)
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    store = PgLogStore(pool)
    standing = Standing()
    released = LastReleasedFile(config.last_checkpoint)
    if not released.lock():
        raise SystemExit("ONESTOP_LAST_CHECKPOINT: another process uses this file; each ledger has its own")
    peers = GrpcPeers(channels_to_each(config, PART)) if "," in config.ledger else None
    sequencer = Sequencer(store, notary, released, standing, now, peers=peers)
    album = PgCosignatures(pool)
    public = PublicLog(store, album, PgContinuations(pool), notary, policy)
    desk = LedgerDesk(sequencer, store, public, vault, now)
    tls = _witness_tls(config)
    correspondents = [HttpCorrespondent(one, tls) for one in policy.witnesses if one.url]
    feeder = Feeder(
        store,
        album,
        notary,
        notary.origin,
        correspondents,
        leads=lambda: sequencer.state is State.LEADING,
        distrust=sequencer.distrust,
        onlooker=standing,
        clock=now,
    )
    replies = PgReplies(pool, vault, now)
    disclosure = Disclosure(
        ledger=OwnLedger(desk),
        replies=replies,
        present=AnswerPresenter(answer_to_pb),
        clock=now,
        grace=config.open_intent_grace,
    )
    disclosures = DisclosureDesk(PgUses(pool), vault, disclosure)
    reader = context_reader(config, now)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        servicer = LedgerServicer(desk, reader, public, feeder.standings, disclosures=disclosures)
        pb_grpc.add_LedgerServiceServicer_to_server(servicer, server)
        return [SERVICE]

    tasks = [sequencer.run, vault.keep_fresh, replies.sweep_forever, feeder.run, KeyWatch(notary, store).run]
    tasks.append(Shredder(desk, sequencer, store).run)
    others = [] if peers is None else [peers.close]
    closers = [*others, *(one.close for one in correspondents), pool.close]
    await serve(config, PART, register, tasks=tasks, readiness=standing.show, closers=closers)


def _policy(config: LedgerConfig) -> Policy:
    """The witnesses' policy. Exits where it is malformed, or a witness has no address that can be asked."""
    if config.witnesses is None:
        return Policy()
    try:
        policy = Policy.parse(config.witnesses.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, VerificationError) as failure:
        raise SystemExit(f"ONESTOP_WITNESSES: {failure}") from None
    if wrong := [one.name for one in policy.witnesses if not is_address(one.url)]:
        raise SystemExit(f"ONESTOP_WITNESSES: no https address for {', '.join(wrong)}")
    return policy


def _witness_tls(config: LedgerConfig) -> ssl.SSLContext:
    """How witnesses are reached: their certificates are checked, and ours is shown to who asks for it."""
    context = ssl.create_default_context()
    if config.witnesses_ca is not None:
        context.load_verify_locations(config.witnesses_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context


if __name__ == "__main__":
    settings = load_config(LedgerConfig)
    run(PART, settings, lambda: main(settings))
