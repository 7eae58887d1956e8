"""Takes a backup of a city that runs, or that is stopped: whole under its name, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cli.backup import form, tools
from cli.backup.logproof import newest_checkpoint, opened
from cli.keys.ground import is_embedded, owners_database
from cli.showing import step
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.migrate import applied_migrations
from deploy.local.settings import Settings

UNFINISHED = ".unfinished"
"""Ends the name of a folder that is being filled. Only such a one is ever removed."""


def take(settings: Settings, to: Path, keys_to: Path | None) -> form.Manifest:
    """Makes the folder `to`, and `keys_to` for keys and certificates where that is given.

    The embedded database is copied as it is at the end, with the log that makes the copy consistent. Of one
    outside only the checkpoint is kept. Raises GroundError; then there is no folder `to`.
    """
    os.umask(0o077)
    for folder in (to, *([keys_to] if keys_to else [])):
        _refuse_taken(folder)
    fresh = _begin(to)
    secrets = _begin(keys_to) if keys_to else fresh
    try:
        with owners_database(settings) as dsn:
            manifest = _fill(settings, dsn, fresh, secrets)
        if manifest.database == "embedded":
            check_data(fresh / form.DATABASE)
        form.write(fresh, manifest)
        if keys_to:
            _name(secrets, keys_to)
        _name(fresh, to)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(secrets, ignore_errors=True)
    return manifest


def check_data(data: Path) -> None:
    """Compares every file of a copied database with the manifest that the server made, and reads its log.

    Raises GroundError.
    """
    with step("checking the copy of the database") as told:
        tools.run("pg_verifybackup", ["--progress", str(data)], told=told)


def _fill(settings: Settings, dsn: str, fresh: Path, secrets: Path) -> form.Manifest:
    began = datetime.now(UTC)
    embedded = is_embedded(settings, dsn)
    before = _secret_sums(settings)
    for name in form.SECRET_FOLDERS:
        form.copy_private(settings.home / name, secrets / name)
    if (settings.home / "demo").exists():
        form.copy_private(settings.home / "demo", fresh / "demo")
    if (settings.home / form.SETTINGS).exists():
        files.write_private(fresh / form.SETTINGS, (settings.home / form.SETTINGS).read_bytes())
    with psycopg.connect(dsn, autocommit=True) as connection:
        checkpoint = newest_checkpoint(connection)
        migrations = applied_migrations(connection)
        row = connection.execute(
            "SELECT current_setting('server_version'), system_identifier::text FROM pg_control_system()"
            if embedded
            else "SELECT current_setting('server_version'), ''"
        ).fetchone()
    assert row is not None
    key = (settings.keys / "ledger.vkey").read_text(encoding="utf-8").strip()
    if checkpoint:
        opened(checkpoint, key, "the newest checkpoint in the database")
    files.private_folder(fresh / "ledger")
    files.write_private(fresh / form.CHECKPOINT, checkpoint)
    if embedded:
        with step("copying the database") as told:
            arguments = ["--format=plain", "--wal-method=stream", "--checkpoint=fast", "--progress"]
            arguments += ["--manifest-checksums=SHA256", f"--pgdata={fresh / form.DATABASE}"]
            tools.run("pg_basebackup", arguments, dsn=dsn, told=told)
    if _secret_sums(settings) != before:
        raise GroundError(
            "Keys were changed while the backup was made, so that it may lack one that the database needs.",
            "wait until the rotation of keys has ended, then make the backup again.",
        )
    sums = form.sums_of(secrets, form.SECRET_FOLDERS)
    names = ("ledger", "demo", form.SETTINGS, *([form.PG_MANIFEST] if embedded else []))
    sums |= form.sums_of(fresh, [name for name in names if (fresh / name).exists()])
    return form.Manifest(
        format="onestop-backup/1",
        database="embedded" if embedded else "outside",
        began_at=began,
        ended_at=datetime.now(UTC),
        postgresql=str(row[0]),
        system_identifier=str(row[1]),
        verifier_key=key,
        migrations=migrations,
        keys_apart=secrets != fresh,
        files=sums,
    )


def _secret_sums(settings: Settings) -> Mapping[str, form.FileSum]:
    return form.sums_of(settings.home, form.SECRET_FOLDERS)


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GroundError(
            f"{folder} is there already, and a backup never takes another's place.",
            "name a folder that does not exist, such as one with today's date in its name.",
        )


def _begin(folder: Path) -> Path:
    """An empty folder beside the one that is to be; what a run that was cut off has left there goes."""
    fresh = folder.with_name(folder.name + UNFINISHED)
    shutil.rmtree(fresh, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    files.private_folder(fresh)
    return fresh


def _name(fresh: Path, folder: Path) -> None:
    """Gives the filled folder its name, in one step and for good."""
    fresh.rename(folder)
    files.sync(folder.parent)
