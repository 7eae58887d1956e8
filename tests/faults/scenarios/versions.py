"""Old and new code side by side: the database is migrated first, then part after part is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deploy.local.migrate import PARTS, ROOT
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import PATIENCE_SECONDS, Fault

OLD_DRAIN_SECONDS = 12.0
"""A gateway of before the drain was mended lets a request hang until its own drain ends."""

BACK = 10
"""Without a tag, so many first parents ago is what ran before."""


@cache
def previous() -> str:
    """The revision that ran before this one: OLD, else the newest tag, else some commits ago; or nothing."""
    if wished := os.environ.get("OLD", ""):
        return wished
    tag = _git("describe", "--tags", "--abbrev=0")
    return tag or _git("rev-parse", "--verify", "--quiet", _ancestor())


def missing() -> str:
    """Why there is no older version to run."""
    return "" if previous() else "there is no older version in this checkout"


def replaced() -> Iterator[Fault]:
    """Every part runs the older code on the newer database; then one after the other is replaced."""

    def strike(ground: Ground, load: Load) -> float:
        tree = ground.afterwards.enter_context(_tree(previous()))
        ground.say(f"  the older version is {previous()[:12]}")
        for part in PARTS:
            ground.wish("trees", part, str(tree))
            ground.restart(part)
        load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        for part in ground.chance.sample(PARTS, len(PARTS)):
            ground.wish("trees", part, None)
            ground.restart(part)
            load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        return time.monotonic()

    name = "old and new versions side by side"
    yield Fault(name, strike, missing=missing, longest_wait=OLD_DRAIN_SECONDS)


@contextmanager
def _tree(revision: str) -> Iterator[Path]:
    """The code of a revision, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="onestop-old-"))
    try:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ancestor() -> str:
    ancestors = _git("rev-list", "--first-parent", f"--max-count={BACK + 1}", "HEAD").split()
    return ancestors[BACK] if len(ancestors) > BACK else ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=30
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
