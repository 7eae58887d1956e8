"""Seals, who may use them, and what can be said of a sealed document: pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from uuid import UUID

from core.errors import FieldFault
from services.eseal.refusals import (
    DocumentMalformedError,
    DocumentTooLargeError,
    PageNotFoundError,
    SealNotAllowedError,
    SealNotForFormatError,
    SealNotInForceError,
)
from services.eseal.splice import MARK, Splice

MAX_DOCUMENT = 16 * 1024 * 1024
"""The largest document taken, in bytes."""
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 50
EDGE_MM = 15.0
"""Distance from the page's edges at which a seal without a given place stands."""


class Format(StrEnum):
    """What a document is; its media type."""

    PDF = "application/pdf"
    OFD = "application/ofd"


def format_of(document: bytes) -> Format:
    """The format by the first bytes. What is no package is read as a PDF, which then says what is wrong."""
    return Format.OFD if document.startswith(b"PK\x03\x04") else Format.PDF


class Algorithm(StrEnum):
    """A whole signature suite: digest, key type and padding together."""

    ECDSA_P256_SHA256 = "sha256_ecdsa_p256"
    ECDSA_P384_SHA384 = "sha384_ecdsa_p384"
    RSA_2048_SHA256 = "sha256_rsa_2048"
    RSA_3072_SHA256 = "sha256_rsa_3072"
    ED25519 = "ed25519"
    SM2_SM3 = "sm3_sm2"


@dataclass(frozen=True)
class Suite:
    """What belongs to an algorithm."""

    digest: str
    """Of the document, as hashlib names it; of Ed25519 the one that RFC 8419 section 3 asks for."""
    key_type: str
    """As `signers.key_type_of` names it."""
    signature_bytes: int
    """The most that a signature value takes, in bytes."""
    format: Format
    """The documents that it is put on."""
    mechanism: str = ""
    """In a CMS object: the signature algorithm, as asn1crypto names it. RSA pads by PKCS #1 v1.5."""


SUITES: dict[Algorithm, Suite] = {
    Algorithm.ECDSA_P256_SHA256: Suite("sha256", "ec_secp256r1", 72, Format.PDF, "sha256_ecdsa"),
    Algorithm.ECDSA_P384_SHA384: Suite("sha384", "ec_secp384r1", 104, Format.PDF, "sha384_ecdsa"),
    Algorithm.RSA_2048_SHA256: Suite("sha256", "rsa_2048", 256, Format.PDF, "sha256_rsa"),
    Algorithm.RSA_3072_SHA256: Suite("sha256", "rsa_3072", 384, Format.PDF, "sha256_rsa"),
    Algorithm.ED25519: Suite("sha512", "ed25519", 64, Format.PDF, "ed25519"),
    Algorithm.SM2_SM3: Suite("sm3", "sm2", 72, Format.OFD),
}
"""The closed table of suites; what is not here is refused."""


class SealState(Enum):
    """State of a seal; values as in the contract."""

    IN_FORCE = 1
    SUSPENDED = 2
    REVOKED = 3
    EXPIRED = 4
    APPLIED = 5
    MADE = 6
    DESTROYED = 7


@dataclass(frozen=True)
class Seal:
    """A seal (印章). `standing` is what its keepers decided; time is weighed in by `state_at`."""

    id: UUID
    name: str
    owner_code: str
    """USCC of the owning office (GB 32100-2015)."""
    owner_name: str
    standing: SealState
    valid_from: datetime
    valid_until: datetime
    key_id: UUID
    algorithm: Algorithm
    certificate_sha256: str
    kind: str = "official"
    """As `lifecycle.SealKind` has it."""
    code: str = ""
    """Its anti-forgery code, 13 digits."""

    def state_at(self, moment: datetime) -> SealState:
        """The state then. Before its first day a seal counts as suspended: it cannot be used."""
        if self.standing is not SealState.IN_FORCE:
            return self.standing
        if moment < self.valid_from:
            return SealState.SUSPENDED
        return SealState.EXPIRED if moment >= self.valid_until else SealState.IN_FORCE

    def require_format(self, wanted: Format) -> None:
        """Passes a seal whose algorithm belongs to such documents, else raises SealNotForFormatError."""
        own = SUITES[self.algorithm].format
        if own is not wanted:
            raise SealNotForFormatError(
                f"the seal is for {own.name} documents; this one is {wanted.name}: use another seal or format"
            )

    def require_in_force(self, moment: datetime) -> None:
        """Passes a seal in force, else raises SealNotInForceError."""
        state = self.state_at(moment)
        if state is not SealState.IN_FORCE:
            raise SealNotInForceError(f"the seal is {state.name.lower()}; use one that is in force")


@dataclass(frozen=True)
class SealUser:
    """A permission: this office may use the seal. An empty text means any."""

    seal_id: UUID
    office_code: str
    matter_code: str = ""
    operator: str = ""
    """The account of a member of the office's staff."""
    caller: str = ""
    """A registered caller, such as `approval-platform`."""
    rule_id: UUID | None = field(default=None, compare=False)
    is_limited: bool = field(default=False, compare=False)
    """Whether it has a quota."""

    def _narrowness(self) -> tuple[bool, bool, bool]:
        return bool(self.operator), bool(self.matter_code), bool(self.caller)


def require_allowed(
    users: Sequence[SealUser], *, office: str, matter_code: str, operator: str = "", caller: str = ""
) -> SealUser:
    """The narrowest of the seal's permissions that covers this use: its quota counts, not a wider one's.

    A permission for one member of the staff is narrower than one for a matter, that than one for a caller.
    Raises SealNotAllowedError where none covers it.
    """
    covering = [user for user in users if user.office_code == office]
    if not covering:
        raise SealNotAllowedError("the case's office has no permission to use this seal")
    for name, asked, what in (
        ("matter_code", matter_code, "for this matter"),
        ("operator", operator, "by this member of its staff"),
        ("caller", caller, "by this caller"),
    ):
        covering = [user for user in covering if getattr(user, name) in ("", asked)]
        if not covering:
            raise SealNotAllowedError(f"the office may use this seal, but not {what}")
    return max(covering, key=SealUser._narrowness)


@dataclass(frozen=True)
class Picture:
    """A seal's picture as PDF content: deflated operators in points, origin lower left."""

    content: bytes = field(repr=False)
    width_mm: float
    height_mm: float


@dataclass(frozen=True)
class Stamp:
    """What a seal puts on a document: its picture, and for an OFD its structure."""

    picture: Picture
    structure: bytes = field(default=b"", repr=False)
    """SESeal, DER (GB/T 38540); empty where the seal has none."""
    least_level: int = 1
    """The level below which it is not put on a PDF, as in `levels.Level`."""


@dataclass(frozen=True)
class Place:
    """Where the picture goes: page from 1, 0 the last; its centre in mm from the left and bottom edge."""

    page: int = 0
    x_mm: float = 0.0
    y_mm: float = 0.0

    @property
    def is_default(self) -> bool:
        """Whether the seal goes to the lower right."""
        return self.x_mm == 0 and self.y_mm == 0


@dataclass(frozen=True)
class Box:
    """A rectangle in PDF points."""

    left: float
    bottom: float
    right: float
    top: float


def box_of(place: Place, picture: tuple[float, float], page: Box) -> Box:
    """The rectangle that a picture of width × height points takes on the page.

    Raises PageNotFoundError where the centre lies off the page; a picture may reach over the edge,
    as it does when someone stamps on paper.
    """
    mm = 72 / 25.4
    width, height = picture
    if place.is_default:
        x = max(page.right - EDGE_MM * mm - width / 2, (page.left + page.right) / 2)
        y = min(page.bottom + EDGE_MM * mm + height / 2, (page.bottom + page.top) / 2)
    else:
        x, y = page.left + place.x_mm * mm, page.bottom + place.y_mm * mm
    if not (page.left <= x <= page.right and page.bottom <= y <= page.top):
        wide, tall = (page.right - page.left) / mm, (page.top - page.bottom) / mm
        message = f"the place lies off the page, which is {wide:.0f} by {tall:.0f} mm"
        raise PageNotFoundError(message, faults=[FieldFault("place", "on_page", message)])
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def require_size(document: bytes) -> None:
    """Passes a document of 1 byte to MAX_DOCUMENT bytes."""
    if not document:
        raise DocumentMalformedError("the document is empty; send a PDF or an OFD")
    if len(document) > MAX_DOCUMENT:
        raise DocumentTooLargeError(f"the document is larger than {MAX_DOCUMENT} bytes (16 MiB)")


@dataclass(frozen=True)
class SignatureRecord:
    """The record of one signature that was put."""

    id: UUID
    seal_id: UUID
    signed_at: datetime
    key_id: UUID
    document_sha256: bytes
    """Of the file as it came; of a filled template, of what its seal signs."""
    sealed_sha256: bytes
    """Of the file as it left."""
    cms_sha256: bytes
    """Of the CMS object in it; finds the record again in a file that grew."""
    intent_id: UUID
    caller: str
    office_code: str
    matter_code: str
    case_number: str
    facts: bytes | None = field(default=None, repr=False)
    """What else a check of the sealed file is answered with (recorded.py); None where it has to be read."""


@dataclass(frozen=True)
class SealedDocument:
    """A sealed file with the id and time of its record."""

    original: bytes = field(repr=False)
    """The file as it came."""
    update: bytes = field(repr=False)
    """What the seal changed: what it appended to a PDF, or an OFD's encoded splice."""
    signature_id: UUID
    signed_at: datetime
    format: Format = Format.PDF
    plate: bytes = field(default=b"", repr=False)
    """SHA-256 of what came, where that was no file but a template's plate."""
    link: str = field(default="", repr=False)
    """The verification link of a template's document."""

    @property
    def document(self) -> bytes:
        """The file as it leaves."""
        return with_update(self.original, self.update)


def with_update(original: bytes, update: bytes) -> bytes:
    """A file with what a seal changed in it. Raises ValueError where the update is another file's."""
    if update.startswith(MARK):
        return Splice.decoded(update).applied_to(original)
    return original + update
