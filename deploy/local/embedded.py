"""The city's own PostgreSQL as its settings describe it: one description for all that start it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from deploy.local import files
from deploy.local.postgres import Cluster
from deploy.local.settings import WAL_ARCHIVE, WAL_ARCHIVE_SECONDS, Settings, wal_archive

KEPT = (WAL_ARCHIVE, WAL_ARCHIVE_SECONDS)


def embedded(settings: Settings) -> Cluster:
    """The server of the data in `settings.home`, which archives its write-ahead log where it is told to.

    A command that starts the server of a city which is stopped archives as the city did when it ran last:
    a piece of the log that is in no archive would end every recovery there.
    """
    archive, seconds = settings.wal_archive, settings.wal_archive_seconds
    if archive is None:
        archive, seconds = wal_archive(kept_settings(settings.home))
    return Cluster(
        settings.home / "pg",
        settings.ports["postgres"],
        password_file=settings.keys / "postgres.password",
        log_file=settings.logs / "postgres.log",
        settings=archiving(archive, seconds) if archive else {},
        folders=[archive] if archive else [],
    )


def archiving(folder: Path, seconds: int) -> dict[str, str]:
    """The server's settings for continuous archiving: each segment of the log when it is full, and what
    there is of it after `seconds` at the latest. `basic_archive` is PostgreSQL's own module: it writes under
    another name, flushes, renames, and never replaces a segment by a different one.
    """
    return {
        "archive_mode": "on",
        "archive_library": "basic_archive",
        "basic_archive.archive_directory": str(folder),
        "archive_timeout": f"{seconds}s",
    }


def keep_settings(settings: Settings) -> None:
    """Notes what the city was started with, for commands, and for whoever restores it elsewhere."""
    chosen = {
        name: value
        for name, value in sorted(settings.environment.items())
        if name.startswith("ONESTOP_") and name != "ONESTOP_HOME"
    }
    text = json.dumps(chosen, ensure_ascii=False, indent=2)
    files.write_private(settings.home / "settings.json", text + "\n")


def kept_settings(home: Path) -> Mapping[str, str]:
    """What `keep_settings` has noted; nothing where the city has never been started."""
    try:
        kept = json.loads((home / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}
