"""Private files and folders: readable by their owner alone, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

LOG_LIMIT = 20 * 1024 * 1024
STAMP = "%Y%m%dT%H%M%S.%f"


def private_folder(path: Path) -> None:
    """Makes a folder that its owner alone may enter (0700), or makes an existing one so."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)


def write_private(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Writes a file in one step: a crash leaves the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def rotate(path: Path, limit: int = LOG_LIMIT) -> None:
    """Moves a log that has grown past `limit` bytes away: see `set_aside`."""
    if path.exists() and path.stat().st_size >= limit:
        set_aside(path)


def set_aside(path: Path) -> None:
    """Gives a log the name of a piece that has ended now; `keeping.py` compresses and in time deletes it."""
    path.replace(piece_of(path, datetime.now(UTC)))


def piece_of(path: Path, ended: datetime) -> Path:
    """What a piece of this log is called that ended then: `<part>-<time>Z.log`."""
    return path.with_name(f"{path.stem}-{ended:{STAMP}}Z.log")


def sync(path: Path) -> None:
    """Puts a file's content on disk, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
