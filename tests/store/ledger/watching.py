"""Witnesses as processes of their own, and a ledger that feeds them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.clock import now
from core.cosignature import WitnessKey
from core.note import VerifierKey
from core.policy import Policy, Witness
from deploy.local.keys import private_pem
from deploy.local.migrate import ROOT
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.correspondence import HttpCorrespondent
from services.ledger.feeding import Attitude, Feeder
from services.ledger.sequencer import State
from services.ledger.store_witnesses import PgCosignatures
from tests.component.gateway.pki import Authority
from tests.store.ledger.conftest import KEY, PRIVATE, Town

START_SECONDS = 20.0


@dataclass
class WitnessProcess:
    """`python -m services.witness`, with a key and a memory of its own."""

    name: str
    folder: Path
    authority: Authority
    log_keys: Sequence[VerifierKey] = (KEY,)
    anybody: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.home = self.folder / self.name
        self.home.mkdir()
        private = Ed25519PrivateKey.generate()
        self.key = WitnessKey(f"{self.name}.example", private.public_key().public_bytes_raw())
        (self.home / "signing.key").write_bytes(private_pem(private))
        (self.home / "witness.vkey").write_text(f"{self.key}\n")
        self.watch(*self.log_keys)
        self.pair = self.authority.issue("witness", "localhost", file=self.name)
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Its submission prefix."""
        return f"https://localhost:{self.port}"

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.home / "log").read_text()

    def watch(self, *keys: VerifierKey) -> None:
        """From now on it watches the logs of these keys."""
        (self.home / "logs.vkeys").write_text("".join(f"{key}\n" for key in keys))

    def start(self) -> None:
        """Starts it; it answers when this returns."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "ONESTOP_TLS_CA": str(self.authority.root),
            "ONESTOP_TLS_CERT": str(self.pair.certificate),
            "ONESTOP_TLS_KEY": str(self.pair.key),
            "ONESTOP_LISTEN": f"127.0.0.1:{self.port}",
            "ONESTOP_ANYBODY": str(self.anybody).lower(),
            "ONESTOP_MODE": "development",
            "ONESTOP_SIGNING_KEY": str(self.home / "signing.key"),
            "ONESTOP_VERIFIER_KEY": str(self.home / "witness.vkey"),
            "ONESTOP_LOG_KEYS": str(self.home / "logs.vkeys"),
            "ONESTOP_MEMORY": str(self.home / "memory.db"),
        }
        with (self.home / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.witness"], env=environment, cwd=ROOT, stdout=out, stderr=out
            )
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                with suppress(httpx2.TransportError):
                    if client.get("/healthz").status_code == 200:
                        return
                assert self.process.poll() is None, self.log
                assert time.monotonic() < deadline, self.log
                time.sleep(0.1)

    def kill(self) -> None:
        """Ends it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(self) -> httpx2.Client:
        """Who calls it as the ledger does."""
        own = self.authority.issue("ledger")
        return httpx2.Client(base_url=self.url, verify=own.client_context(self.authority.root))


@dataclass
class Onlooker:
    """Remembers what the witnesses turned to."""

    seen: list[tuple[str, Attitude, str]] = field(default_factory=list)

    def turned(self, witness: str, attitude: Attitude, why: str) -> None:
        self.seen.append((witness, attitude, why))


@dataclass
class Fed:
    """A feeder that runs."""

    feeder: Feeder
    onlooker: Onlooker
    correspondents: list[HttpCorrespondent]
    task: asyncio.Task[None]

    async def until(self, fact: Callable[[], bool]) -> None:
        """Waits until something is so."""
        async with asyncio.timeout(15):
            while not fact():
                assert not self.task.done(), self.task
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        for one in self.correspondents:
            await one.close()


def policy_of(*witnesses: WitnessProcess, quorum: str = "all") -> Policy:
    """All or any of these witnesses."""
    lines = [f"witness {one.name} {one.key} {one.url}" for one in witnesses]
    names = " ".join(one.name for one in witnesses)
    return Policy.parse("\n".join([*lines, f"group enough {quorum} {names}", "quorum enough", ""]))


def feed(
    town: Town,
    authority: Authority,
    *witnesses: WitnessProcess,
    key: VerifierKey = KEY,
    private: Ed25519PrivateKey = PRIVATE,
) -> Fed:
    """Feeds these witnesses from this ledger, as its process does."""
    tls = authority.issue("ledger").client_context(authority.root)
    correspondents = [HttpCorrespondent(Witness(one.name, one.key, one.url), tls) for one in witnesses]
    onlooker = Onlooker()
    feeder = Feeder(
        town.store,
        PgCosignatures(town.pool),
        CheckpointNotary(key, private),
        key.name,
        correspondents,
        leads=lambda: town.sequencer.state is State.LEADING,
        distrust=town.sequencer.distrust,
        onlooker=onlooker,
        clock=now,
        pause=0.1,
    )
    return Fed(feeder, onlooker, correspondents, asyncio.create_task(feeder.run()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
