"""Which parts a rotation has still to do, kept beside the keys: a run that was cut off is gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.local import files


class Journal:
    """The parts that are left of a rotation of every part."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._path = folder / f"rotating-{kind}"

    def left(self) -> list[str]:
        """The parts that an earlier run has not finished."""
        try:
            return self._path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def begin(self, parts: Sequence[str]) -> None:
        """Notes what is to be done."""
        files.write_private(self._path, "\n".join(parts) + "\n")

    def done(self, part: str) -> None:
        """Notes that a part is done."""
        left = [one for one in self.left() if one != part]
        if left:
            self.begin(left)
        else:
            self._path.unlink(missing_ok=True)
