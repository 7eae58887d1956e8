"""Checks a backup where it lies, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.backup import form
from cli.backup.logproof import opened
from cli.backup.take import check_data
from cli.showing import step
from core.note import Checkpoint
from deploy.local.errors import GroundError
from deploy.local.migrate import PARTS, known_migrations


def check(folder: Path, keys: Path | None, *, database: bool = True) -> form.Manifest:
    """The list of a backup whose every file is what the list says, and which this version can bring up.

    `keys` is where keys and certificates lie, if they were kept apart. `database=False` leaves the database's
    files to whoever copies them. Raises GroundError.
    """
    manifest = form.read(folder)
    if manifest.keys_apart and keys is None:
        raise GroundError(
            f"The keys of the backup {folder} were kept apart from it.",
            "name their folder too: `make restore FROM=… KEYS=…`, or `--keys`.",
        )
    _check_files(manifest, folder, keys or folder)
    check_migrations(manifest.migrations)
    checkpoint(manifest, folder)
    if database and manifest.database == "embedded":
        check_data(folder / form.DATABASE)
    return manifest


def checkpoint(manifest: form.Manifest, folder: Path) -> Checkpoint | None:
    """The checkpoint that the backup's database holds at least; None where the log had not begun."""
    note = (folder / form.CHECKPOINT).read_text(encoding="utf-8")
    return opened(note, manifest.verifier_key, "the backup's checkpoint") if note else None


def check_migrations(applied: Mapping[str, Sequence[str]]) -> None:
    """Passes where this version knows every migration that each part of the database has had."""
    for part, had in applied.items():
        known = known_migrations(part) if part in PARTS else []
        if strange := [name for name in had if name not in known]:
            raise GroundError(
                f"The backup is of a newer version of this program: it does not know {part}'s migration "
                f"{strange[0]}.",
                "restore it with the version that made it, or a later one.",
            )


def _check_files(manifest: form.Manifest, folder: Path, keys: Path) -> None:
    with step("checking the backup's files") as told:
        for place, (name, expected) in enumerate(manifest.files.items()):
            told(place, len(manifest.files))
            secret = name.split("/", 1)[0] in form.SECRET_FOLDERS
            path = (keys if secret else folder) / name
            if not path.is_file():
                raise GroundError(f"The backup is not whole: {path} is missing.", "use another backup.")
            if form.sum_of(path) != expected:
                raise GroundError(
                    f"{path} is not what it was when the backup was made: its checksum differs.",
                    "use another backup, or another copy of this one.",
                )
