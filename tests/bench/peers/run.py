"""Starts the peer beside a city, and plugs it into the bench's turns."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Self

from deploy.local.migrate import ROOT
from deploy.local.part import confined
from tests.bench.callers import processes_of
from tests.bench.client import Job
from tests.bench.load import Processes, tree
from tests.bench.peers.catalogue import FORM
from tests.bench.turns import Side
from tests.city import City

WORKERS = os.cpu_count() or 1
START_SECONDS = 60.0
STOP_SECONDS = 20.0
STARTED = "Application startup complete."
"""What each worker says when it takes requests."""


SEARCH = "/licences:search"
FILL = f"/matters/{FORM}:autofill"
FETCH = "/farmers:land_rights"


class Peer:
    """The peer on this city's database; a context manager, outside of which no process of it runs."""

    def __init__(self, city: City, workers: int = WORKERS) -> None:
        self._city = city
        self._workers = workers
        self._log = city.settings.logs / "peer.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Its address, without a slash at its end."""
        return f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        pki = self._city.settings.pki
        command = [sys.executable, "-m", "uvicorn", "tests.bench.peers.app:app"]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self._workers)]
        command += ["--ssl-certfile", str(pki / "gateway.crt"), "--ssl-keyfile", str(pki / "gateway.key")]
        command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "PEER_DATABASE_URL": self._city.admin_dsn,
            "PEER_KEYS": str(self._city.settings.keys),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                confined(command, signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=ROOT,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for process in tree(self._process.pid):
                process.kill()
            self._process.wait()

    def processes(self) -> Processes:
        """Its own processes: the one that watches, and the workers."""
        assert self._process is not None
        return {"peer": tree(self._process.pid)}

    def job(self, path: str, bodies: Path) -> Job:
        """A job with these bodies, one a line; its connections and times are the step's."""
        return Job(
            url=self.url,
            paths=[path],
            headers={},
            connections=1,
            seconds=1.0,
            ca=str(self._city.settings.pki / "ca.crt"),
            bodies=str(bodies),
        )

    def side(self, name: str, path: str, bodies: Path) -> Side:
        """The peer as one of two servers; its share of the database server is counted with it, as ours is."""
        return Side(name, partial(self.job, path, bodies), self._with_database)

    def _with_database(self) -> Processes:
        return {**self.processes(), **processes_of(self._city, ("postgres",))}

    def _wait(self) -> None:
        """Returns when every worker takes requests: were one late, the others would have all connections."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while self._log.read_text(errors="replace").count(STARTED) < self._workers:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the peer is not up:\n{self._log.read_text(errors='replace')[-6000:]}")
            time.sleep(0.05)


def peer_search(peer: Peer, bodies: Path) -> Side:
    """The peer's search for licences, with the bodies that ours takes."""
    return peer.side("peer.licence.search", SEARCH, bodies)


def peer_autofill(peer: Peer, bodies: Path) -> Side:
    """The peer's form with the bodies of `questions.form_bodies`."""
    return peer.side("peer.autofill.fill", FILL, bodies)


def peer_agricredit(peer: Peer, bodies: Path) -> Side:
    """The peer's land rights with the bodies of `questions.fetch_bodies`."""
    return peer.side("peer.agricredit.fetch", FETCH, bodies)


def _free_port() -> int:
    """A port below those that the kernel takes for outgoing connections, on which nothing listens."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
