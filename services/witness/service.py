"""The witness's one use case: cosign a checkpoint that extends what was cosigned before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.clock import Clock
from core.note import VerifierKey
from services.witness.domain import (
    NOTHING,
    OtherSizeError,
    Seen,
    UnknownLogError,
    check_growth,
    read_submission,
    signed_by,
)


class Memory(Protocol):
    """What this witness has cosigned; durable, and its own."""

    async def find(self, origin: str) -> Seen | None:
        """The last checkpoint of a log that was cosigned."""
        ...

    async def find_by_hash(self, digest: str) -> Seen | None:
        """The same, by the SHA-256 of the log's origin in hexadecimal."""
        ...

    async def replace(self, origin: str, old_size: int, new: Seen) -> bool:
        """Puts a checkpoint in place of the one of `old_size`, durably before it returns.

        False where another one has taken that place meanwhile: then nothing is changed.
        """
        ...


class Logs(Protocol):
    """The logs that are watched."""

    def keys(self, origin: str) -> Sequence[VerifierKey]:
        """The keys that are trusted for an origin; none where it is not watched."""
        ...


class Cosigner(Protocol):
    """Signs as this witness."""

    def cosign(self, seconds: int, text: str) -> str:
        """The signature line over a checkpoint's text, dated `seconds` (POSIX)."""
        ...


class Witness:
    """Answers logs."""

    def __init__(self, memory: Memory, logs: Logs, cosigner: Cosigner, clock: Clock) -> None:
        self._memory = memory
        self._logs = logs
        self._cosigner = cosigner
        self._clock = clock

    async def add_checkpoint(self, body: bytes) -> str:
        """The cosignature line for a submitted checkpoint, once it is remembered. Raises RefusedError."""
        submission = read_submission(body)
        origin = submission.checkpoint.origin
        keys = self._logs.keys(origin)
        if not keys:
            raise UnknownLogError("this log is not watched here")
        note = signed_by(submission.note, keys)
        check_growth(submission, await self._memory.find(origin) or NOTHING)
        line = self._cosigner.cosign(int(self._clock().timestamp()), note.rpartition("\n\n")[0] + "\n")
        new = Seen(submission.checkpoint.size, submission.checkpoint.root, note + line)
        if not await self._memory.replace(origin, submission.old_size, new):
            raise OtherSizeError((await self._memory.find(origin) or NOTHING).size)
        return line

    async def newest(self, digest: str) -> str | None:
        """The last checkpoint that was cosigned of the log whose origin has this SHA-256, in lower-case
        hexadecimal digits; with its signatures. None where there is none."""
        seen = await self._memory.find_by_hash(digest)
        return seen.note if seen else None
