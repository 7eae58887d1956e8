"""Checks of our own files, answered from the record of the signatures on them, without reading the file.

A file whose SHA-256 stands in the record left here byte for byte, so all that a full check would read in it
is known from when it was sealed. Recorded beside each signature is what of that the other columns do not say,
under a keyed hash over all of it: whoever writes to the table without the service's keys is not believed.

What is true of a certificate at the moment is not recorded. It is taken from the last full check of a file
under the same certificate, for a minute; where there is none, the file is checked in full. Where there is no
file, because its digest came alone, the certificate is checked by itself.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias
from uuid import UUID

import orjson
from cryptography import x509

from core.clock import Clock
from core.coalesce import Coalescer
from core.log import get_logger
from services.eseal.domain import Seal, SignatureRecord
from services.eseal.levels import Level
from services.eseal.sealing.prepared import Shown
from services.eseal.verifying.finding import Finding, Modification

_logger = get_logger()

LONGEST_BELIEF = timedelta(minutes=1)
MOST_CERTIFICATES = 1024
MOST_SEALS = 64
_HASH_BYTES = 32
_FORM = 1


class Hasher(Protocol):
    """Hashes with a key that only the service has (core.vault)."""

    def keyed_hash(self, *parts: bytes) -> bytes:
        """A keyed hash over parts, 32 bytes."""
        ...


@dataclass(frozen=True)
class Recorded:
    """One signature as the record has it, and the seal by which it was put as it stands now."""

    id: UUID
    seal: Seal
    signed_at: datetime
    document_sha256: bytes
    sealed_sha256: bytes
    cms_sha256: bytes
    facts: bytes | None
    """As `facts_of` made them; None where a file has to be read."""


class Records(Protocol):
    """The record of signatures."""

    async def recorded(self, digests: Sequence[bytes]) -> Sequence[Recorded]:
        """The signatures that files of these SHA-256 left with: of each file one or none."""
        ...


@dataclass(frozen=True)
class Answer:
    """What stands in the record of all seals in a file, as a full check would have found it."""

    findings: Sequence[Finding]
    seals: Mapping[str, Seal]
    """By SHA-256 of their certificates."""
    signing_times: Mapping[bytes, datetime]
    """By SHA-256 of the CMS objects."""


def facts_of(
    hasher: Hasher, record: SignatureRecord, shown: Shown | None, certificate_sha256: str
) -> bytes | None:
    """What is recorded of a sealed file; None where only the file itself says enough of it."""
    if shown is None:
        return None
    said = orjson.dumps(
        {
            "form": _FORM,
            "field": shown.field_name,
            "range": shown.byte_range,
            "first": shown.is_first,
            "certifies": shown.certifies,
        }
    )
    return _hash(hasher, said, record, certificate_sha256) + said


Ask: TypeAlias = Callable[[Seal], Awaitable[Sequence[Finding]]]
"""Who is asked what is to be said now of the certificate that a seal was put with."""


class Book:
    """Reads the record, and remembers what full checks have said of certificates."""

    def __init__(self, records: Records, hasher: Hasher, clock: Clock) -> None:
        self._records = records
        self._hasher = hasher
        self._clock = clock
        self._believed: dict[str, tuple[Finding, datetime]] = {}
        self._asking: dict[str, asyncio.Future[Sequence[Finding]]] = {}
        self._rows: Coalescer[bytes, Recorded | None] = Coalescer(self._fetch)

    async def look_up(self, sealed_sha256: bytes, ask: Ask | None = None) -> Answer | None:
        """The answer to a check of a file; None where it has to be checked in full.

        `ask` is asked of certificates of which nothing is known; without it the file has to be read.
        """
        found: list[tuple[Recorded, Shown, Finding]] = []
        digest = sealed_sha256
        while len(found) < MOST_SEALS:
            row = await self._rows.submit(digest)
            shown = self._shown(row) if row is not None else None
            if row is None or shown is None:
                return None
            example = self._example(row.seal)
            if example is None and ask is not None:
                await self._ask(row.seal, ask)
                example = self._example(row.seal)
            if example is None:
                return None
            found.insert(0, (row, shown, example))
            if shown.is_first:
                return _answer(found)
            digest = row.document_sha256
        return None

    def learn(self, findings: Sequence[Finding]) -> None:
        """Takes up what a full check has just said of certificates."""
        now = self._clock()
        for finding in findings:
            held = finding.trusted_now and finding.intact and finding.valid
            if not (held and finding.genuine_now and finding.bears_seal):
                continue
            until = min(now + LONGEST_BELIEF, *map(_end_of, finding.certificates))
            if len(self._believed) >= MOST_CERTIFICATES:
                self._believed.clear()
            self._believed[finding.certificate_sha256] = finding, until

    async def _fetch(self, digests: Sequence[bytes]) -> Sequence[Recorded | None]:
        """Rows of several checks at once; none where there are two, which nobody can tell apart."""
        rows = await self._records.recorded(digests)
        count = Counter(row.sealed_sha256 for row in rows)
        only = {row.sealed_sha256: row for row in rows if count[row.sealed_sha256] == 1}
        return [only.get(digest) for digest in digests]

    def _shown(self, row: Recorded) -> Shown | None:
        """What a row says of the file; None where nothing is said, or somebody else wrote it."""
        if row.facts is None:
            return None
        given, said = row.facts[:_HASH_BYTES], row.facts[_HASH_BYTES:]
        if not hmac.compare_digest(given, _hash(self._hasher, said, row, row.seal.certificate_sha256)):
            _logger.error("signature_record_altered", signature_id=str(row.id))
            return None
        facts = orjson.loads(said)
        return Shown(facts["field"], tuple(facts["range"]), facts["first"], facts["certifies"])

    def _example(self, seal: Seal) -> Finding | None:
        """What is known of the certificate that a seal was put with."""
        example, until = self._believed.get(seal.certificate_sha256, (None, None))
        if until is None or self._clock() >= until or self._clock() >= seal.valid_until:
            return None  # An OFD's seal says its own end, which is this one or its certificate's.
        return example

    async def _ask(self, seal: Seal, ask: Ask) -> None:
        """Asks once for all who want to know at the same time."""
        asking = self._asking.get(seal.certificate_sha256)
        if asking is None:
            asking = asyncio.ensure_future(ask(seal))
            self._asking[seal.certificate_sha256] = asking
            asking.add_done_callback(lambda _: self._asking.pop(seal.certificate_sha256, None))
        self.learn(await asyncio.shield(asking))


def _answer(found: Sequence[tuple[Recorded, Shown, Finding]]) -> Answer:
    last = len(found) - 1
    return Answer(
        [_finding(*one, is_last=place == last) for place, one in enumerate(found)],
        {row.seal.certificate_sha256: row.seal for row, _, _ in found},
        {row.cms_sha256: row.signed_at for row, _, _ in found},
    )


def _finding(row: Recorded, shown: Shown, example: Finding, *, is_last: bool) -> Finding:
    """What a full check of the file would find of this seal.

    What was sealed here holds, and what came after is one more seal of ours, which changes nothing before it.
    """
    return Finding(
        field_name=shown.field_name,
        signer=example.signer,
        certificate_sha256=example.certificate_sha256,
        cms_sha256=row.cms_sha256,
        signed_at=row.signed_at,
        intact=True,
        valid=True,
        trusted_now=True,
        trusted_then=True,
        permitted=True,
        covers_whole_document=is_last,
        modification=Modification.NONE if is_last else Modification.FORM_FILLING,
        algorithm=example.algorithm,
        structure=example.structure,
        level=0 if example.structure else int(Level.B_B),
        byte_range=shown.byte_range,
        chain=example.chain,
        certificates=example.certificates,
        weaknesses=example.weaknesses,
        certifies=shown.certifies,
    )


def _hash(hasher: Hasher, said: bytes, row: Recorded | SignatureRecord, certificate_sha256: str) -> bytes:
    return hasher.keyed_hash(
        b"signature.facts",
        row.id.bytes,
        row.document_sha256,
        row.sealed_sha256,
        row.cms_sha256,
        int(row.signed_at.timestamp()).to_bytes(8, "big"),
        bytes.fromhex(certificate_sha256),
        said,
    )


def _end_of(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
