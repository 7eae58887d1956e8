"""How a seal comes onto a document: laid out first, out of reach of keys, then signed over digests alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.eseal.domain import SUITES, Algorithm, Finding, Format, Picture, Stamp, with_update
from services.eseal.placing import Placing
from services.eseal.prepared import PreparedDocument, RunningDigest
from services.eseal.prepared_ofd import PreparedOfd


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

    async def sign(self, data: bytes) -> bytes:
        """The signature over the data, by the key's own suite; ECDSA as DER."""
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
    ) -> PreparedDocument:
        """A PDF laid out for one more seal. Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY."""
        ...

    async def prepare_ofd(
        self, document: bytes, place: Placing, stamp: Stamp, *, moment: datetime
    ) -> PreparedOfd:
        """An OFD laid out for one more seal. Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY."""
        ...

    async def inspect(
        self, document: bytes, *, roots: Sequence[bytes], moment: datetime
    ) -> Sequence[Finding]:
        """What a document shows of the seals in it, `roots` being for its format.

        Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE, WORKSHOP_BUSY.
        """
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


@dataclass(frozen=True)
class Pressed:
    """A document with its seal: what changed, and the digests of the whole and of the signature value."""

    update: bytes
    sealed_sha256: bytes
    value_sha256: bytes


Press = Callable[[Signer], Awaitable[Pressed]]
"""Puts the seal on a document that is laid out for it."""


@dataclass(frozen=True)
class Order:
    """A seal to be put: on which document, where, and what it says of itself."""

    document: bytes = field(repr=False)
    format: Format
    place: Placing
    stamp: Stamp
    field_name: str
    signer_name: str
    moment: datetime


class Presses:
    """Lays documents of each format out for a seal."""

    def __init__(self, workshop: Workshop, envelope: Envelope, seal_signature: SealSignature) -> None:
        self._workshop = workshop
        self._envelope = envelope
        self._seal_signature = seal_signature

    async def lay_out(self, order: Order, original: RunningDigest) -> Press:
        """Lays the document out, and tells how it is sealed then; `original` has taken the file in.

        Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY.
        """
        if order.format is Format.OFD:
            prepared = await self._workshop.prepare_ofd(
                order.document, order.place, order.stamp, moment=order.moment
            )
            return self._ofd_press(prepared, order.stamp.structure)
        laid_out = await self._workshop.prepare(
            order.document,
            order.place,
            order.stamp.picture,
            field_name=order.field_name,
            signer_name=order.signer_name,
            moment=order.moment,
        )
        return self._pdf_press(laid_out, original)

    def _pdf_press(self, prepared: PreparedDocument, original: RunningDigest) -> Press:
        """How a PDF is sealed that is laid out; `original` has taken the file in."""

        async def press(signer: Signer) -> Pressed:
            digest = SUITES[signer.algorithm].digest
            before = original if digest == "sha256" else await _digest_of(prepared.original, digest)
            cms = await self._envelope(signer, prepared.digest_after(before))
            update = prepared.filled_update(cms)
            sealed = original.copy()
            sealed.update(update)
            return Pressed(update, sealed.digest(), hashlib.sha256(cms).digest())

        return press

    def _ofd_press(self, prepared: PreparedOfd, structure: bytes) -> Press:
        """How an OFD is sealed that is laid out."""

        async def press(signer: Signer) -> Pressed:
            value = await self._seal_signature(
                signer,
                seal=structure,
                data_hash=prepared.data_hash,
                path=prepared.path,
                moment=prepared.moment,
            )
            update = prepared.filled(value).encoded()
            sealed = await sha256_of(with_update(prepared.original, update))
            return Pressed(update, sealed.digest(), hashlib.sha256(value).digest())

        return press


async def sha256_of(data: bytes) -> RunningDigest:
    """A SHA-256 that has taken in the data, off the event loop where it would hold it up."""
    return await _digest_of(data, "sha256")


async def _digest_of(data: bytes, name: str) -> RunningDigest:
    """The same with a digest that hashlib names."""
    if len(data) < 1 << 18:
        return hashlib.new(name, data)
    return await asyncio.to_thread(hashlib.new, name, data)
