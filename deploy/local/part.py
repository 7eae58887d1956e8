"""One part of the city as a process: started, heard, started again when it dies, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local import files
from deploy.local.lines import LogFile, Printer
from deploy.local.probe import is_well
from deploy.local.settings import Settings

CONFINE = Path(__file__).with_name("confine.py")
LONGEST_LINE = 1024 * 1024
BLOCK = 64 * 1024
DRAIN_SECONDS = 12.0  # A service gives what is in flight 8 s (core/rpc.py).
PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0  # Whoever lived that long starts again without a pause.
BAD_SETTINGS = 2  # A part's exit code when its settings are wrong (core/config.py).


class Part:
    """Keeps one part running until `stop`.

    While the file `<part>.hold` lies in the run folder, a part that has died is not started again.
    """

    def __init__(self, name: str, settings: Settings, printer: Printer) -> None:
        self.name = name
        self.deaths = 0
        self.last_exit: int | None = None
        self._settings = settings
        self._printer = printer
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._log = LogFile(settings.logs / f"{name}.log")

    def start(self) -> None:
        """Begins to keep the part running."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.name}")

    async def is_well(self) -> bool:
        """Whether it runs and answers."""
        return self._process is not None and await is_well(self._settings, self.name)

    def why(self) -> str:
        """How it ended last, with its last words."""
        code = self.last_exit
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = "runs but does not answer its health check" if code is None else f"ended with code {code}"
        return f"{self.name} {how}. Its last words:\n{self._log.tail(self._printer)}"

    def read_only(self) -> str | None:
        """Why the part, the ledger, says that it will append nothing until somebody has looked; else None."""
        told = self._log.newest("sequencer")
        return str(told.get("why")) if told and told.get("state") == "read_only" else None

    async def stop(self) -> None:
        """Asks it to finish what is in flight; ends it when it does not."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), DRAIN_SECONDS)
            except TimeoutError:
                self._printer.say(f"{self.name} has not stopped within {DRAIN_SECONDS:.0f} s and is ended")
                with suppress(ProcessLookupError):
                    process.kill()
        if self._keeper is not None:
            await self._keeper
        self._log.close()

    def kill(self) -> None:
        """Ends it at once."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            born = time.monotonic()
            await self._live()
            if self._stopping.is_set():
                return
            if time.monotonic() - born > STEADY_SECONDS:
                self.deaths = 0
            pause = PAUSES[-1 if self.last_exit == BAD_SETTINGS else min(self.deaths, len(PAUSES) - 1)]
            self.deaths += 1
            self._printer.say(f"{self.why()}\nstarting {self.name} again in {pause:g} s")
            await self._wait(pause)
            while (self._settings.run / f"{self.name}.hold").exists() and not self._stopping.is_set():
                await self._wait(0.1)

    async def _wait(self, seconds: float) -> None:
        """Waits, but not longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _live(self) -> None:
        """One life, from start to exit."""
        self._process = process = await asyncio.create_subprocess_exec(
            *confined(self._settings.command(self.name)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=self._settings.part_environment(self.name),
            cwd=self._settings.root,
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        self.last_exit = None
        pid_file = self._settings.run / f"{self.name}.pid"
        try:
            files.write_private(pid_file, str(process.pid))
        except OSError as error:  # The disk is full, say: the part runs all the same.
            self._printer.say(f"{pid_file.name} cannot be written: {error.strerror}")
        if self._stopping.is_set():
            process.terminate()  # Asked to stop while being born.
        assert process.stdout is not None
        await relay(process.stdout, self.name, self._log, self._printer)
        self.last_exit = await process.wait()
        self._process = None
        pid_file.unlink(missing_ok=True)


async def relay(stream: asyncio.StreamReader, name: str, log: LogFile, printer: Printer) -> None:
    """Copies a process's lines to its log and to the terminal until it closes its end.

    A busy part writes thousands of lines a second, so they are taken as many at a time as there are.
    """
    rest, dropping = b"", False
    while block := await stream.read(BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        if dropping and lines:
            lines, dropping = lines[1:], False
        if len(rest) > LONGEST_LINE:
            printer.say(f"a line of {name} longer than {LONGEST_LINE} bytes was dropped")
            rest, dropping = b"", True
        if lines:
            log.write(lines)
            printer.show(name, lines)
    if rest:
        log.write([rest])
        printer.show(name, [rest])


def confined(command: Sequence[str], how: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command as one that the kernel sends this signal when we die, however we die."""
    death = ["--death-signal", str(int(how)), "--parent", str(os.getpid())]
    return [sys.executable, "-I", "-S", str(CONFINE), *death, "--", *command]
