"""What the database's processes may do as another user than root: pass closed folders, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.postgres import CONFINE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root alone becomes another user")

# open(2) counts capabilities anyway; access(2), by which initdb looks for its server, does so only if told.
PROBE = """
import os, sys
file, folder = sys.argv[1:]
print(os.getuid(), os.access(file, os.R_OK), os.access(file, os.X_OK), os.access(folder, os.W_OK))
"""


def test_another_user_finds_a_program_below_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    program = closed / "program"
    program.touch(0o755)
    become = ["--uid", "65534", "--gid", "65534", "--search"]
    probe = [sys.executable, "-I", "-S", "-c", PROBE, str(program), str(closed)]

    done = subprocess.run(
        [sys.executable, "-I", "-S", str(CONFINE), *become, "--", *probe],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    assert done.stdout.split() == ["65534", "True", "True", "False"], done.stderr
