"""The development authority as it runs, over HTTP, with the clock of a test."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from cryptography import x509

from core.clock import Clock
from deploy.authority.answers import Answer, Answers, Asked
from deploy.authority.issuers import SEAL_ROOT, TIME_ROOT, load_issuers, load_stamper
from deploy.authority.pki import make_authority
from deploy.authority.revocations import REVOKED, Revocation, Revocations
from deploy.authority.server import Server
from deploy.authority.status import Status
from deploy.local.pki import Authority, open_authority
from deploy.local.sm2_pki import make_sm2_pki
from services.eseal.addresses import SOURCES
from services.eseal.gm.sm2 import load_sm2
from services.eseal.sealing.putting import Proofs
from services.eseal.trust.authority import load_roots
from services.eseal.trust.lasting import LastingProof
from services.eseal.trust.revocation import Statuses
from services.eseal.trust.sources import load_sources
from services.eseal.trust.timestamps import SealStamper, TimestampAuthority
from services.eseal.trust.vouching import Vouching


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
    no_ocsp: bool = False
    rejecting: bool = False
    """Whether it is asked for timestamps that it does not grant, whatever was asked."""
    asked: list[str] = field(default_factory=list)
    url: str = ""
    may_stamp: threading.Event = field(default_factory=threading.Event)
    """Cleared, it keeps waiting who asks for timestamps, as long as they do."""
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for each who waits."""

    def __post_init__(self) -> None:
        self.may_stamp.set()

    def revoke(self, certificate: bytes, moment: datetime, issuer: str = SEAL_ROOT) -> None:
        """Revokes a certificate, DER, of seals unless another issuer is named."""
        serial = x509.load_der_x509_certificate(certificate).serial_number
        self.revocations.add(issuer, serial, Revocation(moment.replace(microsecond=0), "key_compromise"))

    def statuses(self, *, ocsp: bool = True, crl: bool = True) -> Statuses:
        """Its client, without anything kept."""
        sources = load_sources(self.folder / SOURCES)
        return Statuses(
            [replace(one, ocsp=one.ocsp * ocsp, crl=one.crl * crl) for one in sources],
            self.clock,
            vouching=Vouching(load_sm2()),
        )

    def proofs(self, *, refuse_unknown: bool = True) -> Proofs:
        """What a desk needs that believes it."""
        roots = load_roots(self.folder / f"{TIME_ROOT}.crt")
        statuses = self.statuses()
        stamper = SealStamper(TimestampAuthority(f"{self.url}/tsa", roots), self.clock)
        return Proofs(LastingProof(stamper, statuses), statuses, refuse_unknown, roots)

    def answer(self, answers: Answers, asked: Asked) -> Answer:
        """As it answers, or as a test has told it to."""
        self.asked.append(asked.path)
        if asked.path == "/tsa" and not self.may_stamp.is_set():
            self.waiting.release()
            self.may_stamp.wait(10)
        away = (
            self.down or (self.no_stamps and asked.path == "/tsa") or (self.no_ocsp and asked.path == "/ocsp")
        )
        if away:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE)
        if self.rejecting and asked.path == "/tsa":
            asked = replace(asked, body=b"no query")
        return answers.to(asked, self.clock() + (self.off if asked.path == "/tsa" else timedelta()))


@asynccontextmanager
async def running_authority(folder: Path, clock: Clock) -> AsyncIterator[RunningAuthority]:
    """One on a free port, with the seals' authorities of `folder`."""
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  # a test's own folder
    began = clock() - timedelta(days=2)
    seal_ca = open_authority(folder / SEAL_ROOT, "test seal authority", began)
    make_sm2_pki(folder, began)
    (folder / REVOKED).unlink(missing_ok=True)

    def answering(asked: Asked) -> Answer:
        return made.answer(answers, asked)

    with Server("127.0.0.1", 0, answering) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        make_authority(folder, url, began)
        time_ca = open_authority(folder / TIME_ROOT, "", began)
        revocations = Revocations(folder / REVOKED)
        made = RunningAuthority(folder, clock, seal_ca, time_ca, revocations, url=url)
        answers = Answers(load_stamper(folder), Status(load_issuers(folder), revocations))
        running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        running.start()
        try:
            yield made
        finally:
            server.shutdown()
            running.join()
