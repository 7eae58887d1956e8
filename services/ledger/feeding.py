"""Brings new checkpoints to the witnesses and keeps what they sign; never in the sequencer's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from core.clock import Clock
from core.cosignature import Cosignature, cosignatures
from core.merkle import EMPTY_ROOT, VerificationError
from core.policy import Witness
from services.ledger.custody import LogReader, Notary, load_tree
from services.ledger.domain import CustodyError, Head, StoreLostError
from services.ledger.merkle import consistency_ranges
from services.ledger.proving import Prover

PAUSE_SECONDS = 1.0
"""Between two looks at the log: a checkpoint is under way to the witnesses that long after it at most."""
REPEAT_SECONDS = 60.0
"""A witness is asked anew about a log that has not grown: the time in its cosignature says that none has
come since, and it may have seen what this log does not hold any more."""
LONGEST_PAUSE_SECONDS = 15.0
"""Between two tries with a witness that does not answer, or refuses."""
FARTHEST_CLOCK_SECONDS = 300
"""A cosignature that is dated further ahead than this is not kept."""
MOST_TRIES = 3


class SilentError(Exception):
    """The witness cannot be reached in time, or its answer makes no sense; the message says which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A witness's answer to add-checkpoint: lines of a cosignature, the size that it knows, or a refusal."""

    status: int
    lines: str = ""
    size: int | None = None
    reason: str = ""


class Correspondent(Protocol):
    """The way to one witness (C2SP tlog-witness)."""

    @property
    def witness(self) -> Witness:
        """Whom it leads to."""
        ...

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> Answer:
        """Asks for a cosignature. Raises SilentError."""
        ...

    async def newest(self, origin: str) -> str | None:
        """The newest checkpoint of a log that it has cosigned. Raises SilentError."""
        ...


class FedLog(LogReader, Protocol):
    """The log, for reading; every method may raise StoreLostError."""

    async def head(self) -> Head:
        """Where the log stands."""
        ...


class Album(Protocol):
    """Where cosignatures are kept; may raise StoreLostError."""

    async def keep(self, size: int, made: Cosignature, line: str) -> None:
        """Keeps a proved cosignature of the checkpoint of this size."""
        ...


class Attitude(Enum):
    """What a witness does; values as in the contract."""

    UNASKED = 1
    COSIGNS = 2
    SILENT = 3
    REFUSES = 4


@dataclass(slots=True)
class Standing:
    """How a witness stands to this log."""

    attitude: Attitude = Attitude.UNASKED
    size: int = 0
    """Of the newest tree that it cosigned."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Where the log stood: the how-manieth look, during which leadership, and what it showed."""

    number: int
    term: int
    head: Head


class Onlooker(Protocol):
    """Is told when a witness's attitude changes."""

    def turned(self, witness: str, attitude: Attitude, why: str) -> None:
        """The witness does this now."""
        ...


class Feeder:
    """Keeps the witnesses fed, each at its own pace, while this process leads."""

    def __init__(
        self,
        log: FedLog,
        album: Album,
        notary: Notary,
        origin: str,
        correspondents: Sequence[Correspondent],
        *,
        leads: Callable[[], bool],
        distrust: Callable[[CustodyError], None],
        onlooker: Onlooker,
        clock: Clock,
        pause: float = PAUSE_SECONDS,
        repeat: float = REPEAT_SECONDS,
    ) -> None:
        self._log = log
        self._prover = Prover(log)
        self._album = album
        self._notary = notary
        self._origin = origin
        self._correspondents = correspondents
        self._leads = leads
        self._distrust = distrust
        self._onlooker = onlooker
        self._clock = clock
        self._pause = pause
        self._repeat = repeat
        self._standings = {one.witness.name: Standing() for one in correspondents}
        # What all witnesses are asked about next: the same for all of them, so that their cosignatures meet.
        self._sample: _Sample | None = None
        self._sampled = asyncio.Condition()

    @property
    def standings(self) -> Mapping[str, Standing]:
        """How each witness stands, by its name in the policy."""
        return self._standings

    async def run(self) -> None:
        """Feeds until it is cancelled. With no witness it only waits."""
        if not self._correspondents:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_sampling())
            for one in self._correspondents:
                group.create_task(self._keep_fed(one))

    async def _keep_sampling(self) -> None:
        """Looks where the log stands, while this process leads."""
        number, term, led = 0, 0, False
        while True:
            await asyncio.sleep(self._pause)
            led, before = self._leads(), led
            if not led:
                self._stand_by()
                continue
            term += not before
            try:
                head = await self._log.head()
            except StoreLostError:
                continue  # The sequencer says so, and waits for it too.
            if not head.checkpoint:
                continue
            number += 1
            async with self._sampled:
                self._sample = _Sample(number, term, head)
                self._sampled.notify_all()

    def _stand_by(self) -> None:
        """Another process feeds the witnesses, or nobody does; what one has proved against the log stays."""
        for standing in self._standings.values():
            if standing.attitude is not Attitude.REFUSES:
                standing.attitude = Attitude.UNASKED

    async def _next(self, after: int) -> _Sample:
        async with self._sampled:
            await self._sampled.wait_for(lambda: self._sample is not None and self._sample.number > after)
            assert self._sample is not None
            return self._sample

    async def _keep_fed(self, to: Correspondent) -> None:
        loop = asyncio.get_running_loop()
        standing = self._standings[to.witness.name]
        known, number, term = 0, 0, 0
        asked_at, not_before, failures = float("-inf"), float("-inf"), 0
        while True:
            sample = await self._next(number)
            number = sample.number
            if sample.term != term:
                term, asked_at, not_before, failures = sample.term, float("-inf"), float("-inf"), 0
            # What stands still is asked about once by each new leader, and then now and again.
            still = sample.head.size == standing.size and loop.time() - asked_at < self._repeat
            if still or loop.time() < not_before:
                continue
            try:
                known = await self._feed(to, known, sample.head)
            except StoreLostError:
                continue
            except SilentError as silence:
                self._turn(to, Attitude.SILENT, str(silence))
            except VerificationError as failure:
                self._turn(to, Attitude.REFUSES, str(failure))
            except CustodyError as failure:
                self._turn(to, Attitude.REFUSES, str(failure))
                if self._leads():
                    self._distrust(failure)
            else:
                asked_at, failures = loop.time(), 0
                self._turn(to, Attitude.COSIGNS, "it cosigns")
                continue
            failures += 1
            not_before = loop.time() + min(self._pause * 2.0 ** min(failures, 8), LONGEST_PAUSE_SECONDS)

    async def _feed(self, to: Correspondent, known: int, head: Head) -> int:
        """Gets a cosignature of the newest checkpoint; the size that the witness knows then.

        Raises CustodyError where the witness proves by our own signature that this log is not the one that
        was released; VerificationError where it refuses without such a proof; SilentError, StoreLostError.
        """
        for _ in range(MOST_TRIES):
            if known > head.size:
                head, known = await self._compare(to)
            proof = await self._proof(known, head.size)
            answer = await to.add_checkpoint(known, proof, head.checkpoint)
            if answer.status == 200:
                await self._keep(to, head, answer.lines)
                return head.size
            if answer.status == 409 and answer.size is not None:
                # It knows another size than we thought: the first time, or when another leader fed it.
                known = answer.size
                continue
            if answer.status == 422:
                # Either we were wrong about what it has seen, or it has seen what this log is not.
                head, known = await self._compare(to)
                continue
            raise VerificationError(f"it refuses the checkpoint with {answer.status}: {answer.reason}")
        raise VerificationError("it goes on refusing checkpoints that extend what it shows")

    async def _compare(self, to: Correspondent) -> tuple[Head, int]:
        """Holds the witness's newest checkpoint against the log: the head, and the size that it knows.

        Raises CustodyError where that checkpoint, signed by us, is none of this log's.
        """
        note = await to.newest(self._origin)
        if note is None:
            raise VerificationError("it refuses the checkpoint, and shows none of this log")
        try:
            seen = self._notary.open(note)
        except CustodyError as failure:
            raise VerificationError(f"what it shows is not signed by this log: {failure}") from None
        # Read after the witness's: whatever it has got from us had been committed by then.
        head = await self._log.head()
        if seen.size > head.size:
            raise CustodyError(
                f"the witness {to.witness.name} holds a checkpoint of this log over {seen.size} entries, and"
                f" the database holds {head.size}: it has been rolled back"
            )
        if await self._root_at(seen.size) != seen.root:
            raise CustodyError(
                f"the witness {to.witness.name} holds a checkpoint of this log over {seen.size} entries with"
                " another root: the log has been forked"
            )
        return head, seen.size

    async def _root_at(self, size: int) -> bytes:
        return (await load_tree(self._log, size)).root() if size else EMPTY_ROOT

    async def _proof(self, old_size: int, size: int) -> Sequence[bytes]:
        """The consistency proof (RFC 6962 section 2.1.2)."""
        if old_size in {0, size}:
            return ()
        ranges = consistency_ranges(old_size, size)
        try:
            return await self._prover.hashes(size, ranges)
        except (KeyError, ValueError):
            raise CustodyError(f"the stored tree is not whole at size {size}") from None

    async def _keep(self, to: Correspondent, head: Head, lines: str) -> None:
        """Keeps the lines that are proved to be the witness's, over this checkpoint. Raises SilentError."""
        key = to.witness.key
        kept = False
        for line in lines.splitlines(keepends=True):
            try:
                made = cosignatures(head.checkpoint + line, [key])
            except VerificationError as failure:
                raise SilentError(f"its cosignature does not hold: {failure}") from None
            for one in made:
                if one.seconds > self._clock().timestamp() + FARTHEST_CLOCK_SECONDS:
                    raise SilentError("its clock is far ahead")
                await self._album.keep(head.size, one, line)
                kept = True
        if not kept:
            raise SilentError("its answer holds no cosignature by its key")
        standing = self._standings[to.witness.name]
        standing.size = head.size

    def _turn(self, to: Correspondent, attitude: Attitude, why: str) -> None:
        standing = self._standings[to.witness.name]
        if standing.attitude is not attitude:
            standing.attitude = attitude
            self._onlooker.turned(to.witness.name, attitude, why)
