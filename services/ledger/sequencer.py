"""The single fenced sequencer: what waits goes into the next transaction, and leaves after its commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.entries import EntryKind, Receipt
from core.errors import ServiceError
from core.merkle import EMPTY_ROOT, leaf_hash
from services.ledger.custody import LogReader, Notary, prove, prove_leaf_tiles
from services.ledger.domain import (
    PART,
    Batch,
    CustodyError,
    FencedError,
    Head,
    ItemsTakenError,
    Known,
    Prepared,
    ReadOnlyError,
    StoreLostError,
    TreeHead,
    refuse_outcome,
    refuse_reuse,
    unavailable,
)
from services.ledger.merkle import TILE_HEIGHT, Tree

LARGEST_BATCH = 2048
MOST_ATTEMPTS = 3
STANDBY_SECONDS = 0.5
IDLE_SECONDS = 2.0
"""A sequencer without work asks so often whether it still has its place."""
RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 3.0
NEWEST_TILES = 256
"""So many full tiles of leaves are proved before the first append; the older ones while appending."""
SWEEP_PAUSE_SECONDS = 0.05


class LogSession(Protocol):
    """A session of the store that alone may append, as long as it lives."""

    async def try_lead(self) -> bool:
        """Takes the sequencer's place, if nobody has it."""
        ...

    async def take_epoch(self) -> Head:
        """Makes every earlier sequencer's writes impossible; the head after what they had committed."""
        ...

    async def begin(self, epoch: int, checkpoint: str) -> None:
        """Keeps the checkpoint of the empty tree, with which a log begins. Raises FencedError."""
        ...

    async def check_epoch(self, epoch: int) -> None:
        """Raises FencedError where a newer epoch has been taken."""
        ...

    async def known(self, item_ids: Collection[UUID]) -> Mapping[UUID, Known]:
        """What the log holds under these ids."""
        ...

    async def commit(self, epoch: int, batch: Batch) -> None:
        """Appends durably, all or nothing.

        Raises FencedError, ItemsTakenError, or StoreLostError: then it is not known whether it did.
        """
        ...


class LogStore(LogReader, Protocol):
    """The store; every method may raise StoreLostError."""

    def session(self) -> AbstractAsyncContextManager[LogSession]:
        """A session of its own, given back at the end together with the sequencer's place."""
        ...


class LastReleased(Protocol):
    """Keeps the last released checkpoint outside the database."""

    async def read(self) -> str | None:
        """The checkpoint; None where none was ever kept."""
        ...

    async def keep(self, checkpoint: str) -> None:
        """Keeps a checkpoint durably in place of the one before."""
        ...


class Observer(Protocol):
    """Is told what becomes of the sequencer."""

    def changed(self, state: State, why: str) -> None:
        """The sequencer is now in this state."""
        ...


class State(Enum):
    """What the sequencer does with an entry."""

    STANDBY = "standby"
    """Refuses: another sequencer has the place, or this one has not got it yet."""
    LEADING = "leading"
    """Appends."""
    RECOVERING = "recovering"
    """Lets it wait: the database has gone away and may be back at once."""
    READ_ONLY = "read_only"
    """Refuses until somebody has looked: the store does not hold the released log."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The item had been appended before; its first receipt is in the store."""

    item_id: UUID


Appended = Receipt | Repeated


@dataclass(slots=True, eq=False)
class _Waiting:
    item: Prepared
    future: asyncio.Future[Appended]
    attempts: int = 0


@dataclass(slots=True)
class _Plan:
    """What becomes of a batch's items: new entries in order, and the answers that are known already."""

    new: list[Prepared] = field(default_factory=list)
    place: dict[UUID, int] = field(default_factory=dict)
    closing: set[UUID] = field(default_factory=set)
    settled: list[tuple[_Waiting, ServiceError | Repeated]] = field(default_factory=list)
    following: list[tuple[_Waiting, int]] = field(default_factory=list)


class Sequencer:
    """Appends what is submitted, in order, a transaction at a time. `run` it beside the server."""

    def __init__(
        self, store: LogStore, notary: Notary, released: LastReleased, observer: Observer, clock: Clock
    ) -> None:
        self._store = store
        self._notary = notary
        self._released = released
        self._observer = observer
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._broken: CustodyError | None = None
        self._why = "it is starting"
        self._failures = 0
        # Full tiles of leaves: those before `_unproved` have not been proved yet, those up to `_proved` have.
        self._unproved: int | None = None
        self._proved = 0
        self.state = State.STANDBY

    def submit(self, items: Iterable[Prepared]) -> list[asyncio.Future[Appended]]:
        """A future for each item; cancel one to take back an item that is not yet being written.

        Raises UnavailableError or ReadOnlyError at once where this sequencer cannot append.
        """
        if self.state in {State.STANDBY, State.READ_ONLY}:
            raise self._refusal()
        # Nothing is taken while the database is away: what was given up meanwhile must not heap up.
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(item, loop.create_future()) for item in items]
        self._waiting.extend(waiting)
        self._arrived.set()
        return [one.future for one in waiting]

    def distrust(self, failure: CustodyError) -> None:
        """Ends the appending for good: somebody has proved that the store does not hold the released log."""
        self._broken = failure
        self._arrived.set()

    async def run(self) -> None:
        """Takes the sequencer's place and appends, until it is cancelled."""
        while True:
            try:
                async with self._store.session() as session:
                    while not await session.try_lead():
                        self._refuse_all(State.STANDBY, "another sequencer leads; this one stands by")
                        await asyncio.sleep(STANDBY_SECONDS)
                    await self._lead(session)
            except FencedError:
                self._refuse_all(State.STANDBY, "another sequencer has taken over")
            except CustodyError as failure:
                self._refuse_all(State.READ_ONLY, str(failure))
                await asyncio.Event().wait()
            except StoreLostError as failure:
                if self.state is not State.STANDBY:
                    self._enter(State.RECOVERING, f"the store is lost: {failure}")
                self._failures += 1
            await asyncio.sleep(min(RETRY_SECONDS * 2 ** min(self._failures, 6), LONGEST_RETRY_SECONDS))

    async def _lead(self, session: LogSession) -> None:
        """Proves, fences, and appends until the session is lost."""
        head = await session.take_epoch()
        full = head.size >> TILE_HEIGHT
        if self._unproved is None:
            self._unproved = max(0, full - NEWEST_TILES)
            self._proved = self._unproved
        tree = await prove(self._store, self._notary, head, await self._released.read(), self._proved)
        self._proved = full
        checkpoint = head.checkpoint or self._notary.sign(TreeHead(0, EMPTY_ROOT))
        if not head.checkpoint:
            await session.begin(head.epoch, checkpoint)
        await self._released.keep(checkpoint)
        self._failures = 0
        self._enter(State.LEADING, f"epoch {head.epoch}, {head.size} entries")
        sweep = asyncio.create_task(self._sweep())
        try:
            while True:
                batch = await self._take()
                if not batch:
                    await session.check_epoch(head.epoch)
                    continue
                try:
                    tree = await self._append(session, head.epoch, tree, batch)
                except BaseException:
                    self._put_back(batch)
                    raise
        finally:
            sweep.cancel()

    async def _take(self) -> list[_Waiting]:
        """What waits, without those whose callers have gone; nothing after a while without work."""
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), IDLE_SECONDS)
        if self._broken is not None:
            raise self._broken
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            one = self._waiting.popleft()
            if not one.future.done():
                batch.append(one)
        if not self._waiting:
            self._arrived.clear()
        return batch

    def _put_back(self, batch: Sequence[_Waiting]) -> None:
        """Lets a batch whose fate is unknown be tried again: what was committed is then found by its id."""
        for one in reversed(batch):
            one.attempts += 1
            if one.future.done():
                continue
            if one.attempts < MOST_ATTEMPTS:
                self._waiting.appendleft(one)
            else:
                one.future.set_exception(unavailable("the entry could not be written; try again"))
        if self._waiting:
            self._arrived.set()

    async def _append(self, session: LogSession, epoch: int, tree: Tree, batch: Sequence[_Waiting]) -> Tree:
        """Appends a batch; the tree afterwards. What the log holds of it is looked up where that matters."""
        if all(one.attempts == 0 and one.item.intent_id is None for one in batch):
            with suppress(ItemsTakenError):  # Ids that have never been tried are hardly ever there.
                return await self._write(session, epoch, tree, _plan(batch, {}))
        ids = {one.item.item_id for one in batch}
        ids |= {one.item.intent_id for one in batch if one.item.intent_id is not None}
        return await self._write(session, epoch, tree, _plan(batch, await session.known(ids)))

    async def _write(self, session: LogSession, epoch: int, tree: Tree, plan: _Plan) -> Tree:
        """Commits the new entries, keeps the checkpoint, then releases; the tree afterwards."""
        receipts: list[Receipt] = []
        if plan.new:
            grown, tiles = tree.grow(leaf_hash(entry.leaf) for entry in plan.new)
            checkpoint = self._notary.sign(TreeHead(grown.size, grown.root()))
            await session.commit(
                epoch, Batch(tree.size, plan.new, tiles, grown.size, checkpoint, self._clock())
            )
            await self._released.keep(checkpoint)
            receipts = [
                _receipt(entry, grown, tree.size + place, checkpoint) for place, entry in enumerate(plan.new)
            ]
            tree = grown.settled() if tiles else grown  # Only a full tile leaves something to let go of.
        for one, answer in plan.settled:
            _settle(one, answer)
        for one, place in plan.following:
            _settle(one, receipts[place])
        return tree

    async def _sweep(self) -> None:
        """Proves the leaves below the older tiles, slowly; a failure ends the appending."""
        try:
            while self._unproved:
                await prove_leaf_tiles(self._store, self._unproved - 1, self._unproved)
                self._unproved -= 1
                await asyncio.sleep(SWEEP_PAUSE_SECONDS)
        except CustodyError as failure:
            self._broken = failure
            self._arrived.set()
        except StoreLostError:
            return  # The next leadership sweeps again.

    def _refuse_all(self, state: State, why: str) -> None:
        self._enter(state, why)
        while self._waiting:
            one = self._waiting.popleft()
            if not one.future.done():
                one.future.set_exception(self._refusal())

    def _refusal(self) -> ServiceError:
        if self.state is State.READ_ONLY:
            return ReadOnlyError(f"the ledger is read-only: {self._why}", part=PART)
        return unavailable(f"the ledger cannot append now: {self._why}")

    def _enter(self, state: State, why: str) -> None:
        if (state, why) != (self.state, self._why):
            self.state, self._why = state, why
            self._observer.changed(state, why)


def _plan(batch: Sequence[_Waiting], known: Mapping[UUID, Known]) -> _Plan:
    """Sorts a batch, item by item in order: repeated, refused, or new."""
    plan = _Plan()
    for one in batch:
        item = one.item
        try:
            if item.item_id in plan.place:
                place = plan.place[item.item_id]
                refuse_reuse(plan.new[place].digest, item)
                plan.following.append((one, place))
            elif item.item_id in known:
                refuse_reuse(known[item.item_id].digest, item)
                plan.settled.append((one, Repeated(item.item_id)))
            else:
                if item.intent_id is not None:
                    refuse_outcome(_intent(plan, known, item.intent_id), item)
                    plan.closing.add(item.intent_id)
                plan.place[item.item_id] = len(plan.new)
                plan.following.append((one, len(plan.new)))
                plan.new.append(item)
        except ServiceError as refusal:
            plan.settled.append((one, refusal))
    return plan


def _intent(plan: _Plan, known: Mapping[UUID, Known], intent_id: UUID) -> Known | None:
    """An intent as it stands after what the batch has done so far."""
    intent = known.get(intent_id)
    if intent_id in plan.place:
        entry = plan.new[plan.place[intent_id]]
        intent = Known(entry.kind, entry.recorder, entry.digest, entry.kind is EntryKind.INTENT)
    if intent is not None and intent_id in plan.closing:
        intent = Known(intent.kind, intent.recorder, intent.digest, open=False)
    return intent


def _receipt(entry: Prepared, tree: Tree, index: int, checkpoint: str) -> Receipt:
    return Receipt(
        id=str(entry.item_id),
        entry=entry.leaf,
        index=index,
        tree_size=tree.size,
        hashes=tree.inclusion(index),
        checkpoint=checkpoint,
        answer_salt=entry.answer_salt,
    )


def _settle(one: _Waiting, answer: Appended | ServiceError) -> None:
    if one.future.done():
        return
    if isinstance(answer, ServiceError):
        one.future.set_exception(answer)
    else:
        one.future.set_result(answer)
