"""The city that is shaken, and what is done to its parts."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
from rich.console import Console

from deploy.local import files
from deploy.local.migrate import ROOT
from deploy.local.probe import is_well
from deploy.local.settings import GATEWAY_LISTENERS, PORTS
from tests.city import City
from tests.faults.apart import Namespace
from tests.faults.bent import WISHES
from tests.faults.way import Trouble, Way

BACK_SECONDS = 60.0
COMMAND_SECONDS = 120.0
LIMITS = {
    f"ONESTOP_{audience}_LIMIT": "1000000 per second"
    for audience in ("APPROVAL", "PARTNER", "CITIZEN", "ADDRESS", "TOKEN")
}
"""The crowd is a few callers who ask as fast as they are answered."""


class Ground:
    """A running city, with a town in it, whose parts can be killed, moved and cut off.

    `chance` makes every choice, so that a seed repeats a run.
    """

    def __init__(
        self,
        console: Console,
        *,
        seed: int,
        people: int = 100,
        home: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.city = City(
            people=people,
            home=home,
            program="tests.faults.bent",
            environment={**LIMITS, **(environment or {})},
        )
        self.afterwards = ExitStack()
        """What is undone once the books of a fault are closed."""
        self._console = console
        self._wishes: dict[str, dict[str, object]] = {}

    def __enter__(self) -> Ground:
        try:
            self.city.start()
            self._widen_fair_use()
        except BaseException:
            self.city.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.city.process is not None and self.city.process.poll() is None:
                self.city.stop()
        finally:
            self.city.remove()

    def say(self, text: str) -> None:
        """A line for whoever watches."""
        self._console.print(text, highlight=False)

    def back(self, part: str, *, other_than: int = 0, seconds: float = BACK_SECONDS) -> float:
        """Waits until a part (or `postgres`) answers, by another process than the one named; that moment."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid = self.city.pid(part)
            if pid is not None and pid != other_than and self._answers(part):
                return time.monotonic()
            time.sleep(0.03)
        raise AssertionError(f"{part} is not back within {seconds:g} s:\n{self.city.output[-3000:]}")

    def strike(self, part: str, *, held: float = 0.0, how: signal.Signals = signal.SIGKILL) -> float:
        """Kills a part and keeps it away for a while; the moment in which its successor answers."""
        hold = self.city.settings.run / f"{part}.hold"
        if held:
            hold.touch()
        old = self.city.kill(part, how)
        if held:
            time.sleep(held)
            hold.unlink()
        return self.back(part, other_than=old)

    def wish(self, kind: str, name: str, value: object) -> None:
        """Notes a wish for the next start of a part (tests/faults/bent.py); None takes it back."""
        of_kind = self._wishes.setdefault(kind, {})
        if value is None:
            of_kind.pop(name, None)
        else:
            of_kind[name] = value
        files.write_private(self.city.home / WISHES, json.dumps(self._wishes))

    def restart(self, part: str) -> None:
        """Ends a part in good order; returns when its successor answers."""
        self.strike(part, how=signal.SIGTERM)

    @contextmanager
    def way(self, caller: str, callee: str) -> Iterator[Way]:
        """A way from one part to another (or to `postgres`) that can go wrong, while the context lasts."""
        port = self.city.settings.ports[callee]
        with Way(port) as way:
            self.wish("ways", f"{caller}>{callee}", way.port)
            self.restart(caller)
            try:
                yield way
            finally:
                way.trouble = Trouble.NONE
                self.wish("ways", f"{caller}>{callee}", None)
                self.restart(caller)

    @contextmanager
    def apart(self, caller: str, callee: str) -> Iterator[Namespace]:
        """A part in a namespace of its own, whose way to another one is a link that can be cut."""
        ports = self.city.settings.ports
        own = GATEWAY_LISTENERS if caller == "gateway" else (caller,)
        others = [port for name, port in ports.items() if name not in {*own, callee}]
        self.wish("environment", callee, {"ONESTOP_LISTEN": f"0.0.0.0:{ports[callee]}"})
        self.restart(callee)
        try:
            with ExitStack() as stack:
                with self.city.held_down(caller):
                    space = stack.enter_context(Namespace())
                    space.let_out(others)
                    space.let_in(ports[name] for name in own)
                    self.wish("spaces", caller, space.entering)
                    there = {f"ONESTOP_{callee.upper()}": f"{space.here}:{ports[callee]}"}
                    self.wish("environment", caller, there)
                try:
                    yield space
                finally:
                    with self.city.held_down(caller):
                        stack.close()
                        self.wish("spaces", caller, None)
                        self.wish("environment", caller, None)
        finally:
            self.wish("environment", callee, None)
            self.restart(callee)

    def onestop(self, *arguments: str) -> tuple[int, str]:
        """The `onestop` command beside the running city: its exit code and what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
                "ONESTOP_HOME": str(self.city.home),
                "ONESTOP_PORT_OFFSET": str(self.city.settings.ports["ledger"] - PORTS["ledger"]),
                "DATABASE_URL": "",
            },
        )
        return done.returncode, done.stdout

    def _answers(self, part: str) -> bool:
        if part == "postgres":
            with suppress(psycopg.Error), psycopg.connect(self.city.admin_dsn, connect_timeout=2):
                return True
            return False
        if part == "gateway":
            return _status(f"{self.city.operations}/healthz") == 200
        return asyncio.run(is_well(self.city.settings, part))

    def _widen_fair_use(self) -> None:
        with psycopg.connect(self.city.admin_dsn) as connection:
            connection.execute(
                "UPDATE agricredit.partner SET daily_fetches = 1000000, open_requests = 100000"
            )


def _status(address: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:
        return 0
