"""What sealing needs of others: keys, workers that read documents, authorities, makers of signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.eseal.domain import Algorithm, Picture, Stamp
from services.eseal.photo import Photo
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.prepared import RESERVED_HEX, PreparedDocument
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.verifying.finding import Finding


class Signer(Protocol):
    """A key in a keystore, which it never leaves."""

    @property
    def algorithm(self) -> Algorithm:
        """The suite that it signs by."""
        ...

    @property
    def certificate(self) -> bytes:
        """The key's certificate, DER."""
        ...

    @property
    def chain(self) -> Sequence[bytes]:
        """Certificates between that one and its root, DER, the nearest first."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether it signs in a fraction of a millisecond, and waits for nobody meanwhile."""
        ...

    @property
    def in_device(self) -> bool:
        """Whether a device signs, which may keep one waiting."""
        ...

    async def sign(self, data: bytes) -> bytes:
        """The signature over the data, by the key's own suite; ECDSA as DER."""
        ...


@dataclass(frozen=True)
class Evidence:
    """By what a seal is checked in years to come: certificates, revocation lists, OCSP responses; all DER."""

    certificates: Sequence[bytes] = ()
    crls: Sequence[bytes] = ()
    ocsps: Sequence[bytes] = ()


@dataclass(frozen=True)
class Prolonged:
    """What is appended to a sealed PDF, and laid out with it a document timestamp, if it gets one."""

    update: bytes = field(repr=False)
    stamped: PreparedDocument | None = None


class Lasting(Protocol):
    """What a seal gets beyond its signature."""

    async def token(self, digest: bytes) -> bytes:
        """A timestamp over a SHA-256 digest, CMS DER. Errors: TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED."""
        ...

    async def stamped(self, signature: bytes) -> bytes:
        """The CMS object with a timestamp over its signature value. Errors as of `token`."""
        ...

    async def stamped_seal(self, value: bytes) -> bytes:
        """An OFD's signature value (SES_Signature, DER) with a timestamp over it. Errors as of `token`."""
        ...

    async def evidence(self, *tokens: bytes) -> Evidence:
        """By what CMS objects are checked. Errors: REVOCATION_UNKNOWN, CERTIFICATE_REVOKED."""
        ...


class Workshop(Protocol):
    """Reads and writes documents, out of reach of keys and data."""

    async def prepare(
        self,
        document: bytes,
        place: Placing,
        picture: Picture,
        *,
        field_name: str,
        signer_name: str,
        moment: datetime,
        room: int = RESERVED_HEX,
        certify: bool = False,
    ) -> PreparedDocument:
        """A PDF laid out for one more seal, its signature with this room in hexadecimal digits.

        Errors: DOCUMENT_*, PAGE_NOT_FOUND, CERTIFICATION_NOT_FIRST, WORKSHOP_BUSY.
        """
        ...

    async def prolong(
        self, document: bytes, evidence: Evidence, *, field_name: str, timestamp_field: str
    ) -> Prolonged:
        """What a PDF that was sealed in this field gets for years to come; with a `timestamp_field` a gap
        for a document timestamp too. Errors: DOCUMENT_MALFORMED, WORKSHOP_BUSY."""
        ...

    async def read_photo(self, file: bytes, room: tuple[int, int]) -> Photo:
        """A picture for a template's field, which has room for so many dots across and down. Errors:
        SEAL_PICTURE_INVALID, DOCUMENT_MALFORMED (it takes too much to read), WORKSHOP_BUSY."""
        ...

    async def prepare_ofd(
        self, document: bytes, place: Placing, stamp: Stamp, *, moment: datetime
    ) -> PreparedOfd:
        """An OFD laid out for one more seal. Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY."""
        ...

    async def inspect(
        self,
        document: bytes,
        *,
        roots: Sequence[bytes],
        moment: datetime,
        time_roots: Sequence[bytes] = (),
    ) -> Sequence[Finding]:
        """What a document shows of the seals in it, `roots` being for its format, `time_roots` of timestamps.

        Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE, WORKSHOP_BUSY.
        """
        ...


class CertificateReader(Protocol):
    """Reads certificates, out of reach of keys and data."""

    async def vouch(
        self,
        certificate: bytes,
        above: Sequence[bytes],
        digest: str,
        *,
        roots: Sequence[bytes],
        moment: datetime,
    ) -> Sequence[Finding]:
        """What is to be said now of the certificate of PDFs' seals that are known to be whole; empty where
        it is not to be believed. Errors: DOCUMENT_MALFORMED, WORKSHOP_BUSY."""
        ...


class Envelope(Protocol):
    """Makes the CMS object that goes into a prepared document."""

    async def __call__(self, signer: Signer, digest: bytes) -> bytes:
        """CMS SignedData, DER, over a digest by the key's suite."""
        ...


class SealSignature(Protocol):
    """Makes the signature value that goes into a prepared OFD."""

    async def __call__(
        self, signer: Signer, *, seal: bytes, data_hash: bytes, path: str, moment: datetime
    ) -> bytes:
        """SES_Signature, DER (GB/T 38540), over the SM3 digest of the file at `path`."""
        ...
