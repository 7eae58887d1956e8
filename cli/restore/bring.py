"""Makes a city of a backup: checked, copied, recovered, proved, and only then put in place."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cli.backup import form
from cli.backup.check import check, check_migrations, checkpoint
from cli.backup.logproof import Proved, prove_log
from cli.restore import place
from cli.restore.database import Until, brought_up, copy_database
from cli.restore.released import LAST_CHECKPOINT, Released, judge, keep_released, newest_released
from cli.showing import step
from deploy.local import files
from deploy.local.embedded import kept_settings
from deploy.local.errors import GroundError
from deploy.local.migrate import applied_migrations
from deploy.local.settings import DATABASE, Settings, wal_archive

GOES_ON, READ_ONLY = 0, 3


@dataclass(frozen=True)
class Wish:
    """What the operator asks for: the backup, its keys if apart, how far the log is followed (None: not
    beyond the backup), what was released last, and whether a city that is there makes room.
    """

    backup: Path
    keys: Path | None = None
    until: Until | None = None
    released: Path | None = None
    replace: bool = False


def restore(settings: Settings, wish: Wish) -> tuple[list[str], int]:
    """What is to be said at the end, and GOES_ON or READ_ONLY.

    Raises GroundError; then nothing was changed.
    """
    os.umask(0o077)
    with place.alone(settings):
        moves = place.unsettled(settings)
        if moves is None:
            place.refuse_city(settings, replace=wish.replace)
            manifest = check(wish.backup, wish.keys, database=False)
            _refuse_wish(settings, wish, manifest)
            try:
                report, code = _stage(settings, wish, manifest)
            except BaseException:
                place.discard(settings)
                raise
            moves = place.settle(settings, report, code)
        else:
            print("a restore was cut off after everything had been proved; finishing it", flush=True)
        place.finish(settings, moves)
    aside = [f"What was there before lies in {settings.home / moves.aside_to}."] if moves.aside else []
    return [*moves.report, *aside], moves.code


def _refuse_wish(settings: Settings, wish: Wish, manifest: form.Manifest) -> None:
    if manifest.database == "outside":
        if not settings.database_url:
            raise GroundError(
                "The backup's database is outside.",
                "restore it with its server's own tools first, then give its address in DATABASE_URL.",
            )
        if wish.until:
            raise GroundError(
                "The backup's database is outside: how far it goes is its own restore's to say.",
                "leave WAL and UNTIL out.",
            )
    elif settings.database_url:
        raise GroundError(
            "The backup holds an embedded database, and DATABASE_URL names another one.",
            "leave DATABASE_URL unset for the restore.",
        )
    elif wish.until and wish.until.time and wish.until.time < manifest.ended_at:
        raise GroundError(
            f"The backup ended at {manifest.ended_at:%Y-%m-%d %H:%M:%S} UTC, after the moment asked for.",
            "take an older backup: the log only leads forward.",
        )


def _stage(settings: Settings, wish: Wish, manifest: form.Manifest) -> tuple[list[str], int]:
    """Fills the staging folder and proves what is in it; the report and the code."""
    released = newest_released(manifest.verifier_key, settings.ledger, wish.released, replace=wish.replace)
    stage = place.begin(settings)
    for name in form.SECRET_FOLDERS:
        form.copy_private((wish.keys or wish.backup) / name, stage / name)
    for name in (name for name in ("demo",) if (wish.backup / name).exists()):
        form.copy_private(wish.backup / name, stage / name)
    if (wish.backup / form.SETTINGS).exists():
        files.write_private(stage / form.SETTINGS, (wish.backup / form.SETTINGS).read_bytes())
    files.private_folder(stage / "ledger")
    if released is not None:
        keep_released(stage / "ledger" / LAST_CHECKPOINT, released)
    if manifest.database == "outside":
        proved = _prove(settings.database_url, wish, manifest, released)
    else:
        copy_database(wish.backup, stage)
        with brought_up(stage, wish.until or _no_further(settings, wish)) as cluster:
            proved = _prove(cluster.dsn(DATABASE), wish, manifest, released)
    why = judge(proved, released)
    return [*_told(proved, manifest), *why], READ_ONLY if why else GOES_ON


def _no_further(settings: Settings, wish: Wish) -> Until:
    """Not beyond the backup. The archive that the city writes to, if it is here, knows the timelines."""
    archive = settings.wal_archive or wal_archive(kept_settings(wish.backup))[0]
    return Until(archive if archive and archive.is_dir() else None, backup_only=True)


def _prove(dsn: str, wish: Wish, manifest: form.Manifest, released: Released | None) -> Proved:
    """The log of the restored database, whose roots are those of every checkpoint that is known."""
    begun = checkpoint(manifest, wish.backup)
    known = {"the backup's checkpoint": begun} if begun else {}
    if released:
        known["the last released checkpoint"] = released.said
    with psycopg.connect(dsn, autocommit=True) as connection:
        check_migrations(applied_migrations(connection))
        with step("hashing the ledger's entries") as told:
            proved = prove_log(connection, manifest.verifier_key, known, told)
    if begun and begun.size > proved.size:
        raise GroundError(
            f"The database holds {proved.size} entries, and when the backup began there were {begun.size}.",
            "it is older than the backup's keys and checkpoint: restore a newer state of it.",
        )
    return proved


def _told(proved: Proved, manifest: form.Manifest) -> list[str]:
    root = base64.b64encode(proved.root).decode()
    return [
        f"Restored from the backup of {manifest.ended_at:%Y-%m-%d %H:%M:%S} UTC.",
        f"The ledger holds {proved.size} entries. Hashed anew, they lead to the root {root},",
        "which is that of the newest signed checkpoint; the backup's own checkpoint lies on the way to it.",
    ]
