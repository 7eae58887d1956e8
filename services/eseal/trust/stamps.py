"""Checks timestamps (RFC 3161) in signatures. Runs in a confined worker only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import cms, x509
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko.sign.validation.status import TimestampSignatureStatus
from pyhanko_certvalidator import ValidationContext

from services.eseal.digests import imprint_of
from services.eseal.distinguished import distinguished_name


@dataclass(frozen=True)
class Stamp:
    """A timestamp that holds: its time, whose it is, and the certificates up to its root, DER."""

    moment: datetime
    authority: str
    path: tuple[bytes, ...]


def context(anchors: Sequence[x509.Certificate], moment: datetime) -> ValidationContext:
    """Trust in the anchors alone, and no fetching."""
    return ValidationContext(trust_roots=list(anchors), allow_fetching=False, moment=moment)


async def stamp_over(
    content: bytes, token: cms.SignedData, anchors: Sequence[x509.Certificate], moment: datetime
) -> Stamp | None:
    """The timestamp over some content, if it holds at a moment; None where it does not, or is out of form.

    A digest that is too weak proves nothing.
    """
    try:
        status = TimestampSignatureStatus(
            **await validate_tst_signed_data(
                token, context(anchors, moment), lambda algorithm: imprint_of(algorithm, content)
            )
        )
    except Exception:  # a file may hold anything; what cannot be read proves no time
        return None
    return stamp_of(status) if status.intact and status.valid and status.trusted else None


def stamp_of(status: TimestampSignatureStatus) -> Stamp:
    """Of a timestamp that was checked already."""
    path = status.validation_path
    certificates = tuple(one.dump() for one in path.iter_certs(include_root=True)) if path else ()
    subject = distinguished_name(status.signing_cert.subject)
    return Stamp(status.timestamp, subject, tuple(reversed(certificates)))
