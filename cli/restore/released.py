"""Which checkpoint the log released last, as far as anybody knows: it decides whether the log goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.backup.logproof import Proved, opened
from core.note import Checkpoint
from deploy.local.errors import GroundError
from services.ledger.domain import CustodyError
from services.ledger.released import LastReleasedFile

LAST_CHECKPOINT = "last-checkpoint"


@dataclass(frozen=True)
class Released:
    """A checkpoint that is known to have been released."""

    note: str
    said: Checkpoint


def newest_released(key: str, folder: Path, named: Path | None, *, replace: bool) -> Released | None:
    """The newest of what the ledger's processes have kept in `folder` and what the operator names, if any.

    What was kept of another log is none of ours when a city is replaced, and refused otherwise.
    """
    found = []
    for kept in sorted(folder.glob(f"{LAST_CHECKPOINT}*")):
        try:
            found.append(_read(kept, key))
        except GroundError:
            if not replace:
                raise
    if named is not None:
        found.append(_read(named, key))
    return max(found, key=lambda one: one.said.size, default=None)


def keep_released(path: Path, released: Released) -> None:
    """Writes the file by which the ledger knows what it has released."""
    asyncio.run(LastReleasedFile(path).keep(released.note))


def judge(proved: Proved, released: Released | None) -> Sequence[str]:
    """Why the restored ledger will be read-only; nothing where it goes on."""
    if released is None:
        if proved.size == 0:
            return []
        return [
            "The ledger will be READ-ONLY: nobody says which checkpoint it released last, and going on after",
            "an older one would make two histories. If the file ledger/last-checkpoint of the city survives,",
            "or a standby's copy, restore again with RELEASED=<that file>.",
        ]
    lost = released.said.size - proved.size
    if lost <= 0:
        return []
    return [
        f"The ledger will be READ-ONLY: it holds {proved.size} entries, and a checkpoint over "
        f"{released.said.size} was released:",
        f"{lost} entries are missing, which receipts were given for. Restore a newer backup, or follow the",
        "archive further (WAL=…). Lost for good, the log goes on only under a new origin and key:",
        "./onestop ledger continue.",
    ]


def _read(path: Path, key: str) -> Released:
    """From the ledger's own file, or from a checkpoint as a signed note."""
    if not path.is_file():
        raise GroundError(f"There is no file {path}.", "name the file last-checkpoint of the city's ledger.")
    try:
        note = asyncio.run(LastReleasedFile(path).read()) or ""
    except CustodyError:
        note = path.read_text(encoding="utf-8", errors="replace")
    return Released(note, opened(note, key, f"the checkpoint in {path}"))
