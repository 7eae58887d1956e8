"""Standing by: waiting for the sequencer's place, following what is released, seeing a leader gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from services.ledger.custody import LogReader, Notary, prove_leaf_tiles, prove_released
from services.ledger.domain import Head
from services.ledger.merkle import TILE_HEIGHT

POLL_SECONDS = 0.25
LEASE_SECONDS = 2.5
"""A leader whose beat stands still for so long has lost its place."""
ENDING_SECONDS = 0.1
TIMES_TO_END = 3
"""So often a session that shows no life is told to end, and given so long for it."""
TILES_A_POLL = 8
"""So many full tiles of leaves are proved at each look: more than are written meanwhile."""


_UNABLE = "this one keeps no last released checkpoint yet, and stands by until another ledger tells it one"


class Place(Protocol):
    """The sequencer's place, as a session of the store sees it."""

    async def try_lead(self) -> bool:
        """Takes the place, if nobody has it."""
        ...

    async def head(self) -> Head:
        """Where the log stands."""
        ...

    async def lead_beside(self) -> None:
        """Takes the place beside that of a session which does not end."""
        ...

    async def end_stale_leader(self, beat: int) -> bool:
        """Ends the session that has the place, if its beat is still this one and its process says nothing."""
        ...


class LastReleased(Protocol):
    """Keeps the last released checkpoint outside the database."""

    async def read(self) -> str | None:
        """The checkpoint; None where none was ever kept."""
        ...

    async def keep(self, checkpoint: str) -> None:
        """Keeps a checkpoint durably in place of the one before."""
        ...


class Peers(Protocol):
    """The other ledgers of this log."""

    async def last_released(self) -> Sequence[str]:
        """The checkpoints that those keep which answer now."""
        ...


class LeafProofs:
    """Which full tiles of leaves this process has proved: the newest at once, the older ones in time."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._end = 0
        self._older: list[tuple[int, int]] = []

    def skip_to_newest(self, full: int, newest: int) -> int:
        """Leaves all but the `newest` of `full` tiles for later; the first one that is to be proved now."""
        first = max(self._end, full - newest)
        if first > self._end:
            self._older.append((self._end, first))
            self._end = first
        return first

    async def advance(self, end: int) -> None:
        """Proves the tiles up to `end`. Raises CustodyError, StoreLostError."""
        if end > self._end:
            await prove_leaf_tiles(self._log, self._end, end)
            self._end = end

    def proved_to(self, end: int) -> None:
        """Somebody else has proved the tiles up to `end`."""
        self._end = max(self._end, end)

    @property
    def older(self) -> int:
        """How many tiles were left for later."""
        return sum(end - first for first, end in self._older)

    async def prove_older(self) -> None:
        """Proves the newest of the older tiles. Raises CustodyError, StoreLostError."""
        first, end = self._older[-1]
        await prove_leaf_tiles(self._log, end - 1, end)
        self._older.pop()
        if end - 1 > first:
            self._older.append((first, end - 1))


class Standby:
    """Waits for the place of the sequencer."""

    def __init__(
        self, log: LogReader, notary: Notary, released: LastReleased, peers: Peers | None, proofs: LeafProofs
    ) -> None:
        self._log = log
        self._notary = notary
        self._released = released
        self._peers = peers
        self._proofs = proofs
        self._followed = ""

    async def wait(self, place: Place, newest: int, refuse: Callable[[str], None]) -> None:
        """Returns when it is this one's turn to lead; tells `refuse` why it has not got it yet.

        A leader's beat is watched by this process's own clock, so that it does not matter what time others
        think it is. Raises CustodyError where the store no longer holds what was released, StoreLostError.
        """
        beat, since, ended = -1, 0.0, 0
        while True:
            head = await place.head()
            able = await self._is_able(head)
            if able and await place.try_lead():
                return
            moment = time.monotonic()
            if head.beat != beat:
                beat, since, ended = head.beat, moment, 0
                refuse("another sequencer leads; this one stands by" if able else _UNABLE)
            elif able and moment - since >= LEASE_SECONDS and await place.end_stale_leader(beat):
                refuse("the sequencer that leads shows no sign of life; this one takes over")
                if ended == TIMES_TO_END:
                    await place.lead_beside()
                    return  # Its session does not even end. The epoch keeps it out, whoever has the lock.
                ended += 1
                await asyncio.sleep(ENDING_SECONDS)
                continue
            await self._follow(place, head, newest)
            await asyncio.sleep(POLL_SECONDS)

    async def _is_able(self, head: Head) -> bool:
        """False of a new standby that has not learned yet what was released. One without peers finds out."""
        return self._peers is None or head.size == 0 or await self._released.read() is not None

    async def _follow(self, place: Place, head: Head, newest: int) -> None:
        """Keeps the newest checkpoint in this process's own file too, once it is proved that it continues
        the one there; and proves what was written, so that little is left to prove when it takes over."""
        if head.checkpoint and head.checkpoint != self._followed:
            kept = await self._released.read()
            if kept is None:
                # Asked before the head is read: what was released by then is in the log.
                told = await self._from_peers()
                head = await place.head()
                if told is None:
                    return  # Without one it cannot take over; perhaps a peer has one later.
                await prove_released(self._log, self._notary, head, told)
            else:
                await prove_released(self._log, self._notary, head, kept)
            if kept != head.checkpoint:
                await self._released.keep(head.checkpoint)
            self._followed = head.checkpoint
        full = head.size >> TILE_HEIGHT
        first = self._proofs.skip_to_newest(full, newest)
        await self._proofs.advance(min(full, first + TILES_A_POLL))

    async def _from_peers(self) -> str | None:
        """The newest checkpoint that a peer keeps: where a new standby begins."""
        told = await self._peers.last_released() if self._peers is not None else ()
        return max(told, key=lambda note: self._notary.open(note).size, default=None)
