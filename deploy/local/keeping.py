"""How long logs are kept: as long as the law asks for, whatever room they take, and then no longer."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local import files

LEAST_DAYS = 184
"""No six months are longer. Network logs are kept for six months or more (Cybersecurity Law, 网络日志)."""
USUAL_DAYS = 200
USUAL_WARNING_MIB = 20 * 1024

_PIECE = re.compile(r"^(.+)-(\d{8}T\d{6}\.\d{6})Z\.log(\.gz)?$")
_NUMBERED = re.compile(r"^(.+)\.log\.(\d+)$")


@dataclass(frozen=True)
class Kept:
    """What tidying has left: bytes of all logs, and how many pieces were too old."""

    size: int
    deleted: int


def tidy(folder: Path, days: int, now: datetime) -> Kept:
    """Compresses the pieces of logs that are no longer written, and deletes those that ended `days` ago.

    A crash leaves a piece as it was, or compressed, or both; the next run goes on from there.
    """
    for path in list(folder.iterdir()):
        if _NUMBERED.match(path.name):  # Of a version that named them by numbers.
            path.rename(files.piece_of(path.with_suffix(""), _ended_by_file(path)))
    deleted = 0
    for path, ended in list(_pieces(folder)):
        if now - ended > timedelta(days=days):
            path.unlink()
            deleted += 1
        elif path.suffix != ".gz":
            _compress(path)
    return Kept(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()), deleted)


def pieces_of(folder: Path, part: str) -> list[Path]:
    """All that there is of a part's log, oldest first: its pieces, and what is being written."""
    dated: dict[str, Path] = {}
    numbered: list[tuple[int, Path]] = []
    for path in sorted(folder.iterdir()):
        if (found := _PIECE.match(path.name)) and found[1] == part:
            dated.setdefault(found[2], path)  # Both forms are there while one is made of the other.
        elif (found := _NUMBERED.match(path.name)) and found[1] == part:
            numbered.append((-int(found[2]), path))
    current = [path] if (path := folder / f"{part}.log").exists() else []
    return [*(path for _, path in sorted(numbered)), *(dated[stamp] for stamp in sorted(dated)), *current]


def _pieces(folder: Path) -> Iterator[tuple[Path, datetime]]:
    """The pieces that are no longer written, and when each ended, as its name says: copying keeps that."""
    for path in folder.iterdir():
        if found := _PIECE.match(path.name):
            yield path, datetime.strptime(found[2], files.STAMP).replace(tzinfo=UTC)


def _compress(path: Path) -> None:
    packed = path.with_name(f"{path.name}.gz")
    scratch = path.with_name(f".{packed.name}")
    with path.open("rb") as source, gzip.open(scratch, "wb") as target:
        shutil.copyfileobj(source, target)
    scratch.chmod(0o600)
    files.sync(scratch)
    scratch.replace(packed)
    path.unlink()


def _ended_by_file(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
