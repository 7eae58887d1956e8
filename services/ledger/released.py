"""The file that keeps the last released checkpoint outside the database.

Two slots of 4 KiB, written in turn and in place: `<counter> <length> <SHA-256>`, newline, signed note. A
crash spoils at most the slot that was being written, and the other one still holds the checkpoint before.
It is written at every commit, and in place that takes a seventh of the time of a new file under the old name.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import threading
from pathlib import Path

from services.ledger.domain import CustodyError, StoreLostError

SLOT_BYTES = 4096
SLOTS = 2


class LastReleasedFile:
    """Keeps one signed note durably."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counter: int | None = None
        self._turn = threading.Lock()

    def lock(self) -> bool:
        """Takes the file for this process as long as it lives; False where another one has it."""
        path = self._path.with_name(f".{self._path.name}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        return True  # The descriptor stays open: the kernel lets go of the lock with the process.

    async def read(self) -> str | None:
        """The checkpoint; None where none was ever kept.

        Raises CustodyError where the file holds none, StoreLostError where it cannot be read.
        """
        try:
            return await asyncio.to_thread(self._read)
        except OSError as error:
            raise StoreLostError(f"{self._path.name} cannot be read: {error.strerror}") from error

    async def keep(self, checkpoint: str) -> None:
        """Keeps a checkpoint in place of the one before; on disk when it returns.

        Raises StoreLostError where it cannot.
        """
        try:
            await asyncio.to_thread(self._keep, checkpoint)
        except OSError as error:
            raise StoreLostError(f"{self._path.name} cannot be written: {error.strerror}") from error

    def _read(self) -> str | None:
        with self._turn:
            return self._newest()

    def _newest(self) -> str | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._counter = 0
            return None
        slots = [_parse(data[at : at + SLOT_BYTES]) for at in range(0, SLOTS * SLOT_BYTES, SLOT_BYTES)]
        whole = [slot for slot in slots if slot is not None]
        if not whole:
            raise CustodyError(f"the file {self._path.name} holds no checkpoint")
        self._counter, checkpoint = max(whole)
        return checkpoint

    def _keep(self, checkpoint: str) -> None:
        with self._turn:
            self._write(checkpoint)

    def _write(self, checkpoint: str) -> None:
        if self._counter is None:
            self._newest()
        counter = (self._counter or 0) + 1
        slot = _format(counter, checkpoint)
        place = counter % SLOTS * SLOT_BYTES
        try:
            descriptor = os.open(self._path, os.O_WRONLY)
        except FileNotFoundError:
            self._make(place, slot)
        else:
            try:
                os.pwrite(descriptor, slot, place)
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        self._counter = counter

    def _make(self, place: int, slot: bytes) -> None:
        """A new file, whole or not at all."""
        scratch = self._path.with_name(f".{self._path.name}.new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
            os.pwrite(descriptor, slot, place)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        scratch.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _format(counter: int, checkpoint: str) -> bytes:
    note = checkpoint.encode()
    head = f"{counter} {len(note)} {_digest(counter, note)}\n".encode()
    if len(head) + len(note) > SLOT_BYTES:
        raise ValueError(f"a checkpoint of {len(note)} bytes does not fit its slot")
    return (head + note).ljust(SLOT_BYTES, b"\n")


def _parse(slot: bytes) -> tuple[int, str] | None:
    """Counter and checkpoint; None where the slot is empty or was cut off in writing."""
    head, _, rest = slot.partition(b"\n")
    try:
        counter, length, digest = head.decode("ascii").split(" ")
        note = rest[: int(length)]
        whole = _digest(int(counter), note) == digest
        return (int(counter), note.decode()) if whole else None
    except ValueError:
        return None


def _digest(counter: int, note: bytes) -> str:
    """Over both, so that a new counter before an old note counts as cut off."""
    return hashlib.sha256(b"%d\n" % counter + note).hexdigest()
