"""A whole city of its own for a test: real processes, other ports, its own folder."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.errors import GroundError
from deploy.local.migrate import ROOT
from deploy.local.part import confined
from deploy.local.probe import WITHOUT_GRPC, is_well, serves
from deploy.local.settings import AUTHORITY, Settings, read_settings
from tests.database import GROUND
from tests.homes import PIECES, copy_home

DECIDING = {"DATABASE_URL", "ONESTOP_HOME", "TOWN_SIZE", "TOWN_LICENCES"}
"""Variables by which a home is another than the run's usual ones."""
START_SECONDS = 150.0
STOP_SECONDS = 60.0


class City:
    """Starts `python -m deploy.local` as `make run` does, and does to its parts what a test wants.

    `home` is its folder as `.onestop/` is the usual city's; `settings` says its ports and paths. `people` is
    the town's size. `only` starts some parts alone; `town=False` loads no town. `environment` adds variables.
    A `home` that is named is kept between runs; without one it is a new folder, within the test run's.
    `program` starts it in place of `deploy.local`. What its folder holds at first is a copy of what the run's
    other cities have, secrets too; with `anew` the city makes all of it itself, as any other does.
    """

    def __init__(
        self,
        *,
        people: int = 100,
        only: Sequence[str] = (),
        town: bool = True,
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
        program: str = "deploy.local",
        anew: bool = False,
    ) -> None:
        self.home = home or Path(tempfile.mkdtemp(prefix="onestop-city-", dir=os.environ.get(GROUND)))
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o711)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
        kept.pop("DATABASE_URL", None)
        self._environment = {
            **kept,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "ONESTOP_HOME": str(self.home),
            "TOWN_SIZE": str(people),
            **(environment or {}),
        }
        self._environment.setdefault("ONESTOP_PORT_OFFSET", str(_free_offset(self._environment)))
        self.settings: Settings = read_settings(self._environment)
        self._only = only
        self._town = town
        if anew or home or DECIDING & (environment or {}).keys():
            self._model = ""
        else:
            self._model = f"town-{people}" if town else "no-town"
        self._program = program
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the city was started with: an operator's command needs the same."""
        return dict(self._environment)

    @property
    def machines(self) -> str:
        """Address of the listener for machines, without a slash at its end."""
        return f"https://localhost:{self.settings.ports['machines']}"

    @property
    def people(self) -> str:
        """Address of the listener for people."""
        return f"https://localhost:{self.settings.ports['people']}"

    @property
    def operations(self) -> str:
        """Address of the operators' plain listener."""
        return f"http://127.0.0.1:{self.settings.ports['operations']}"

    @property
    def identity_provider(self) -> str:
        """Address of the development identity provider."""
        return f"https://localhost:{self.settings.ports['idp']}"

    @property
    def admin_dsn(self) -> str:
        """The database owner's address of the city's database."""
        return (self.settings.keys / "admin.dsn").read_text().strip()

    @property
    def output(self) -> str:
        """Everything that the supervisor has printed so far."""
        return (self.home / "output").read_text(errors="replace")

    def tls(self, client: str = "") -> ssl.SSLContext:
        """Trusts the city's CA alone; shows the certificate of `client`, such as `approval-platform`."""
        context = ssl.create_default_context(cafile=str(self.settings.pki / "ca.crt"))
        if client:
            context.load_cert_chain(self.settings.pki / f"{client}.crt", self.settings.pki / f"{client}.key")
        return context

    def start(self, *, wait: bool = True) -> None:
        """Starts everything, and waits until it says that it is ready."""
        self._furnish()
        arguments = [
            *(["--only", ",".join(self._only)] if self._only else []),
            *([] if self._town else ["--no-town"]),
        ]
        (self.settings.run / "ready").unlink(missing_ok=True)
        with (self.home / "output").open("ab") as output:
            self.process = subprocess.Popen(
                # A test run that is killed takes its cities with it.
                confined([sys.executable, "-m", self._program, *arguments], signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()

    def _furnish(self) -> None:
        """Copies the run's model of such a city into an empty home."""
        ground = os.environ.get(GROUND)
        if not self._model or not ground or any((self.home / piece).exists() for piece in PIECES):
            return

        def make(folder: Path) -> None:
            people = int(self._environment["TOWN_SIZE"])
            model = City(people=people, only=[AUTHORITY], town=self._town, home=folder)
            model.start()
            model.stop()

        copy_home(Path(ground), self._model, self.home, make)
        self._town = False  # It is there.

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Returns when the city is up; RuntimeError with its output when it is not."""
        deadline = time.monotonic() + seconds
        while not (self.settings.run / "ready").exists():
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the city is not up:\n{self.output[-6000:]}")
            time.sleep(0.05)

    def stop(self) -> int:
        """Stops it as Ctrl-C does; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def pid(self, part: str) -> int | None:
        """The process of a part (or of `postgres`) that runs now."""
        try:
            return int((self.settings.run / f"{part}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def kill(self, part: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Signals a part's process, SIGKILL unless told otherwise; its process id. It is started again."""
        pid = self.pid(part)
        assert pid is not None, f"{part} does not run"
        os.kill(pid, how)
        return pid

    def restart(self, part: str, seconds: float = 30.0) -> None:
        """Kills a part and waits until its successor answers."""
        self.wait_well(part, other_than=self.kill(part), seconds=seconds)

    @contextmanager
    def held_down(self, part: str) -> Iterator[None]:
        """Kills a part (or `postgres`) and keeps it from being started again; then waits for it."""
        hold = self.settings.run / f"{part}.hold"
        hold.touch()
        try:
            old = self.kill(part)
            while _lives(old):
                time.sleep(0.02)
            yield
        finally:
            hold.unlink()
        self.wait_well(part, other_than=old)

    @contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """Stops a part's process without ending it, as a machine that hangs would."""
        pid = self.kill(part, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def wait_well(self, part: str, *, other_than: int = 0, seconds: float = 30.0) -> None:
        """Returns when a part answers its health check, by a process other than the one named."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid = self.pid(part)
            if pid is not None and pid != other_than and (part == "postgres" or self._is_well(part)):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{part} is not well:\n{self.output[-6000:]}")

    def _is_well(self, part: str) -> bool:
        # Without a loop of gRPC's beside the test's own.
        if part in WITHOUT_GRPC:
            return asyncio.run(is_well(self.settings, part))
        return serves(self.settings, part)

    def remains(self) -> list[str]:
        """The command lines of processes that belong to this city and still run."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (folder / "environ").read_bytes().decode(errors="replace")
                if str(self.home) in command or f"ONESTOP_HOME={self.home}\0" in environment:
                    found.append(f"{folder.name} {command}")
        return found

    def remove(self) -> None:
        """Ends what still runs, at once, and deletes the folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline = time.monotonic() + 10
        while self.remains() and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(self.home, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _free_offset(environment: Mapping[str, str]) -> int:
    """A number by which all ports can move to where nothing listens, below the kernel's own ports."""
    while True:
        offset = random.randrange(1000, 23_000, 20)
        with suppress(GroundError):
            settings = read_settings({**environment, "ONESTOP_PORT_OFFSET": str(offset)})
            settings.refuse_taken_ports(database=True)
            return offset
