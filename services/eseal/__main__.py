"""Starts the seal service: settings, then adapters, then the desk, then the server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import grpc

from core.clock import now
from core.config import load_config
from core.db import open_pool
from core.disclosure import Disclosure
from core.keyring import Keyring
from core.ledger import LedgerClient
from core.replies_many import PgManyReplies
from core.rpc import channel, context_reader, protocol_tasks, run, serve
from core.together import Together
from core.vault import Vault
from services.eseal.bulk.desk import BulkDesk
from services.eseal.bulk.rpc import BulkServicer
from services.eseal.bulk.rpc import register as register_bulk
from services.eseal.bulk.turns import CALLS
from services.eseal.config import EsealConfig
from services.eseal.confined.patience import PatientWorkshop
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Format
from services.eseal.envelope import pades_envelope
from services.eseal.gm.ses_making import seal_signature
from services.eseal.gm.sm2_certificate import load_certificates
from services.eseal.keys.undumped import forbid_dumps
from services.eseal.keystore import VaultKeystore
from services.eseal.operating.keeping import Keeper
from services.eseal.operating.making import VaultSealMaker, load_authorities
from services.eseal.operating.store import PgKeepingStore
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.refusals import KeystoreUnavailableError
from services.eseal.remote.desk import RemoteDesk
from services.eseal.remote.keys import RemoteKeys
from services.eseal.remote.rpc import RemoteServicer, presenting
from services.eseal.remote.rpc import register as register_remote
from services.eseal.remote.signing import BOTTOM_TEXT, RemoteSigning
from services.eseal.remote.store import PgRemoteStore
from services.eseal.rpc import present, register
from services.eseal.sealing.ports import Workshop as AnyWorkshop
from services.eseal.sealing.pressing import Presses
from services.eseal.sealing.putting import Keystore, Putting
from services.eseal.service import SealDesk
from services.eseal.store import PgSealStore
from services.eseal.templates.desk import TemplateDesk
from services.eseal.templates.filler import TemplateFiller
from services.eseal.templates.rpc import register as register_templates
from services.eseal.templates.store import PgPlates
from services.eseal.trust.authority import known_above, load_roots
from services.eseal.trust.timestamps import (
    OutsideStamps,
    ProvedClock,
    TimedKeystore,
)

PART = "eseal"


async def main(config: EsealConfig) -> None:
    """Serves until the process is told to stop."""
    forbid_dumps()
    token, writing_token = config.token(), config.token(writing=True)
    workshop = Workshop(
        workers=config.pdf_workers or max(2, os.cpu_count() or 2),
        cpu_seconds=config.pdf_cpu_seconds,
        libcrypto=config.libcrypto,
    )
    public_workshop = Workshop(
        workers=1, cpu_seconds=config.pdf_cpu_seconds, waiting=8, libcrypto=config.libcrypto
    )
    sm2 = config.sm2()
    roots = {
        Format.PDF: load_roots(config.seal_roots),
        Format.OFD: load_certificates(config.sm2_seal_roots) if config.sm2_seal_roots else [],
    }
    await workshop.open()
    await public_workshop.open()
    pool = await open_pool(config)
    vault = await Vault.open(pool, Keyring.load(config.keyring))
    replies = PgManyReplies(pool, vault, now)
    ledger = channel(config, "ledger")
    keys = VaultKeystore(pool, vault, sm2, token, writing_token)
    keystore: Keystore = keys
    if token is not None:
        with suppress(KeystoreUnavailableError):  # It says so in the log; other keys are used all the same.
            await token.require()
    authority = config.authority()
    proof = ProvedClock(authority, now) if authority else None
    if proof is not None:
        await proof.prove()  # Before anybody can ask for a seal; without an answer it starts all the same.
        keystore = TimedKeystore(keystore, proof)
    entries = LedgerClient(ledger)
    disclosure = Disclosure(
        ledger=entries,
        replies=replies,
        present=presenting(present),
        clock=now,
        grace=config.open_intent_grace,
    )
    proofs, store, plates = config.proofs(authority, sm2), PgSealStore(pool), PgPlates(pool, now)
    filler = TemplateFiller(config.verification_address, plates)
    await filler.open()
    together = Together(ledger=entries, replies=replies, present=present, clock=now)

    def putting_by(workshop: AnyWorkshop) -> Putting:
        return Putting(
            store=store,
            keystore=keystore,
            presses=Presses(workshop, pades_envelope, seal_signature, proofs.lasting),
            filler=filler,
            proofs=proofs,
            hasher=vault,
            clock=now,
        )

    putting = putting_by(workshop)
    desk = SealDesk(
        store=store,
        putting=putting,
        sealing=BulkDesk(store, putting, together, now, turns=CALLS),
        workshop=workshop,
        public_workshop=public_workshop,
        disclosure=disclosure,
        roots=roots,
        hasher=vault,
        clock=now,
        proofs=proofs,
    )
    remote = PgRemoteStore(pool, vault, now)
    remote_keys = RemoteKeys()
    signing = RemoteSigning(
        store=remote,
        keys=remote_keys,
        workshop=workshop,
        envelope=pades_envelope,
        draw=partial(draw_round_seal, bottom_text=BOTTOM_TEXT),
        disclosure=disclosure,
        require_time=proof.require if proof else lambda: None,
        clock=now,
    )
    contexts = context_reader(config, now)
    servicer = RemoteServicer(
        RemoteDesk(store=remote, keys=remote_keys, disclosure=disclosure, clock=now),
        signing,
        OutsideStamps(authority),
        contexts,
        above=known_above(roots[Format.PDF]),
    )

    patient = putting_by(PatientWorkshop(workshop))
    templates = TemplateDesk(filler=filler, plates=plates, store=store, clock=now)
    streams = BulkDesk(store, patient, together, now)
    bulk = BulkServicer(streams, patient, contexts, templates.plate)

    def register_all(server: grpc.aio.Server) -> Sequence[str]:
        return [
            *register(desk, contexts, now, server),
            *register_bulk(bulk, server),
            *register_remote(servicer, server),
            *register_templates(desk, templates, contexts, server),
        ]

    keeper = Keeper(
        store=PgKeepingStore(pool),
        maker=VaultSealMaker(vault, *load_authorities(config.seal_authority, sm2), workshop),
        keys=keys,
        disclosure=disclosure,
        clock=now,
    )
    await serve(
        config,
        PART,
        register_all,
        tasks=[
            *protocol_tasks(disclosure, replies),
            remote.sweep_forever,
            plates.sweep_forever,
            keeper.run,
            *([proof.keep] if proof else []),
        ],
        closers=[
            bulk.drain,
            together.drain,
            disclosure.drain,
            workshop.close,
            public_workshop.close,
            *(one.close for one in (token, writing_token) if one is not None),
            ledger.close,
            pool.close,
        ],
    )


if __name__ == "__main__":
    settings = load_config(EsealConfig)
    run(PART, settings, lambda: main(settings))
