"""The file that keeps the last released checkpoint outside the database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from services.ledger.domain import StoreLostError


class LastReleasedFile:
    """One signed note, replaced in one durable step: a crash leaves the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> str | None:
        """The checkpoint; None where none was ever kept. Raises StoreLostError where it cannot be read."""
        try:
            return await asyncio.to_thread(self._path.read_text, encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreLostError(f"{self._path.name} cannot be read: {error}") from error

    async def keep(self, checkpoint: str) -> None:
        """Keeps a checkpoint in place of the one before. Raises StoreLostError where it cannot."""
        try:
            await asyncio.to_thread(self._write, checkpoint.encode())
        except OSError as error:
            raise StoreLostError(f"{self._path.name} cannot be written: {error}") from error

    def _write(self, data: bytes) -> None:
        scratch = self._path.with_name(f".{self._path.name}.new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, data)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        scratch.replace(self._path)
