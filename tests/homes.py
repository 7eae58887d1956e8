"""Homes of cities that are made once for a test run, as `make run` makes them, and then copied.

Keys, certificates, a migrated database and a town are more than half of what a city costs before its parts
start. What depends on a port or on the folder's own path is written anew at each start: addresses of the
database, the policy of witnesses, whom to ask about certificates.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PIECES = ("keys", "pki", "pg", "demo")
"""What is kept: neither logs nor process ids, nor what a witness or the ledger has released."""


def copy_home(ground: Path, name: str, home: Path, make: Callable[[Path], None]) -> None:
    """Fills `home` from the run's model called `name`, which `make` makes in the folder it is given.

    `ground` is the run's folder, shared by its processes: whoever asks first makes the model.
    """
    models = ground / "homes"
    models.mkdir(mode=0o711, exist_ok=True)
    model = models / name
    with _alone(models / f"{name}.lock"):
        if not model.exists():
            made = models / f"{name}.new"
            make(made)
            made.rename(model)
    pieces = [str(model / piece) for piece in PIECES if (model / piece).exists()]
    # The database's files belong to another user where we are root, which shutil does not keep.
    subprocess.run(["cp", "-a", *pieces, str(home)], check=True, stdin=subprocess.DEVNULL)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
