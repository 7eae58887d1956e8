"""What a PDF's seals reach beyond their signatures: timestamps, and revocation data kept in the file.

Runs in a confined worker only. Timestamps are read from the last to the first: each must hold at the time
that a later one proves, else now. So one whose authority's certificate has ended holds while
another one covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise

from asn1crypto import x509
from cryptography import x509 as pyca
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature, async_validate_pdf_timestamp

from services.eseal.levels import Level
from services.eseal.trust import status_answers
from services.eseal.trust.stamps import Stamp, context, stamp_of, stamp_over
from services.eseal.verifying.standing import UNKNOWN, Standing, State, worst_of

MOST_KEPT = 64
"""Certificates, lists or responses of one file that are looked at."""


@dataclass(frozen=True)
class Stamped:
    """A timestamp that holds: over everything up to a revision; whose; with the path to its root."""

    revision: int
    moment: datetime
    authority: str
    path: tuple[bytes, ...]


async def document_timestamps(
    timestamps: Sequence[EmbeddedPdfSignature], anchors: Sequence[x509.Certificate], moment: datetime
) -> list[Stamped]:
    """Those of a file that hold, the last first."""
    held: list[Stamped] = []
    for one in sorted(timestamps, key=lambda each: each.signed_revision, reverse=True):
        at = held[-1].moment if held else moment
        try:
            status = await async_validate_pdf_timestamp(one, context(anchors, at), skip_diff=True)
        except Exception:  # a file may hold anything; what cannot be read proves no time  # noqa: S112
            continue
        if status.intact and status.valid and status.trusted:
            held.append(_at(one.signed_revision, stamp_of(status)))
    return held


async def signature_timestamp(
    signature: EmbeddedPdfSignature,
    anchors: Sequence[x509.Certificate],
    later: Sequence[Stamped],
    now: datetime,
) -> Stamped | None:
    """The timestamp in a seal's own signature, if it holds at the time that those after it prove."""
    signer = signature.signer_info
    tokens = [
        value["content"]
        for attribute in signer["unsigned_attrs"]
        if attribute["type"].native == "signature_time_stamp_token"
        for value in attribute["values"]
    ]
    if len(tokens) != 1:
        return None

    at = min((one.moment for one in later), default=now)
    found = await stamp_over(signer["signature"].native, tokens[0], anchors, at)
    return _at(signature.signed_revision, found) if found else None


def _at(revision: int, stamp: Stamp) -> Stamped:
    return Stamped(revision, stamp.moment, stamp.authority, stamp.path)


@dataclass(frozen=True)
class Reached:
    """The level of a seal, and what the file itself says of its certificates."""

    level: Level
    kept: Standing


def reached(
    reader: PdfFileReader,
    *,
    revision: int,
    path: Sequence[bytes],
    own: Stamped | None,
    documents: Sequence[Stamped],
) -> Reached:
    """How far a seal at a revision came, whose certificates are `path`, its root at the end; `own` is the
    timestamp in it, `documents` those over the file."""
    later = [one for one in documents if one.revision > revision]
    stamped = own or min(later, key=lambda one: one.moment, default=None)
    if stamped is None:
        return Reached(Level.B_B, UNKNOWN)
    paths = (path, stamped.path)
    kept = _kept(reader, None, paths, stamped.moment)
    if kept.state is State.UNKNOWN:
        return Reached(Level.B_T, UNKNOWN)
    for one in later:
        # The timestamp must cover the revocation data too, as the file was then.
        if _kept(reader, one.revision, paths, stamped.moment).state is not State.UNKNOWN:
            return Reached(Level.B_LTA, kept)
    return Reached(Level.B_LT, kept)


def _kept(
    reader: PdfFileReader, revision: int | None, paths: Sequence[Sequence[bytes]], moment: datetime
) -> Standing:
    """What the file, as it was at a revision, says of every certificate below its root."""
    try:
        handler = reader if revision is None else reader.get_historical_resolver(revision)
        if "/DSS" not in handler.root:
            return UNKNOWN
        store = handler.root["/DSS"]
        crls = [one.get_object().data for one in islice(store.get("/CRLs", ()), MOST_KEPT)]
        ocsps = [one.get_object().data for one in islice(store.get("/OCSPs", ()), MOST_KEPT)]
    except Exception:  # as above
        return UNKNOWN
    found = []
    for path in paths:
        if len(path) < 2:
            return UNKNOWN
        for below, above in pairwise(path):
            found.append(_said(below, above, crls, ocsps, moment))
    return worst_of(found)


def _said(
    certificate: bytes, issuer: bytes, crls: Sequence[bytes], ocsps: Sequence[bytes], moment: datetime
) -> Standing:
    """What was said of a certificate, in something that still counted when the seal was stamped."""
    below, above = pyca.load_der_x509_certificate(certificate), pyca.load_der_x509_certificate(issuer)
    for content in ocsps:
        try:
            return status_answers.read_answer(content, below, above, moment, kept=True)[0]
        except (ValueError, TypeError):
            continue
    for content in crls:
        try:
            return status_answers.read_list(content, above, moment, kept=True).standing(below.serial_number)
        except (ValueError, TypeError):
            continue
    return UNKNOWN
