"""Which user runs the database server: ourselves, or `nobody` when we are root (PostgreSQL refuses root)."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import GroundError

# The one to pass on, and the one that `confine.py` needs to do so.
CAPABILITIES = 1 << 2 | 1 << 8  # CAP_DAC_READ_SEARCH, CAP_SETPCAP


@dataclass(frozen=True)
class ServerUser:
    """The user of the server's processes; `uid` None means ourselves.

    `search`: the server needs a capability to pass folders that are closed to its user.
    """

    uid: int | None
    gid: int | None
    search: bool

    def own(self, path: Path, mode: int) -> None:
        """Gives a file or folder to the server's user, with these permissions."""
        if self.uid is not None and self.gid is not None and path.stat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)

    def options(self) -> list[str]:
        """The options by which `confine.py` becomes this user."""
        if self.uid is None:
            return []
        return ["--uid", str(self.uid), "--gid", str(self.gid), *(["--search"] if self.search else [])]


def server_user(package: Path, *folders: Path) -> ServerUser:
    """Chooses the server's user, who must reach the server's files in `package` and own `folders`.

    Opens the package's files to others when we are root and they are not (an environment made under a strict
    umask); they are public anyway. Raises GroundError when no way leads there.
    """
    if os.geteuid() != 0:
        return ServerUser(None, None, search=False)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise GroundError(
            "PostgreSQL refuses to run as root, and this system has no user `nobody` to run it.",
            "run the city as an ordinary user, or give it a database with DATABASE_URL.",
        ) from None
    _open_to_others(package)
    closed = _first_closed([package, *folders], nobody.pw_uid, nobody.pw_gid)
    if closed is None:
        return ServerUser(nobody.pw_uid, nobody.pw_gid, search=False)
    if _may_search():
        return ServerUser(nobody.pw_uid, nobody.pw_gid, search=True)
    raise GroundError(
        f"PostgreSQL refuses to run as root, and the user `nobody` who would run it cannot pass {closed} "
        f"(mode {stat.S_IMODE(closed.stat().st_mode):04o}).",
        f"run `chmod o+x {closed}`, or move the project elsewhere, or run it as an ordinary user, or give it "
        "a database with DATABASE_URL.",
    )


def _open_to_others(package: Path) -> None:
    """Lets everybody read and run the server's files; looks at one of them to see whether that is needed."""
    if (package / "bin" / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for path in (package, *package.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(stat.S_IMODE(mode) | (0o055 if mode & stat.S_IXUSR else 0o044))


def _first_closed(folders: Sequence[Path], uid: int, gid: int) -> Path | None:
    """The outermost folder above these that the user may not enter."""
    for path in folders:
        for folder in reversed(path.resolve().parents):
            status = folder.stat()
            if status.st_uid == uid:
                bit = stat.S_IXUSR
            else:
                bit = stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
            if not status.st_mode & bit:
                return folder
    return None


def _may_search() -> bool:
    """Whether we hold the capability that we would pass on, and may pass it on."""
    if not sys.platform.startswith("linux"):
        return False
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16) & CAPABILITIES == CAPABILITIES
    return False
