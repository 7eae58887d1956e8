"""Brings the city up in order, keeps it up, and takes it down in the opposite order."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

import psycopg
from psycopg import sql

from deploy.authority.pki import make_authority
from deploy.local import files
from deploy.local.embedded import embedded, keep_settings
from deploy.local.errors import GroundError
from deploy.local.keeping import tidy
from deploy.local.keys import make_keys, write_policy
from deploy.local.lines import LogFile, Printer
from deploy.local.migrate import PARTS, migrate
from deploy.local.part import BAD_SETTINGS, Part, confined, relay
from deploy.local.pki import make_pki
from deploy.local.postgres import STALE_LOCK_SECONDS, Cluster, is_passing
from deploy.local.probe import is_alive
from deploy.local.settings import DATABASE, PROCESSES, STAGES, WITNESS, Settings, part_of

READY_SECONDS = 60.0
PROBE_PAUSE = 0.15
TIDY_SECONDS = 3600.0
DATABASE_PAUSE = 1.0
MOST_DEATHS_AT_START = 3


class Supervisor:
    """One city on this machine, from nothing to ready, and down again."""

    def __init__(self, settings: Settings, printer: Printer) -> None:
        self._settings = settings
        self._printer = printer
        self._cluster: Cluster | None = None
        self._parts: dict[str, Part] = {}
        self._stop = asyncio.Event()
        self._hurry = False
        self._lock: IO[str] | None = None
        self._town: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Returns after a clean stop that was asked for; raises GroundError when the city cannot be."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        try:
            await self._unless_stopped(self._bring_up())
            if not self._stop.is_set():
                await self._unless_stopped(self._keep())
        finally:
            await self._take_down()

    async def _bring_up(self) -> None:
        began = time.monotonic()
        self._prepare_home()
        self._settings.refuse_taken_ports()
        if made := make_pki(self._settings.pki, PROCESSES):
            self._printer.say(f"certificates made for {', '.join(made)}")
        make_authority(self._settings.pki, self._settings.authority_url)
        make_keys(self._settings.keys, PARTS)
        write_policy(self._settings.keys, f"https://localhost:{self._settings.ports[WITNESS]}")
        admin_dsn = await self._open_database()
        applied = await asyncio.to_thread(migrate, admin_dsn, PARTS, self._settings.keys)
        if applied:
            self._printer.say(f"migrations applied: {', '.join(applied)}")
        files.write_private(self._settings.keys / "admin.dsn", admin_dsn)
        if self._settings.with_town:
            await self._load_town()
        for name in self._settings.processes:
            self._parts[name] = Part(name, self._settings, self._printer)
            self._parts[name].start()
        await self._wait_until_well()
        self._announce(time.monotonic() - began)

    def _prepare_home(self) -> None:
        settings = self._settings
        settings.home.mkdir(parents=True, exist_ok=True)
        for folder in (
            settings.keys,
            settings.pki,
            settings.logs,
            settings.ledger,
            settings.witness,
            settings.run,
        ):
            files.private_folder(folder)
        lock = (settings.run / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise GroundError(
                f"A city runs in {settings.home} already (process {lock.read().strip() or 'unknown'}).",
                "use that one, or stop it with Ctrl-C; another beside it needs its own ONESTOP_HOME and "
                "ONESTOP_PORT_OFFSET.",
            ) from None
        self._lock = lock
        if settings.restoring.exists():
            raise GroundError(
                f"A restore into {settings.home} was cut off while it put its pieces in their places.",
                "run the same `make restore` again: it goes on where it was.",
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        for stale in settings.run.glob("*.pid"):
            stale.unlink()
        (settings.run / "ready").unlink(missing_ok=True)
        keep_settings(settings)

    async def _open_database(self) -> str:
        """The administrator's DSN of the city's database, which exists and answers."""
        if self._settings.database_url:
            self._printer.say("using the database of DATABASE_URL")
            return self._settings.database_url
        self._cluster = embedded(self._settings)
        if not self._cluster.data.exists():
            self._printer.say("making the database")
        await self._start_database(self._cluster)
        with psycopg.connect(self._cluster.dsn(), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        return self._cluster.dsn(DATABASE)

    async def _start_database(self, cluster: Cluster) -> None:
        """Starts the server from this thread, the one that it must not outlive."""
        cluster.prepare()
        deadline = time.monotonic() + STALE_LOCK_SECONDS
        while True:
            try:
                cluster.spawn()
                await asyncio.to_thread(cluster.wait_ready)
            except GroundError as error:
                cluster.kill()
                if time.monotonic() > deadline or not is_passing(error):
                    raise
                await asyncio.sleep(0.3)
            else:
                assert cluster.process is not None
                files.write_private(self._settings.run / "postgres.pid", str(cluster.process.pid))
                return

    async def _keep(self) -> None:
        """What is to be done while the city runs."""
        await asyncio.gather(self._keep_database(), self._keep_logs())

    async def _keep_logs(self) -> None:
        """Tidies the logs at once and every hour."""
        settings = self._settings
        while True:
            try:
                kept = await asyncio.to_thread(tidy, settings.logs, settings.log_days, datetime.now(UTC))
                if kept.size > settings.log_warning_mib << 20:
                    self._printer.say(
                        f"warning: the logs take {kept.size >> 20} MiB. They have to be kept for "
                        f"{settings.log_days} days: make room, or move the older ones to where they are kept"
                    )
            except OSError as error:
                self._printer.say(f"warning: the logs could not be tidied: {error.strerror}")
            await asyncio.sleep(TIDY_SECONDS)

    async def _keep_database(self) -> None:
        """Starts the embedded server again whenever it dies."""
        while True:
            await asyncio.sleep(0.2)
            cluster = self._cluster
            if cluster is None or cluster.process is None or cluster.process.poll() is None:
                continue
            if (self._settings.run / "postgres.hold").exists():
                continue
            self._printer.say(f"PostgreSQL ended with code {cluster.process.returncode}; starting it again")
            await self._restart_database(cluster)
            self._printer.say("PostgreSQL is back")

    async def _restart_database(self, cluster: Cluster) -> None:
        """Tries until it runs: a full disk may have room again, and the parts wait meanwhile."""
        told = ""
        while True:
            try:
                await self._start_database(cluster)
            except (GroundError, OSError) as error:
                cluster.kill()
                if str(error) != told:
                    told = str(error)
                    self._printer.say(f"{error}\ntrying again every {DATABASE_PAUSE:g} s")
                await asyncio.sleep(DATABASE_PAUSE)
            else:
                return

    async def _load_town(self) -> None:
        settings = self._settings
        log = LogFile(settings.logs / "town.log")
        # Without a wish, the town that is there stays, whatever its size.
        wish = ["--size", str(settings.town_size)] if settings.town_size else []
        wish += ["--licences", str(settings.town_licences)] if settings.town_licences else []
        self._town = process = await asyncio.create_subprocess_exec(
            *confined([sys.executable, "-m", "deploy.town", *wish]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=settings.base_environment() | {"ONESTOP_ADMIN_DSN_FILE": str(settings.keys / "admin.dsn")},
            cwd=settings.root,
            start_new_session=True,
        )
        assert process.stdout is not None
        await relay(process.stdout, "town", log, self._printer)
        code = await process.wait()
        self._town = None
        if code != 0:
            raise GroundError(
                f"The town could not be loaded (code {code}). Its loader's last words:\n"
                + log.tail(self._printer),
                "see the message above; a first load that was cut off begins again at the next start.",
            )
        log.close()

    async def _wait_until_well(self) -> None:
        """Returns when every part answers its health check; GroundError names the one that does not."""
        deadline = time.monotonic() + READY_SECONDS
        waiting = dict(self._parts)
        while waiting:
            for name, part in waiting.items():
                if part.last_exit == BAD_SETTINGS or part.deaths >= MOST_DEATHS_AT_START:
                    raise GroundError(f"The city cannot start: {part.why()}", self._advice(name))
            if self._read_only() is not None:
                # It does not get better by waiting, and what needs no new entry can be read all the same.
                waiting = {name: part for name, part in waiting.items() if part_of(name) != "ledger"}
            # The gateway is well when all others are; asking it before would only fill its log.
            asked = [name for name in waiting if name != "gateway"] or list(waiting)
            answers = await asyncio.gather(*(self._is_well(name) for name in asked))
            for name, well in zip(asked, answers, strict=True):
                if well:
                    del waiting[name]
            if waiting and time.monotonic() > deadline:
                whole = "\n".join(part.why() for part in waiting.values())
                raise GroundError(
                    f"Not every part has answered within {READY_SECONDS:.0f} s. {whole}",
                    self._advice(next(iter(waiting))),
                )
            if waiting:
                await asyncio.sleep(PROBE_PAUSE)

    async def _is_well(self, part: str) -> bool:
        """Whether a part answers; of the gateway of a read-only city no more than that it runs."""
        if part == "gateway" and self._read_only() is not None:
            return await is_alive(self._settings)
        return await self._parts[part].is_well()

    def _read_only(self) -> str | None:
        """Why the ledger is read-only, if it is."""
        return self._parts["ledger"].read_only() if "ledger" in self._parts else None

    def _advice(self, part: str) -> str:
        return (
            f"the whole log is {self._settings.logs / f'{part}.log'}; correct what it names and start again."
        )

    def _announce(self, seconds: float) -> None:
        settings, ports = self._settings, self._settings.ports
        lines = [f"\nThe city is up ({seconds:.1f} s). Everything it keeps lies in {settings.home}"]
        if why := self._read_only():
            lines += [
                "",
                f"  The ledger is READ-ONLY: {why}.",
                "  Nothing is given out and nothing is sealed (503). Restore a newer state: docs/backup.md",
                "",
            ]
        if "gateway" in settings.parts:
            lines += [
                f"  machines    https://localhost:{ports['machines']}  (with a client certificate)",
                f"  people      https://localhost:{ports['people']}  (documentation at /docs)",
                f"  operations  http://127.0.0.1:{ports['operations']}/readyz",
                f"  sign-in     https://localhost:{ports['idp']}",
                "",
                "An access token for the approval platform:",
                f"  {self._token_command()}",
                "",
                "The whole path, in a second terminal:",
                f"  {self._demo_command()}",
            ]
        lines.append("\nCtrl-C stops everything; the data stays.\n")
        self._printer.plain("\n".join(lines))
        files.write_private(settings.run / "ready", f"{seconds:.1f}\n")

    def _token_command(self) -> str:
        pair = self._settings.pki / "approval-platform"
        trust = [
            "--cacert",
            str(self._settings.pki / "ca.crt"),
            "--cert",
            f"{pair}.crt",
            "--key",
            f"{pair}.key",
        ]
        form = ["-d", "grant_type=client_credentials", "-d", "client_id=approval-platform"]
        address = f"https://localhost:{self._settings.ports['machines']}/oauth2/token"
        return shlex.join(["curl", "-s", *trust, *form, address])

    def _demo_command(self) -> str:
        """`make demo`, with the variables that this city was started with."""
        moved = [
            f"{name}={shlex.quote(value)}"
            for name, value in sorted(self._settings.environment.items())
            if name == "ONESTOP_HOME" or (name.startswith("ONESTOP_") and "_PORT" in name)
        ]
        return " ".join([*moved, "make demo"])

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry = True
            for part in self._parts.values():
                part.kill()
        else:
            self._printer.plain("")
            self._printer.say("stopping; once more Ctrl-C ends everything at once")
            self._stop.set()

    async def _unless_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Does the work, or leaves it when asked to stop."""
        task = asyncio.create_task(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return
        task.cancel()
        with suppress(asyncio.CancelledError, GroundError):
            await task

    async def _take_down(self) -> None:
        (self._settings.run / "ready").unlink(missing_ok=True)
        if self._town is not None and self._town.returncode is None:
            self._town.kill()
            await self._town.wait()
        for stage in STAGES:
            names = [name for name in self._parts if part_of(name) in stage]
            await asyncio.gather(*(self._parts[name].stop() for name in names))
            for name in names:
                self._printer.say(f"{name} has stopped")
        if self._cluster is not None:
            how = self._cluster.kill if self._hurry else self._cluster.stop
            await asyncio.to_thread(how)
            (self._settings.run / "postgres.pid").unlink(missing_ok=True)
            self._printer.say("PostgreSQL has stopped")
        if self._lock is not None:
            self._lock.close()
