"""Where a restored city goes: filled beside, then put in place by renames that a crash cannot spoil."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.settings import Settings

STAGE = "restore.unfinished"
PIECES = ("keys", "pki", "ledger", "demo", "settings.json", "pg")
"""What a restore brings. Logs are the machine's, and stay."""


class Moves(BaseModel):
    """What is left to be done once everything is proved; kept in `Settings.restoring` until it is done.

    `aside` are the pieces that were there before, and go to the folder `aside_to`. `report` and `code` are
    what the restore says at its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aside: list[str]
    aside_to: str
    report: list[str]
    code: int


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """No city starts in this home meanwhile. Raises GroundError where one runs."""
    settings.home.mkdir(parents=True, exist_ok=True)
    files.private_folder(settings.run)
    with (settings.run / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GroundError(
                f"A city runs in {settings.home}.",
                "stop it first, or restore into another folder by ONESTOP_HOME.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def refuse_city(settings: Settings, *, replace: bool) -> None:
    """Passes where there is no city yet, or where its owner said that it is to make room."""
    there = [name for name in ("pg", "keys", "pki") if (settings.home / name).exists()]
    if there and not replace:
        raise GroundError(
            f"There is a city in {settings.home} already ({', '.join(there)}).",
            "restore into another folder by ONESTOP_HOME; or say REPLACE=yes (`--replace`): then what is "
            "there is moved aside, not deleted.",
        )


def begin(settings: Settings) -> Path:
    """An empty folder in the city's home, so that what is put in it can be renamed into place."""
    discard(settings)
    stage = settings.home / STAGE
    files.private_folder(stage)
    stage.chmod(0o711)  # The database's user has to pass it; what lies in it is closed itself.
    return stage


def discard(settings: Settings) -> None:
    """Lets go of what was staged."""
    shutil.rmtree(settings.home / STAGE, ignore_errors=True)


def settle(settings: Settings, report: list[str], code: int) -> Moves:
    """Decides for good that the staged city takes its place; a crash from here on is gone on from."""
    moves = Moves(
        aside=[name for name in PIECES if (settings.home / name).exists()],
        aside_to=f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        report=report,
        code=code,
    )
    files.write_private(settings.restoring, moves.model_dump_json() + "\n")
    return moves


def unsettled(settings: Settings) -> Moves | None:
    """The moves that an earlier restore, which was cut off, has left."""
    try:
        return Moves.model_validate_json(settings.restoring.read_bytes())
    except FileNotFoundError:
        return None


def finish(settings: Settings, moves: Moves) -> None:
    """Moves aside what was there, and the staged pieces in. What is done already is not done again."""
    home, aside = settings.home, settings.home / moves.aside_to
    if moves.aside:
        files.private_folder(aside)
    for name in moves.aside:
        if (home / name).exists() and not (aside / name).exists():
            (home / name).rename(aside / name)
    stage = home / STAGE
    for name in PIECES:
        if (stage / name).exists():
            (stage / name).rename(home / name)
    files.sync(home)
    settings.restoring.unlink()
    discard(settings)
