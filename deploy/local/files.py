"""Private files and folders: readable by their owner alone, and written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

LOG_LIMIT = 20 * 1024 * 1024


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


def rotate(path: Path, limit: int = LOG_LIMIT, keep: int = 3) -> None:
    """Moves a log that has grown past `limit` bytes to `.1`, that to `.2`, and so on."""
    if not path.exists() or path.stat().st_size < limit:
        return
    for number in range(keep, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if newer.exists():
            newer.replace(older)
