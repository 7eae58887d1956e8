"""Starts a city as `deploy.local` does, with parts whose ways, clocks and code a test chooses.

`python -m tests.faults.bent` reads what is wished from `bent.json` in the city's home, anew at every start of
a part: so a part is moved to another way, clock or tree of code by killing it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import deploy.local.__main__ as local
import deploy.local.part as keeping
from core.config import read_secret
from deploy.local import files
from deploy.local.settings import Settings, read_settings

WISHES = "bent.json"
CLOCKED = Path(__file__).with_name("clocked.py")


@dataclass(frozen=True)
class BentSettings(Settings):
    """Settings in which some parts are wished to be other than usual."""

    def command(self, part: str) -> list[str]:
        """What starts a part: within a namespace, under a clock that can be set, from another tree."""
        within = list(_of(self.home, "spaces").get(part, ()))
        program, *arguments = super().command(part)
        tree = _of(self.home, "trees").get(part, "")
        clock = _of(self.home, "clocks").get(part, "")
        if not tree and not clock:
            return [*within, program, *arguments]
        return [*within, program, str(CLOCKED), tree or str(self.root), clock, arguments[-1]]

    def part_environment(self, part: str) -> dict[str, str]:
        """A part's settings, with the addresses of its ways."""
        environment = super().part_environment(part)
        for pair, port in _of(self.home, "ways").items():
            caller, _, callee = pair.partition(">")
            if caller != part:
                continue
            if callee == "postgres":
                environment["ONESTOP_DATABASE_DSN_FILE"] = str(self._moved_dsn(part, int(port)))
            else:
                environment[f"ONESTOP_{callee.upper()}"] = f"127.0.0.1:{port}"
        tree = _of(self.home, "trees").get(part, "")
        if tree:
            environment["PYTHONPATH"] = f"{tree}:{tree}/gen"
        more: dict[str, str] = _of(self.home, "environment").get(part, {})
        return environment | more

    def _moved_dsn(self, part: str, port: int) -> Path:
        address = urlsplit(read_secret(self.keys / f"{part}.dsn"))
        login = address.netloc.rpartition("@")[0]
        path = self.keys / f"{part}-moved.dsn"
        files.write_private(path, urlunsplit(address._replace(netloc=f"{login}@127.0.0.1:{port}")))
        return path


def bend(settings: Settings) -> BentSettings:
    """The same settings, bent."""
    return BentSettings(**{field.name: getattr(settings, field.name) for field in fields(settings)})


def _of(home: Path, kind: str) -> dict[str, Any]:
    try:
        wishes = json.loads((home / WISHES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return dict(wishes.get(kind, {}))


def _read(environment: Mapping[str, str]) -> Settings:
    return bend(read_settings(environment))


if __name__ == "__main__":
    # A part that dies again and again is usually left alone for longer and longer; here that is our doing.
    keeping.PAUSES = (0.1,) * 6
    local.read_settings = _read  # type: ignore[attr-defined]  # its import is what is replaced
    sys.exit(local.main())
