"""The city's command, run beside a test's city as its operator would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy.local.migrate import ROOT
from tests.city import City


def onestop(city: City, *arguments: str | Path, seconds: float = 240.0) -> tuple[int, str]:
    """`./onestop …` for this city: the exit code and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        cwd=ROOT,
        env={**os.environ, **city.settings.environment},
    )
    return done.returncode, done.stdout
