"""Runs an operator's command on the city in containers: `docker compose run --rm operator audit`.

The words are those of `./onestop`, which does the work on the city's folder and the database. Two things are
other than on one machine. What the ledger last released lies in a volume of its own, which the city's folder
leads to; a restore never sets it back. And what a command has changed of keys is handed to the parts.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.merkle import VerificationError
from core.note import Checkpoint, split_note
from deploy.compose.handing import CITY, OWN, hand_out, owner_dsn
from deploy.local.errors import GroundError
from services.ledger.domain import CustodyError, StoreLostError
from services.ledger.released import LastReleasedFile

RELEASED = Path("/released")
"""Where the ledger's own volume is mounted."""
LAST_CHECKPOINT = "last-checkpoint"
COMMANDS = (
    "audit",
    "authority",
    "backup",
    "export",
    "ledger",
    "prune",
    "remote",
    "restore",
    "shred",
    "verify",
)
HANDING = ("authority", "ledger", "restore")
"""Commands that may leave other keys than the parts have."""
WRONG = 2


def operate(arguments: Sequence[str]) -> int:
    """The exit code of the command. Raises GroundError."""
    command = arguments[0] if arguments else ""
    if command not in {*COMMANDS, "--help"}:
        raise GroundError(
            f"{command or 'Nothing'} is no command here.",
            f"choose from {', '.join(COMMANDS)}; keys are rotated by `setup` (docs/deploy-compose.md).",
        )
    words = list(arguments)
    if command == "restore":
        _unlink_released(CITY)
        if "--released" not in words and (RELEASED / LAST_CHECKPOINT).exists():
            words += ["--released", str(RELEASED / LAST_CHECKPOINT)]
    elif command != "--help":
        link_released(CITY, RELEASED)
    environment = {**os.environ, "ONESTOP_HOME": str(CITY), "DATABASE_URL": owner_dsn(CITY)}
    program = [sys.executable, "-m", "cli", *words]
    try:
        # The operator's own words, without a shell.
        return subprocess.run(program, env=environment, check=False).returncode  # noqa: S603
    finally:
        if command in HANDING:
            link_released(CITY, RELEASED)
            hand_out(CITY, OWN, ("ledger",))


def link_released(city: Path, released: Path) -> None:
    """Lets the city's folder lead to what the ledger keeps.

    A folder that a restore has left there goes, once the newer of the two checkpoints is in the ledger's
    volume. Raises GroundError where one of them is none.
    """
    place = city / "ledger"
    if place.is_dir() and not place.is_symlink():
        try:
            asyncio.run(_bring(place / LAST_CHECKPOINT, released / LAST_CHECKPOINT))
        except (CustodyError, StoreLostError, VerificationError) as failure:
            raise GroundError(f"A last released checkpoint: {failure}.", "bring the right file.") from None
        shutil.rmtree(place)
    if not place.is_symlink():
        place.symlink_to(released)


def _unlink_released(city: Path) -> None:
    """A restore puts a folder of its own in the place of what is there."""
    if (city / "ledger").is_symlink():
        (city / "ledger").unlink()


async def _bring(brought: Path, kept: Path) -> None:
    """Puts the one checkpoint in the other's place, if it is over more entries."""
    new, old = await LastReleasedFile(brought).read(), await LastReleasedFile(kept).read()
    if new is not None and _size(new) > (_size(old) if old is not None else -1):
        await LastReleasedFile(kept).keep(new)


def _size(note: str) -> int:
    return Checkpoint.parse(split_note(note)[0]).size


def main() -> int:
    """Also 2 with what is wrong when there is no such command or the city's folder is not whole."""
    try:
        return operate(sys.argv[1:])
    except GroundError as error:
        print(error, file=sys.stderr)
        return WRONG


if __name__ == "__main__":
    sys.exit(main())
