"""A restored log that lacks what it has released goes on under a new origin and key: an operator's act."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

from core.clock import Clock
from core.entries import EntryKind
from core.merkle import leaf_hash
from core.note import VerifierKey
from services.ledger.continuation import (
    OURSELVES,
    Continuation,
    NothingToContinueError,
    former_head,
    last_known,
    leaf_bytes,
)
from services.ledger.custody import LogReader, load_tree, prove
from services.ledger.domain import Batch, CustodyError, Head, Prepared, TreeHead
from services.ledger.entry import Opening
from services.ledger.session import LogSession

_NOTHING_HIDDEN = Opening(b"", "", b"", None, b"")


class LogStore(LogReader, Protocol):
    """The store; every method may raise StoreLostError."""

    def session(self) -> AbstractAsyncContextManager[LogSession]:
        """A session of its own, given back at the end together with the sequencer's place."""
        ...


class Notary(Protocol):
    """Signs the new log's checkpoints."""

    def sign(self, head: TreeHead) -> str:
        """The checkpoint of a tree, as a signed note."""
        ...

    def open(self, checkpoint: str) -> TreeHead:
        """What a checkpoint says. Raises CustodyError unless the new log's key signed it."""
        ...


class Sealer(Protocol):
    """Encrypts what stands beside an entry (core.vault)."""

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """The sealed form, bound to row and column."""
        ...

    def keyed_hash(self, *parts: bytes) -> bytes:
        """A keyed hash, for comparing without keeping."""
        ...


@dataclass(frozen=True, slots=True)
class Continued:
    """The new log's first checkpoint, and what was lost of the old one."""

    checkpoint: str
    former: Continuation | None
    """None where the log had been continued before, by a run that was cut off afterwards."""


class _FormerNotary:
    """Opens the old log's checkpoints, by any of its keys; it signs nothing any more."""

    def __init__(self, keys: Sequence[VerifierKey]) -> None:
        self._keys = keys

    def sign(self, head: TreeHead) -> str:
        """Never: the old log has ended."""
        raise AssertionError("an ended log signs nothing")

    def is_current(self, checkpoint: str) -> bool:
        """Whatever it was signed with: it is signed no more."""
        return True

    def open(self, checkpoint: str) -> TreeHead:
        """What a checkpoint says. Raises CustodyError."""
        return former_head(checkpoint, self._keys)


async def continue_log(
    store: LogStore,
    sealer: Sealer,
    clock: Clock,
    *,
    old: Sequence[VerifierKey],
    new: Notary,
    released: str | None,
    known: Iterable[str] = (),
) -> Continued:
    """Appends the first entry of the new origin, which names the last checkpoint known of the old one.

    `released` is what the ledger itself keeps as its last released checkpoint (None where that is lost), and
    `known` are further checkpoints of the old log, from witnesses and receipts; the newest of those that the
    database does not extend is named, or else the newest at all. What is left of the old log must be whole;
    its leaves are the new log's first ones. One transaction; again, it changes nothing.

    Raises NothingToContinueError where the log may go on as it is, or somebody appends to it; CustodyError
    where what is left is not whole; FencedError, StoreLostError.
    """
    async with store.session() as session:
        if not await session.try_lead():
            raise NothingToContinueError("a ledger leads and appends to this log: it needs no new origin")
        head = await session.take_epoch()
        if _is_continued(head, new):
            return Continued(head.checkpoint, None)
        left = await prove(store, _FormerNotary(old), head, [head.checkpoint or None], 0)
        told = [*([released] if released else []), *known]
        # What was lost is what must be named; the database's own checkpoint is in the new log anyway.
        lost = [note for note in told if not await _holds(store, head, last_known([note], old)[1])]
        if not lost and released is not None:
            raise NothingToContinueError(
                f"the database holds all that is known to have been released, up to its {head.size} entries:"
                " start the ledger as it is"
            )
        own = [head.checkpoint] if head.checkpoint else []
        note, _ = last_known(lost or [*own, *told], old)
        former = Continuation(old[0].name, tuple(str(key) for key in old), note, head.size, left.root())
        item_id, now = uuid4(), clock()
        leaf = leaf_bytes(item_id, now, former)
        entry = Prepared(
            item_id=item_id,
            kind=EntryKind.CONTINUATION,
            recorder=OURSELVES,
            caller=OURSELVES,
            intent_id=None,
            leaf=leaf,
            appended_at=now,
            digest=sealer.keyed_hash(b"ledger continuation", leaf),
            sealed=sealer.seal(_NOTHING_HIDDEN.to_bytes(), row=item_id, column="opening.sealed"),
            subject_index=None,
            index_version=None,
            answer_salt=b"",
        )
        grown, tiles = left.grow([leaf_hash(leaf)])
        checkpoint = new.sign(TreeHead(grown.size, grown.root()))
        await session.commit(head.epoch, Batch(head.size, [entry], tiles, grown.size, checkpoint, now))
        return Continued(checkpoint, former)


def _is_continued(head: Head, new: Notary) -> bool:
    try:
        new.open(head.checkpoint)
    except CustodyError:
        return False
    return True


async def _holds(store: LogReader, head: Head, last: TreeHead) -> bool:
    """Whether what is stored extends the last known checkpoint."""
    if last.size > head.size:
        return False
    return last.size == 0 or (await load_tree(store, last.size)).root() == last.root
