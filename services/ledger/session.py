"""What the sequencer needs of the store: a session that alone may append, as long as it lives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from services.ledger.custody import LogReader
from services.ledger.domain import Batch, Head, Known
from services.ledger.standby import Place


class LogSession(Place, Protocol):
    """A session of the store that alone may append, as long as it lives."""

    async def take_epoch(self) -> Head:
        """Makes every earlier sequencer's writes impossible; the head after what they had committed."""
        ...

    async def begin(self, epoch: int, checkpoint: str) -> None:
        """Keeps the checkpoint of the empty tree, with which a log begins. Raises FencedError."""
        ...

    async def sign_head(self, epoch: int, size: int, checkpoint: str) -> None:
        """Keeps another signature of the same tree. Raises FencedError."""
        ...

    async def beat(self, epoch: int) -> None:
        """Shows whoever stands by that this one is at work. Raises FencedError at a newer epoch."""
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
