"""How a seal comes onto a document: laid out first, out of reach of keys, then signed over digests alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.eseal.domain import SUITES, Format, Stamp
from services.eseal.levels import Level
from services.eseal.photo import Photo
from services.eseal.refusals import LevelUnavailableError
from services.eseal.sealing.placing import InField, Placing
from services.eseal.sealing.ports import Envelope, Lasting, SealSignature, Signer, Workshop
from services.eseal.sealing.prepared import RESERVED_HEX, STAMPED_HEX, PreparedDocument, RunningDigest, Shown
from services.eseal.sealing.prepared_ofd import PreparedOfd

_OF_CMS = 768
"""Bytes that a CMS object takes at most besides certificates and signature value."""


@dataclass(frozen=True)
class Pressed:
    """A document with its seal: what changed, and the digests of the whole and of the signature value."""

    update: bytes
    sealed_sha256: bytes
    value_sha256: bytes
    shown: Shown | None = None
    """Of a file at B-B. None where there is more to say of it, which only who reads the file can."""


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
    level: Level = Level.B_B
    certify: bool = False


def room_for(level: Level) -> int:
    """What a PDF's signature of this level gets, in hexadecimal digits."""
    return STAMPED_HEX if level > Level.B_B else RESERVED_HEX


def room_of(level: Level, signer: Signer) -> int:
    """The same of a document made here, whose signer is known before: no more than its certificates need."""
    if level > Level.B_B:
        return STAMPED_HEX
    certificates = sum(map(len, (signer.certificate, *signer.chain)))
    # The signer's issuer is named twice more, and takes less than its certificate.
    most = certificates + len(signer.certificate) + SUITES[signer.algorithm].signature_bytes + _OF_CMS
    return 2 * most


class Presses:
    """Lays documents of each format out for a seal."""

    def __init__(
        self,
        workshop: Workshop,
        envelope: Envelope,
        seal_signature: SealSignature,
        lasting: Lasting | None = None,
    ) -> None:
        self._workshop = workshop
        self._envelope = envelope
        self._seal_signature = seal_signature
        self._lasting = lasting

    @property
    def read_photo(self) -> Callable[[bytes, tuple[int, int]], Coroutine[Any, Any, Photo]]:
        """What reads the pictures that go into a template, in the workshop of these presses."""
        return self._workshop.read_photo

    async def lay_out(self, order: Order, original: RunningDigest) -> Press:
        """Lays the document out, and tells how it is sealed then; `original` has taken the file in.

        Errors: DOCUMENT_*, PAGE_NOT_FOUND, WORKSHOP_BUSY.
        """
        if order.format is Format.OFD:
            prepared = await self._workshop.prepare_ofd(
                order.document, order.place, order.stamp, moment=order.moment
            )
            return self._ofd_press(prepared, order)
        laid_out = await self._workshop.prepare(
            order.document,
            order.place,
            order.stamp.picture,
            field_name=order.field_name,
            signer_name=order.signer_name,
            moment=order.moment,
            room=room_for(order.level),
            certify=order.certify,
        )
        return self._pdf_press(laid_out, original, order)

    def press_of(
        self,
        prepared: PreparedDocument | PreparedOfd,
        original: RunningDigest,
        order: Order,
        signed_sha256: bytes,
    ) -> Press:
        """How a document is sealed that is laid out already, as a filled template is: SHA-256 of what is
        signed is known."""
        if isinstance(prepared, PreparedOfd):
            return self._ofd_press(prepared, order)
        return self._pdf_press(prepared, original, order, signed_sha256)

    def _pdf_press(
        self, prepared: PreparedDocument, original: RunningDigest, order: Order, signed_sha256: bytes = b""
    ) -> Press:
        """How a PDF is sealed that is laid out; `original` has taken the file in."""

        async def press(signer: Signer) -> Pressed:
            digest = SUITES[signer.algorithm].digest
            if digest == "sha256":
                signed = signed_sha256 or prepared.digest_after(original)
            else:
                signed = prepared.digest_after(await _digest_of(prepared.original, digest))
            cms = await self._envelope(signer, signed)
            if order.level >= Level.B_T:
                cms = await self._means().stamped(cms)
            update = prepared.filled_update(cms)
            if order.level >= Level.B_LT:
                update += await self._prolonged(prepared.original + update, cms, order)
            sealed = original.copy()
            sealed.update(update)
            shown = None
            if order.level is Level.B_B and not isinstance(order.place, InField):
                shown = Shown(order.field_name, prepared.byte_range, prepared.is_first, order.certify)
            return Pressed(update, sealed.digest(), hashlib.sha256(cms).digest(), shown)

        return press

    async def _prolonged(self, document: bytes, cms: bytes, order: Order) -> bytes:
        """What is appended to the sealed document for years to come."""
        means = self._means()
        evidence = await means.evidence(cms)
        stamp = f"{order.field_name}-time" if order.level >= Level.B_LTA else ""
        more = await self._workshop.prolong(
            document, evidence, field_name=order.field_name, timestamp_field=stamp
        )
        if more.stamped is None:
            return more.update
        token = await means.token(more.stamped.digest_after(await sha256_of(document)))
        return more.stamped.filled_update(token)

    def _means(self) -> Lasting:
        if self._lasting is None:
            raise LevelUnavailableError("this installation makes seals of level B-B only")
        return self._lasting

    def _ofd_press(self, prepared: PreparedOfd, order: Order) -> Press:
        """How an OFD is sealed that is laid out."""

        async def press(signer: Signer) -> Pressed:
            value = await self._seal_signature(
                signer,
                seal=order.stamp.structure,
                data_hash=prepared.data_hash,
                path=prepared.path,
                moment=prepared.moment,
            )
            if order.level >= Level.B_T:
                value = await self._means().stamped_seal(value)
            splice = prepared.filled(value)
            sealed = await sha256_of(splice.applied_to(prepared.original))
            shown = None
            if order.level is Level.B_B:
                shown = Shown(prepared.path.removeprefix("/"), (), prepared.is_first, certifies=False)
            return Pressed(splice.encoded(), sealed.digest(), hashlib.sha256(value).digest(), shown)

        return press


async def sha256_of(data: bytes) -> RunningDigest:
    """A SHA-256 that has taken in the data, off the event loop where it would hold it up."""
    return await _digest_of(data, "sha256")


async def _digest_of(data: bytes, name: str) -> RunningDigest:
    """The same with a digest that hashlib names."""
    if len(data) < 1 << 18:
        return hashlib.new(name, data)
    return await asyncio.to_thread(hashlib.new, name, data)
