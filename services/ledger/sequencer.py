"""The single fenced sequencer: what waits goes into the next transaction, and leaves after its commit."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Protocol

from core.clock import Clock
from core.errors import ServiceError
from core.merkle import EMPTY_ROOT, leaf_hash
from services.ledger.custody import Notary, prove
from services.ledger.domain import (
    PART,
    Batch,
    CustodyError,
    FencedError,
    Head,
    ItemsTakenError,
    Prepared,
    ReadOnlyError,
    StoreLostError,
    TreeHead,
    unavailable,
)
from services.ledger.merkle import TILE_HEIGHT, Tree
from services.ledger.plan import Appended, Plan, Waiting, plan
from services.ledger.releasing import Committed, Releasing
from services.ledger.session import LogSession, LogStore
from services.ledger.standby import LEASE_SECONDS, LastReleased, LeafProofs, Peers, Standby

LARGEST_BATCH = 2048
MOST_ATTEMPTS = 3
IDLE_SECONDS = 0.5
"""A sequencer without work shows so often that it is there, and asks whether it still has its place."""
RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 3.0
NEWEST_TILES = 256
"""So many full tiles of leaves are proved before the first append; the older ones while appending."""
SWEEP_PAUSE_SECONDS = 0.05
SWEEP_BUSY_SECONDS = 0.25
"""Between two of the older tiles: without work, and beside it."""


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


class Sequencer:
    """Appends what is submitted, in order, a transaction at a time. `run` it beside the server."""

    def __init__(
        self,
        store: LogStore,
        notary: Notary,
        released: LastReleased,
        observer: Observer,
        clock: Clock,
        *,
        peers: Peers | None = None,
    ) -> None:
        self._store = store
        self._notary = notary
        self._released = released
        self._observer = observer
        self._clock = clock
        self._peers = peers
        self._proofs = LeafProofs(store)
        self._standby = Standby(store, notary, released, self._peers, self._proofs)
        self._waiting: deque[Waiting] = deque()
        self._arrived = asyncio.Event()
        self._broken: CustodyError | None = None
        self._why = "it is starting"
        self._failures = 0
        self._confirmed = 0.0  # When the store said last that this one leads; by this process's own clock.
        self._newest = ""
        self._releasing = Releasing(released, self._arrived.set)
        self.state = State.STANDBY

    def submit(self, items: Iterable[Prepared]) -> list[asyncio.Future[Appended]]:
        """A future for each item; cancel one to take back an item that is not yet being written.

        Raises UnavailableError or ReadOnlyError at once where this sequencer cannot append.
        """
        if self.state in {State.STANDBY, State.READ_ONLY}:
            raise self._refusal()
        if self.state is State.LEADING and time.monotonic() - self._confirmed > LEASE_SECONDS:
            # It was paused, or its database says nothing: another one may lead by now.
            raise unavailable("the ledger does not know whether it still leads; try again")
        # Nothing is taken while the database is away: what was given up meanwhile must not heap up.
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        loop = asyncio.get_running_loop()
        waiting = [Waiting(item, loop.create_future()) for item in items]
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
                    await self._standby.wait(session, NEWEST_TILES, self._stand_by)
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

    async def last_released(self) -> str | None:
        """The last released checkpoint as this process keeps it. Raises CustodyError, StoreLostError."""
        return await self._released.read()

    async def _lead(self, session: LogSession) -> None:
        """Proves, fences, and appends until the session is lost."""
        head = await session.take_epoch()
        tree = await self._prove(session, head)
        self._newest = head.checkpoint or self._notary.sign(TreeHead(0, EMPTY_ROOT))
        if not head.checkpoint:
            await session.begin(head.epoch, self._newest)
        await self._sign_anew(session, head.epoch, tree)
        await self._released.keep(self._newest)
        self._failures = 0
        self._confirmed = time.monotonic()
        self._enter(State.LEADING, f"epoch {head.epoch}, {head.size} entries")
        sweep = asyncio.create_task(self._sweep())
        try:
            while True:
                batch = await self._take()
                try:
                    # What only repeats earlier items commits nothing, which would not show that it leads.
                    if not batch or time.monotonic() - self._confirmed > IDLE_SECONDS:
                        await self._show(session, head.epoch, tree)
                    if batch:
                        tree = await self._append(session, head.epoch, tree, batch)
                except BaseException:
                    self._put_back(batch)
                    raise
        finally:
            sweep.cancel()
            self._put_back(await self._releasing.end())

    async def _show(self, session: LogSession, epoch: int, tree: Tree) -> None:
        """Without new entries: shows that this one is there, and sees that it still leads."""
        await self._releasing.finished()
        await session.beat(epoch)
        self._confirmed = time.monotonic()
        await self._sign_anew(session, epoch, tree)

    async def _sign_anew(self, session: LogSession, epoch: int, tree: Tree) -> None:
        """Signs the newest checkpoint with the keys that sign now, where these have changed."""
        if not self._notary.is_current(self._newest):
            checkpoint = self._notary.sign(TreeHead(tree.size, tree.root()))
            await session.sign_head(epoch, tree.size, checkpoint)
            await self._released.keep(checkpoint)
            self._newest = checkpoint

    async def _prove(self, session: LogSession, head: Head) -> Tree:
        """The tree, proved against what this process and its peers have released. The beat goes on."""
        full = head.size >> TILE_HEIGHT
        first = self._proofs.skip_to_newest(full, NEWEST_TILES)

        async def work() -> Tree:
            # Asked after the epoch was taken: nothing more is committed, and so released, by the one before.
            told = await self._peers.last_released() if self._peers is not None else ()
            released = [await self._released.read(), *told]
            return await prove(self._store, self._notary, head, released, first)

        proving = asyncio.create_task(work())
        try:
            while not (await asyncio.wait({proving}, timeout=IDLE_SECONDS))[0]:
                await session.beat(head.epoch)
        finally:
            proving.cancel()
            await asyncio.wait({proving})
        self._proofs.proved_to(full)
        return proving.result()

    async def _take(self) -> list[Waiting]:
        """What waits, without those whose callers have gone; nothing after a while without work."""
        if not self._arrived.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), IDLE_SECONDS)
        if self._broken is not None:
            raise self._broken
        batch: list[Waiting] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            one = self._waiting.popleft()
            if not one.future.done():
                batch.append(one)
        if not self._waiting:
            self._arrived.clear()
        return batch

    def _put_back(self, batch: Sequence[Waiting]) -> None:
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

    async def _append(self, session: LogSession, epoch: int, tree: Tree, batch: Sequence[Waiting]) -> Tree:
        """Appends a batch; the tree afterwards. What the log holds of it is looked up where that matters."""
        if all(one.attempts == 0 and one.item.intent_id is None for one in batch):
            with suppress(ItemsTakenError):  # Ids that have never been tried are hardly ever there.
                return await self._write(session, epoch, tree, plan(batch, {}))
        ids = {one.item.item_id for one in batch}
        ids |= {one.item.intent_id for one in batch if one.item.intent_id is not None}
        return await self._write(session, epoch, tree, plan(batch, await session.known(ids)))

    async def _write(self, session: LogSession, epoch: int, tree: Tree, made: Plan) -> Tree:
        """Commits the new entries; the tree afterwards. They are released while the next are committed."""
        grown, checkpoint = tree, self._newest
        if made.new:
            grown, tiles = tree.grow(leaf_hash(entry.leaf) for entry in made.new)
            checkpoint = self._notary.sign(TreeHead(grown.size, grown.root()))
            await session.commit(
                epoch, Batch(tree.size, made.new, tiles, grown.size, checkpoint, self._clock())
            )
            self._confirmed, self._newest = time.monotonic(), checkpoint
        # What is answered as a repetition may have been committed by the batch that is being released.
        await self._releasing.finished()
        for one, answer in made.settled:
            one.settle(answer)
        if not made.new:
            return tree
        self._releasing.begin(Committed(made, tree.size, grown, checkpoint))
        return grown.settled() if tiles else grown  # Only a full tile leaves something to let go of.

    async def _sweep(self) -> None:
        """Proves the leaves below the older tiles, slowly; a failure ends the appending."""
        try:
            for _ in range(self._proofs.older):
                before = self._newest
                await self._proofs.prove_older()
                await asyncio.sleep(SWEEP_PAUSE_SECONDS)
                if self._newest != before:
                    await asyncio.sleep(SWEEP_BUSY_SECONDS)
        except CustodyError as failure:
            self._broken = failure
            self._arrived.set()
        except StoreLostError:
            return  # The next leadership sweeps again.

    def _stand_by(self, why: str) -> None:
        self._failures = 0  # The store answers.
        self._refuse_all(State.STANDBY, why)

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
