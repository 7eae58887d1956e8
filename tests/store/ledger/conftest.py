"""A ledger on a real database of its own, and what tests say to it."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.clock import Clock, now
from core.db import make_pool
from core.disclosure import Disclosure
from core.entries import Basis, BasisKind, Entry, EntryKind, Outcome, Receipt, RecordRef
from core.identity import Subject
from core.keyring import Keyring
from core.note import VerifierKey
from core.policy import Policy
from core.present import AnswerPresenter
from core.receipt import Proved, commitment, verify_receipt
from core.replies import PgReplies
from core.vault import Vault
from services.ledger.answers import answer_to_pb
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.disclosures import DisclosureDesk, OwnLedger
from services.ledger.publishing import PublicLog
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import Sequencer, State
from services.ledger.service import LedgerDesk
from services.ledger.standby import Peers
from services.ledger.store import PgLogStore
from services.ledger.store_uses import PgUses
from services.ledger.store_witnesses import PgContinuations, PgCosignatures
from tests.database import CityDatabase

SALT = b"\x05" * 32
ANSWER = b'{"answer":true}'
SUBJECT = Subject("111", "440299199001010010")
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
KEY = VerifierKey("onestop.example/ledger", PRIVATE.public_key().public_bytes_raw())


class Watch:
    """Remembers what became of a sequencer."""

    def __init__(self) -> None:
        self.seen: list[tuple[State, str]] = []
        self._turned = asyncio.Event()

    def changed(self, state: State, why: str) -> None:
        self.seen.append((state, why))
        self._turned.set()

    async def until(self, state: State) -> str:
        """Waits until the sequencer is in a state; why it is."""
        async with asyncio.timeout(10):
            while not self.seen or self.seen[-1][0] is not state:
                self._turned.clear()
                await self._turned.wait()
        return self.seen[-1][1]


@dataclass
class Town:
    """One ledger process's worth of objects."""

    desk: LedgerDesk
    public: PublicLog
    disclosures: DisclosureDesk
    sequencer: Sequencer
    store: PgLogStore
    pool: asyncpg.Pool
    vault: Vault
    watch: Watch
    file: Path
    task: asyncio.Task[None]

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        self.pool.terminate()

    async def append(self, *entries: Entry, recorder: str = "licence") -> list[Receipt]:
        """Receipts only; the first refusal is raised."""
        answers = await self.desk.append(recorder, entries)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, Receipt)]


StartLedger = Callable[..., Awaitable[Town]]


@pytest.fixture
async def start(fresh_database: CityDatabase, tmp_path: Path) -> AsyncIterator[StartLedger]:
    """`await start()` is a further ledger on this test's database; it leads before it is given."""
    towns: list[Town] = []

    async def begin(
        *,
        wait_for: State = State.LEADING,
        file: str = "last",
        dsn: str = "",
        key: VerifierKey = KEY,
        private: Ed25519PrivateKey = PRIVATE,
        policy: Policy | None = None,
        peers: Peers | None = None,
        clock: Clock = now,
    ) -> Town:
        pool = await make_pool(dsn or fresh_database.dsn("ledger"), 4)
        vault = await Vault.open(pool, Keyring.load(fresh_database.keyring("ledger")))
        store = PgLogStore(pool)
        notary = CheckpointNotary(key, private)
        watch = Watch()
        path = tmp_path / file
        sequencer = Sequencer(store, notary, LastReleasedFile(path), watch, now, peers=peers)
        album, former = PgCosignatures(pool), PgContinuations(pool)
        public = PublicLog(store, album, former, notary, policy or Policy())
        desk = LedgerDesk(sequencer, store, public, vault, clock)
        disclosure = Disclosure(
            ledger=OwnLedger(desk),
            replies=PgReplies(pool, vault, now),
            present=AnswerPresenter(answer_to_pb),
            clock=now,
        )
        disclosures = DisclosureDesk(PgUses(pool), vault, disclosure)
        task = asyncio.create_task(sequencer.run())
        town = Town(desk, public, disclosures, sequencer, store, pool, vault, watch, path, task)
        towns.append(town)
        await watch.until(wait_for)
        return town

    yield begin
    for town in towns:
        await town.stop()


@pytest.fixture
def admin(fresh_database: CityDatabase) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The database superuser, at home in the ledger's schema: an intruder who can do everything."""
    with psycopg.connect(fresh_database.admin_dsn, autocommit=True) as connection:
        connection.execute("SET search_path = ledger")
        yield connection


def disclosure(**changes: object) -> Entry:
    """An entry for an answer about to be released."""
    entry = Entry(
        item_id=uuid.uuid4(),
        kind=EntryKind.DISCLOSURE,
        method="licence.search",
        caller="approval-platform",
        office="11440203MB2C93721K",
        basis=Basis(BasisKind.MATTER, "sole-trader-registration", "2026-0001"),
        purpose="register a sole trader",
        operator="clerk.07",
        subject=SUBJECT,
        field_names=("name",),
        records=(RecordRef("licence.id_card", "1"),),
        outcome=Outcome.RELEASED,
        answer_commitment=commitment(SALT, ANSWER),
        answer_salt=SALT,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def intent(**changes: object) -> Entry:
    """An entry for an act about to be done."""
    return disclosure(
        **{
            "kind": EntryKind.INTENT,
            "method": "eseal.sign",
            "outcome": Outcome.NONE,
            "answer_commitment": b"",
            "answer_salt": b"",
            **changes,
        }
    )


def outcome(of: Entry, **changes: object) -> Entry:
    """The entry that says what became of an act."""
    return disclosure(
        **{
            "kind": EntryKind.OUTCOME,
            "method": of.method,
            "outcome": Outcome.COMPLETED,
            "intent_id": of.item_id,
            **changes,
        }
    )


def public(receipt: Receipt) -> dict[str, object]:
    """A receipt in its public JSON form."""
    return {
        "id": receipt.id,
        "entry": json.loads(receipt.entry),
        "index": receipt.index,
        "tree_size": receipt.tree_size,
        "hashes": [base64.b64encode(one).decode() for one in receipt.hashes],
        "checkpoint": receipt.checkpoint,
        "answer_salt": base64.b64encode(receipt.answer_salt).decode(),
        **({"opening_destroyed": True} if receipt.opening_destroyed else {}),
    }


def proved(receipt: Receipt, answered: bytes | None = ANSWER) -> Proved:
    """What an outsider with the public key alone can say of a receipt."""
    return verify_receipt(public(receipt), KEY, answered=answered)


def refusals(answers: Sequence[Receipt | Exception]) -> list[str | None]:
    """The reason of each refusal, None for each receipt."""
    return [getattr(answer, "reason", None) for answer in answers]
