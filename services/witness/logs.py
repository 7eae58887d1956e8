"""The logs that the witness watches: verifier keys in files, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.merkle import VerificationError
from core.note import VerifierKey


class LogKeys:
    """Reads the files anew whenever it is asked, so that a rotated key or a new log counts at once."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def keys(self, origin: str) -> Sequence[VerifierKey]:
        """The keys that are trusted for an origin; none where it is not watched."""
        return [key for key in self.all() if key.name == origin]

    def all(self) -> list[VerifierKey]:
        """Every key. Raises VerificationError where a line is none; OSError."""
        lines = [line for file in self._files for line in file.read_text(encoding="utf-8").splitlines()]
        wanted = [line for line in lines if line.strip() and not line.startswith("#")]
        try:
            return [VerifierKey.parse(line) for line in wanted]
        except VerificationError as failure:
            raise VerificationError(f"a watched log's key: {failure}") from None
