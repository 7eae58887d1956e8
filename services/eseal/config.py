"""The seal service's settings, and what follows from them alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import DirectoryPath, Field, FilePath

from core import production
from core.clock import now
from core.config import Mode, ServiceConfig
from core.log import get_logger
from core.production import Refusal
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.keys.token import Token, token_place
from services.eseal.refusals import Sm2UnavailableError
from services.eseal.sealing.putting import Proofs
from services.eseal.trust.authority import load_roots
from services.eseal.trust.lasting import LastingProof
from services.eseal.trust.revocation import Statuses
from services.eseal.trust.sources import load_sources
from services.eseal.trust.timestamps import SealStamper, TimestampAuthority
from services.eseal.trust.vouching import Vouching


class EsealConfig(ServiceConfig):
    """What the seal service needs beside what every service does."""

    seal_roots: FilePath
    """PEM: the authorities whose seals are believed."""
    sm2_seal_roots: FilePath | None = None
    """PEM: the authorities with SM2 whose seals are believed, on OFD documents; none, unless set."""
    seal_authority: DirectoryPath | None = None
    """In development: the folder of the authority that issues certificates of seals, and of the maker with
    SM2. Without it the certificate of a seal is requested of an authority elsewhere, and imported."""
    verification_address: str = Field(default="", max_length=200, pattern=r"^(https://[!-~]+)?$")
    """What the verification links of documents made of templates begin with; the number follows. Without it
    no template is filled."""
    libcrypto: FilePath | None = None
    """The libcrypto that SM2 is done with; the one found first that knows it, unless set."""
    pdf_workers: int = Field(default=0, ge=0, le=64)
    """Confined processes that read and write PDFs; as many as there are cores, unless set."""
    pdf_cpu_seconds: float = Field(default=5.0, gt=0, le=50)
    """Processor time that one of them may spend on one file."""

    token_module: FilePath | None = None
    """The library (PKCS #11) of the token that holds seals' keys; none, unless set."""
    token_label: str = Field(default="", max_length=32)
    """Which token it is."""
    token_pin_file: FilePath | None = None
    """The file that holds the token's PIN."""
    token_sessions: int = Field(default=2, ge=1, le=64)
    """Signatures that the token makes at a time."""
    token_seconds: float = Field(default=5.0, gt=0, le=60)
    """So long a signature may take, waiting included, before the call is refused."""

    timestamp_authority: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """RFC 3161: vouches for our clock. Without one, in development only, nobody does."""
    timestamp_roots: FilePath | None = None
    """PEM: the authorities by which it is believed."""

    revocation_sources: FilePath | None = None
    """TOML: for each issuer of certificates who tells what became of them; nobody is asked, unless set,
    which in production needs `revocation_unknown` to be `accept`."""
    revocation_unknown: Literal["", "refuse", "accept"] = ""
    """What of a certificate of which nobody says in time that it is good: seals are neither put nor believed
    by it, or all the same; `refuse` in production and `accept` in development, unless set."""

    def unsafe(self) -> Iterator[Refusal]:
        """Also seals of the development authority, and a time that nobody apart from us vouches for."""
        yield from super().unsafe()
        yield from production.unsafe_certificates("ONESTOP_SEAL_ROOTS", self.seal_roots)
        if self.sm2_seal_roots and self.sm2_seal_roots.stat().st_size:
            yield from production.unsafe_certificates("ONESTOP_SM2_SEAL_ROOTS", self.sm2_seal_roots)
        if self.seal_authority is not None:
            yield (
                "ONESTOP_SEAL_AUTHORITY",
                "is set: the key of an authority does not belong beside the service",
            )
        why = "is unset: nobody but this machine's own clock would say when a seal was made"
        if not self.timestamp_authority:
            yield "ONESTOP_TIMESTAMP_AUTHORITY", why
        elif self.timestamp_roots is None:
            yield "ONESTOP_TIMESTAMP_ROOTS", "is unset: a timestamp authority is believed by its roots alone"
        # Who has none to name may be given an empty file.
        named = self.revocation_sources is not None and self.revocation_sources.stat().st_size > 0
        if not named and self.revocation_unknown != "accept":
            yield (
                "ONESTOP_REVOCATION_SOURCES",
                "is unset: nobody would say that a certificate was revoked; name them, or set"
                " ONESTOP_REVOCATION_UNKNOWN to accept",
            )
        if self.token_pin_file is not None:
            yield from production.open_file("ONESTOP_TOKEN_PIN_FILE", self.token_pin_file)
        yield from production.unsafe_address(
            "ONESTOP_TIMESTAMP_AUTHORITY", self.timestamp_authority, "a timestamp authority"
        )
        yield from production.unsafe_certificates("ONESTOP_TIMESTAMP_ROOTS", self.timestamp_roots)

    def token(self, *, writing: bool = False) -> Token | None:
        """The token with seals' keys; None where nothing is set. Raises SystemExit where part of it is.

        One that is `writing` has one session, opened when a key is destroyed.
        """
        try:
            place = token_place(self.token_module, self.token_label, self.token_pin_file)
        except ValueError as failure:
            raise SystemExit(str(failure)) from None
        if place is None:
            return None
        return Token(
            place,
            sessions=1 if writing else self.token_sessions,
            seconds=self.token_seconds,
            writing=writing,
        )

    def authority(self) -> TimestampAuthority | None:
        """Whoever makes timestamps; None where nothing is set. Raises SystemExit where half of it is."""
        if not self.timestamp_authority:
            return None
        if self.timestamp_roots is None:
            raise SystemExit("ONESTOP_TIMESTAMP_ROOTS: is needed with ONESTOP_TIMESTAMP_AUTHORITY")
        return TimestampAuthority(self.timestamp_authority, load_roots(self.timestamp_roots))

    def sm2(self) -> Sm2 | None:
        """SM2, proved against the standard's example; None where no libcrypto knows it.

        Raises Sm2UnavailableError where the one that the settings name does not.
        """
        try:
            found = load_sm2(self.libcrypto)
        except Sm2UnavailableError as failure:
            if self.libcrypto is not None:
                raise SystemExit(f"ONESTOP_LIBCRYPTO: {failure.message}") from None
            get_logger().warning("sm2_unavailable", detail=failure.message)
            return None
        get_logger().info("sm2_ready", library=found.version)
        return found

    def proofs(self, authority: TimestampAuthority | None, sm2: Sm2 | None) -> Proofs:
        """What vouches for seals. Raises SystemExit on a file of sources that is out of form."""
        statuses = None
        if self.revocation_sources is not None:
            try:
                sources = load_sources(self.revocation_sources)
                statuses = Statuses(sources, now, vouching=Vouching(sm2)) if sources else None
            except (OSError, ValueError) as fault:
                raise SystemExit(f"ONESTOP_REVOCATION_SOURCES: {fault}") from None
        return Proofs(
            lasting=LastingProof(SealStamper(authority, now), statuses or Statuses((), now))
            if authority
            else None,
            statuses=statuses,
            refuse_unknown=(self.revocation_unknown or self._usual_for_unknown()) == "refuse",
            time_roots=load_roots(self.timestamp_roots) if self.timestamp_roots else (),
        )

    def _usual_for_unknown(self) -> str:
        return "refuse" if self.mode is Mode.PRODUCTION else "accept"
