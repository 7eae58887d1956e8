"""The development authority as it runs, over HTTP, with the clock of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509

from core.clock import Clock
from deploy.authority.app import build
from deploy.authority.pki import TIME_ROOT, load_time, make_time_pki
from deploy.authority.revocations import Revocation, Revocations
from deploy.authority.stamping import Stamper
from deploy.authority.status import Status
from deploy.local.pki import Authority, open_authority
from services.eseal.putting import Proofs
from services.eseal.trust.authority import load_roots
from services.eseal.trust.lasting import LastingProof
from services.eseal.trust.revocation import Statuses
from services.eseal.trust.sources import Source
from services.eseal.trust.timestamps import SealStamper, TimestampAuthority

SEAL_ROOT = "seal-ca"


@dataclass
class RunningAuthority:
    """What answers at `url`, and what a test makes of it."""

    folder: Path
    clock: Clock
    seal_ca: Authority
    time_ca: Authority
    revocations: Revocations
    off: timedelta = timedelta()
    down: bool = False
    no_stamps: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def revoke(self, certificate: bytes, moment: datetime) -> None:
        """Revokes a certificate of seals, DER."""
        serial = x509.load_der_x509_certificate(certificate).serial_number
        self.revocations.add(
            SEAL_ROOT, serial, Revocation(moment.replace(microsecond=0), x509.ReasonFlags.key_compromise)
        )

    def statuses(self, *, ocsp: bool = True, crl: bool = True) -> Statuses:
        """Its client, without anything kept."""
        sources = [
            Source(
                authority.certificate,
                f"{self.url}/crl/{name}.crl" if crl else "",
                f"{self.url}/ocsp" if ocsp else "",
            )
            for name, authority in ((SEAL_ROOT, self.seal_ca), (TIME_ROOT, self.time_ca))
        ]
        return Statuses(sources, self.clock)

    def proofs(self, *, refuse_unknown: bool = True) -> Proofs:
        """What a desk needs that believes it."""
        roots = load_roots(self.folder / f"{TIME_ROOT}.crt")
        statuses = self.statuses()
        stamper = SealStamper(TimestampAuthority(f"{self.url}/tsa", roots), self.clock)
        return Proofs(LastingProof(stamper, statuses), statuses, refuse_unknown, roots)


class _Stamper(Stamper):
    """Whose clock may be off."""

    def __init__(self, running: RunningAuthority) -> None:
        super().__init__(*load_time(running.folder))
        self._running = running

    def answer(self, query: bytes, moment: datetime) -> bytes:
        return super().answer(query, moment + self._running.off)


@asynccontextmanager
async def running_authority(folder: Path, clock: Clock) -> AsyncIterator[RunningAuthority]:
    """One on a free port, with the seals' authority of `folder`."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  # a test's own folder
    began = clock() - timedelta(days=2)
    seal_ca = open_authority(folder / SEAL_ROOT, "test seal authority", began)
    make_time_pki(folder, began)
    time_ca = open_authority(folder / TIME_ROOT, "", began)
    revocations = Revocations(folder / "state" / "revoked.json")
    (folder / "state" / "revoked.json").unlink(missing_ok=True)
    made = RunningAuthority(folder, clock, seal_ca, time_ca, revocations)
    status = Status({SEAL_ROOT: seal_ca, TIME_ROOT: time_ca}, revocations)
    app = build(_Stamper(made), status, clock)

    @web.middleware
    async def as_told(request: web.Request, handler: Handler) -> web.StreamResponse:
        made.asked.append(request.path)
        if made.down or (made.no_stamps and request.path == "/tsa"):
            raise web.HTTPServiceUnavailable
        return await handler(request)

    app.middlewares.append(as_told)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()
