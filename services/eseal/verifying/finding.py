"""What a file shows of one seal in it: pure data, between those who read files and the rules for verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from services.eseal.verifying.standing import UNKNOWN, Standing

_CLOCKS_DIFFER = timedelta(minutes=5)


class Modification(StrEnum):
    """What changed in a file after a seal."""

    NONE = "none"
    LTV_UPDATES = "ltv_updates"
    FORM_FILLING = "form_filling"
    ANNOTATIONS = "annotations"
    OTHER = "other"


@dataclass(frozen=True)
class Finding:
    """What the file itself shows of one seal in it, before our own records are asked."""

    field_name: str
    signer: str
    certificate_sha256: str
    cms_sha256: bytes
    signed_at: datetime | None
    intact: bool
    valid: bool
    trusted_now: bool
    """The chain leads to a configured authority at the moment of the check."""
    trusted_then: bool
    """The same at the time that the signer claims."""
    permitted: bool
    """Whether what came after is permitted: by the seal's own lock, and new seals at most."""
    covers_whole_document: bool
    modification: Modification
    algorithm: str
    structure: str = ""
    """What the seal is made by, such as `GB/T 38540-2020`; empty for a PDF's."""
    bears_seal: bool = True
    """Whether it is a seal at all: an OFD may also bear signatures without one."""
    genuine_now: bool = True
    """Whether the seal itself, by its own structure, is its maker's, in its validity, and this signer's."""
    genuine_then: bool = True
    """The same at the time that the signer claims."""
    genuine_stamped: bool = False
    """The same at the time of the earliest timestamp over it that holds."""
    altered_parts: tuple[str, ...] = ()
    """Of an OFD: parts that are missing or not what the seal covers."""
    uncovered_parts: tuple[str, ...] = ()
    """Of an OFD: parts that the seal does not cover, and no later seal's own either."""
    level: int = 0
    """The level that it has reached, as in `levels.Level`; 0 where it is not even B-B."""
    stamped_at: datetime | None = None
    """The time of the earliest timestamp over it that holds."""
    stamped_by: str = ""
    trusted_stamped: bool = False
    """Whether the chain led to a configured authority at that time."""
    byte_range: tuple[int, ...] = ()
    chain: tuple[str, ...] = ()
    """Subjects from the signer's certificate to the authority's, where they lead to a configured one."""
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    """The signer's certificate and those above it but for the root, DER."""
    kept: Standing = UNKNOWN
    """What the revocation data in the file itself say of them, as of when they were put in."""
    weaknesses: tuple[str, ...] = ()
    certifies: bool = False
    is_readable: bool = True
    """Whether it could be checked at all."""
    may_be_true: bool = True
    """Whether it can have been put when its signer says: not before the certificate, not after the check."""


def unreadable(
    name: str, *, structure: str = "", bears_seal: bool = True, weaknesses: tuple[str, ...] = ()
) -> Finding:
    """Of a signature that cannot be read, or is of a form that is not checked: it proves nothing."""
    return Finding(
        field_name=name,
        signer="",
        certificate_sha256="",
        cms_sha256=b"",
        signed_at=None,
        intact=False,
        valid=False,
        trusted_now=False,
        trusted_then=False,
        permitted=False,
        covers_whole_document=False,
        modification=Modification.OTHER,
        algorithm="",
        structure=structure,
        bears_seal=bears_seal,
        weaknesses=weaknesses,
        is_readable=False,
    )


def may_be_true(claimed: datetime | None, valid_from: datetime, moment: datetime) -> bool:
    """Whether a signature by a certificate, valid from then, can have been made when its signer claims."""
    if claimed is None:
        return True
    return valid_from - _CLOCKS_DIFFER <= claimed <= moment + _CLOCKS_DIFFER
