"""What a backup consists of: a folder whose `backup.json` names and sums everything else in it.

backup.json            this list, written last: a folder without it is no backup
database/              a base backup of PostgreSQL with its own manifest, as pg_basebackup makes it
ledger/checkpoint      the log's newest checkpoint when the backup began: the database holds it
settings.json          what the city was started with
keys/, pki/, demo/     or apart from it, in a folder of their own
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from deploy.local import files
from deploy.local.errors import GroundError

NAME = "backup.json"
DATABASE = "database"
CHECKPOINT = "ledger/checkpoint"
SETTINGS = "settings.json"
PG_MANIFEST = f"{DATABASE}/backup_manifest"
SECRET_FOLDERS = ("keys", "pki")
"""What opens everything else; may be kept in a place of its own."""
BLOCK = 1 << 20


class FileSum(BaseModel):
    """A file's length in bytes and its SHA-256, hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """`backup.json`. `migrations` are those that each part's schema has had, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["onestop-backup/1"]
    database: Literal["embedded", "outside"]
    """`outside`: the database is backed up by its own server's tools, and is not in here."""
    began_at: AwareDatetime
    ended_at: AwareDatetime
    postgresql: str
    system_identifier: str
    verifier_key: str
    """The log's, in C2SP form; of keys that have signed before as well, a line each."""
    migrations: Mapping[str, list[str]]
    keys_apart: bool
    files: Mapping[str, FileSum]
    """By path below the backup's folder, or that of the keys; `database/` by the sum of its own manifest."""


def read(folder: Path) -> Manifest:
    """A backup's list. Raises GroundError where the folder holds no whole backup."""
    try:
        return Manifest.model_validate_json((folder / NAME).read_bytes())
    except FileNotFoundError:
        raise GroundError(
            f"{folder} holds no whole backup: there is no {NAME}.",
            "name the folder that `make backup` has made; one that was cut off cannot be used.",
        ) from None
    except ValidationError as failure:
        first = failure.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise GroundError(
            f"{folder / NAME} is not the list of a backup: {where or 'it'}: {first['msg']}.",
            "use another backup, or the version of this program that made it.",
        ) from None


def write(folder: Path, manifest: Manifest) -> None:
    """Writes the list durably; from now on the folder is a backup."""
    files.write_private(folder / NAME, manifest.model_dump_json(indent=2) + "\n")
    files.sync(folder)


def sum_of(path: Path) -> FileSum:
    """A file's sum, read in blocks."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
    return FileSum(size=size, sha256=digest.hexdigest())


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, FileSum]:
    """The sums of these files, and of every file in these folders, by path below `folder`."""
    found: dict[str, FileSum] = {}
    for name in names:
        path = folder / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in inside:
            if one.is_file() and not one.is_symlink():
                found[one.relative_to(folder).as_posix()] = sum_of(one)
    return found


def copy_private(source: Path, target: Path) -> None:
    """Copies the plain files of a folder, and of those in it, each with its own mode; folders get 0700.

    A file that is gone when its turn comes was a passing one, and is left out.
    """
    files.private_folder(target)
    for one in sorted(source.iterdir()):
        if one.is_dir() and not one.is_symlink():
            copy_private(one, target / one.name)
        elif one.is_file() and not one.name.startswith("."):
            try:
                mode, content = one.stat().st_mode & 0o777, one.read_bytes()
            except FileNotFoundError:
                continue
            files.write_private(target / one.name, content, mode)
