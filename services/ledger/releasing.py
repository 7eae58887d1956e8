"""What was committed is released: its checkpoint is kept outside the database, then its receipts leave.

That goes on while the next batch is being committed. A batch leaves after the one before it, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.entries import Receipt
from services.ledger.domain import Prepared
from services.ledger.merkle import Tree
from services.ledger.plan import Plan, Waiting
from services.ledger.standby import LastReleased


@dataclass(frozen=True, slots=True)
class Committed:
    """A batch that is durable in the database."""

    plan: Plan
    first: int
    """The place of its first new entry in the log."""
    tree: Tree
    """The tree with it."""
    checkpoint: str

    def settle(self) -> None:
        """Gives everybody who waits for a new entry its receipt."""
        receipts = [self._receipt(entry, place) for place, entry in enumerate(self.plan.new, self.first)]
        for one, place in self.plan.following:
            one.settle(receipts[place])

    def _receipt(self, entry: Prepared, index: int) -> Receipt:
        return Receipt(
            id=str(entry.item_id),
            entry=entry.leaf,
            index=index,
            tree_size=self.tree.size,
            hashes=self.tree.inclusion(index),
            checkpoint=self.checkpoint,
            answer_salt=entry.answer_salt,
        )


class Releasing:
    """Releases one batch at a time."""

    def __init__(self, kept: LastReleased, failed: Callable[[], None]) -> None:
        """Calls `failed` when a batch could not be released, so that somebody asks `finished`."""
        self._kept = kept
        self._failed = failed
        self._batch: Committed | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, batch: Committed) -> None:
        """Begins to release a batch; the one before is `finished`."""
        self._batch = batch
        self._task = asyncio.create_task(self._release(batch))
        self._task.add_done_callback(self._look)

    async def finished(self) -> None:
        """Waits until everything committed is released. Raises StoreLostError where it could not be."""
        if self._task is not None:
            await asyncio.wait({self._task})
            self._task.result()
            self._task = self._batch = None

    async def end(self) -> Sequence[Waiting]:
        """Waits likewise, so that no older checkpoint is kept after a newer one; who still waits then."""
        if self._task is None or self._batch is None:
            return ()
        await asyncio.wait({self._task})
        waiting = [one for one, _ in self._batch.plan.following] if _lost(self._task) else []
        self._task = self._batch = None
        return waiting

    async def _release(self, batch: Committed) -> None:
        await self._kept.keep(batch.checkpoint)
        batch.settle()

    def _look(self, task: asyncio.Task[None]) -> None:
        if _lost(task):
            self._failed()


def _lost(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None
