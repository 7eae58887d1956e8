"""A disk that is full, under the database, the ledger's file and the logs."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import Fault

DISK_BYTES = 768 * 1024 * 1024
FULL_SECONDS = 10.0
PIECE = b"\0" * (1024 * 1024)


def missing() -> str:
    """Why there can be no small disk here; empty where there can."""
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "onestop", folder], check=False)
        if done.returncode != 0:
            return "a small disk cannot be mounted here"
        subprocess.run(["umount", folder], check=True)
    return ""


@contextmanager
def small_disk() -> Iterator[Path]:
    """A folder on a disk of its own, which is soon full; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="onestop-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "onestop", str(folder)], check=True)
    try:
        yield folder / "city"
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def full() -> Iterator[Fault]:
    """The disk fills up under load, and has room again a while later."""

    def strike(ground: Ground, load: Load) -> float:
        ballast = ground.city.home / "ballast"
        filled = fill_up(ballast)
        ground.say(f"  the disk is full ({filled // 2**20} MiB of ballast)")
        time.sleep(FULL_SECONDS)
        fill_up(ballast)  # What recovery had freed.
        time.sleep(1.0)
        ballast.unlink()
        return ground.back("postgres")

    yield Fault("disk full", strike, missing=missing)


def fill_up(ballast: Path) -> int:
    """Fills the disk to its last byte; how much that took."""
    with ballast.open("ab", buffering=0) as file:
        for piece in (PIECE, PIECE[:4096], PIECE[:1]):
            try:
                while True:
                    file.write(piece)
            except OSError as failure:
                if failure.errno != errno.ENOSPC:
                    raise
        return file.tell()
