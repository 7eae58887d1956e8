"""The jobs of a confined worker, and its answers, as they travel between it and the workshop."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.errors import FieldFault, ServiceError
from services.eseal.domain import Picture
from services.eseal.frames import Json, integers
from services.eseal.refusals import (
    CertificationNotFirstError,
    DocumentEncryptedError,
    DocumentLockedError,
    DocumentMalformedError,
    DocumentTooLargeError,
    FieldNotFoundError,
    KeywordNotFoundError,
    PageNotFoundError,
    PlaceNotForFormatError,
    SealPictureInvalidError,
    Sm2UnavailableError,
    TooManyPlacesError,
)
from services.eseal.sealing.packing import Written
from services.eseal.sealing.placing import Placing, to_json
from services.eseal.sealing.ports import Evidence, Prolonged
from services.eseal.sealing.prepared import RESERVED_HEX, PreparedDocument
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.splice import Splice
from services.eseal.verifying.finding import Finding, Modification
from services.eseal.verifying.standing import Standing, State

MOST_NAMED = 16
"""Parts that a finding names, of those altered and of those not covered."""
LONGEST_TEXT = 256
"""Characters of a text in a finding that comes from the file."""

_ERRORS: dict[str, type[ServiceError]] = {
    error.reason: error
    for error in (
        CertificationNotFirstError,
        DocumentEncryptedError,
        DocumentLockedError,
        DocumentMalformedError,
        DocumentTooLargeError,
        FieldNotFoundError,
        KeywordNotFoundError,
        PageNotFoundError,
        PlaceNotForFormatError,
        SealPictureInvalidError,
        Sm2UnavailableError,
        TooManyPlacesError,
    )
}


@dataclass(frozen=True)
class PrepareJob:
    """Lay out one more seal."""

    document: bytes
    place: Placing
    picture: Picture
    field_name: str
    signer_name: str
    moment: datetime
    room: int = RESERVED_HEX
    certify: bool = False

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        head: Json = {
            "job": "prepare",
            "place": to_json(self.place),
            "size": [self.picture.width_mm, self.picture.height_mm],
            "field_name": self.field_name,
            "signer_name": self.signer_name,
            "moment": self.moment.isoformat(),
            "room": self.room,
            "certify": self.certify,
        }
        return head, [self.document, self.picture.content]


@dataclass(frozen=True)
class ProlongJob:
    """Append to a sealed PDF what it is checked by in years to come."""

    document: bytes
    evidence: Evidence
    field_name: str
    timestamp_field: str
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        found = self.evidence
        head: Json = {
            "job": "prolong",
            "counts": [len(found.certificates), len(found.crls), len(found.ocsps)],
            "field_name": self.field_name,
            "timestamp_field": self.timestamp_field,
            "moment": self.moment.isoformat(),
        }
        return head, [self.document, *found.certificates, *found.crls, *found.ocsps]


@dataclass(frozen=True)
class InspectJob:
    """Check every seal in a file."""

    document: bytes
    roots: Sequence[bytes]
    """DER certificates: for a PDF of authorities with international algorithms, for an OFD with SM2."""
    moment: datetime
    libcrypto: str = ""
    time_roots: Sequence[bytes] = ()
    """DER certificates of timestamp authorities."""

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        head: Json = {
            "job": "inspect",
            "moment": self.moment.isoformat(),
            "libcrypto": self.libcrypto,
            "roots": len(self.roots),
        }
        return head, [self.document, *self.roots, *self.time_roots]


@dataclass(frozen=True)
class VouchJob:
    """Say what is to be said now of the certificate of seals that are known to be whole."""

    certificate: bytes
    above: Sequence[bytes]
    """Certificates between that one and its root, DER."""
    digest: str
    """What its key signs digests by, such as `sha256`."""
    roots: Sequence[bytes]
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        head: Json = {
            "job": "vouch",
            "moment": self.moment.isoformat(),
            "digest": self.digest,
            "above": len(self.above),
        }
        return head, [self.certificate, *self.above, *self.roots]


@dataclass(frozen=True)
class PrepareOfdJob:
    """Lay out one more seal in an OFD."""

    document: bytes
    place: Placing
    seal: bytes
    """SESeal, DER."""
    size_mm: tuple[float, float]
    moment: datetime
    libcrypto: str = ""

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        head: Json = {
            "job": "prepare_ofd",
            "place": to_json(self.place),
            "size": list(self.size_mm),
            "moment": self.moment.isoformat(),
            "libcrypto": self.libcrypto,
        }
        return head, [self.document, self.seal]


def prepared_of(document: bytes, head: Json, blobs: list[bytes]) -> PreparedDocument:
    """The answer to a PrepareJob for this document, to which a worker can do nothing but append.

    Raises DocumentError, and ValueError on an answer out of form.
    """
    raise_refusal(head)
    start, end = integers(head["gap"])
    (update,) = blobs
    return PreparedDocument(document, update, start, end, is_first=head["first"] is True)


def prolonged_of(document: bytes, head: Json, blobs: list[bytes]) -> Prolonged:
    """The answer to a ProlongJob for this document, to which a worker can do nothing but append.

    Raises DocumentError, and ValueError on an answer out of form.
    """
    raise_refusal(head)
    (update,) = blobs
    gap = integers(head["gap"])
    return Prolonged(update, PreparedDocument(document, update, gap[0], gap[1]) if gap else None)


def prepared_ofd_of(document: bytes, moment: datetime, head: Json, blobs: list[bytes]) -> PreparedOfd:
    """The answer to a PrepareOfdJob for this document: what is kept of it comes from here, not from there.

    Raises DocumentError, and ValueError on an answer out of form.
    """
    raise_refusal(head)
    length, count = integers(head["written"])
    body, directory, data_hash = blobs
    return PreparedOfd(
        original=document,
        written=Written(Splice.decoded(body).pieces, length, directory, count),
        path=str(head["path"]),
        value_path=str(head["value_path"]),
        data_hash=data_hash,
        moment=moment,
        is_first=head["first"] is True,
    )


def findings_of(head: Json, blobs: list[bytes]) -> list[Finding]:
    """The answer to an InspectJob. Raises DocumentError, and ValueError on an answer out of form."""
    raise_refusal(head)
    rows = head["findings"]
    if not isinstance(rows, list):
        raise ValueError("findings must be a list")
    return [_finding(row) for row in rows]


def raise_refusal(head: Json) -> None:
    """Raises what the worker refused with."""
    reason = head.get("refused")
    if reason is None:
        return
    error = _ERRORS.get(str(reason), DocumentMalformedError)
    faults = head.get("faults")
    rows = faults if isinstance(faults, list) else []
    raise error(str(head.get("message", "")), faults=[FieldFault(*map(str, row)) for row in rows])


def row_of(finding: Finding) -> Json:
    """A finding as it travels."""
    row: Json = {name: _short(value) for name, value in vars(finding).items()}
    row["cms_sha256"] = base64.b64encode(finding.cms_sha256).decode("ascii")
    row["signed_at"] = finding.signed_at.isoformat() if finding.signed_at else None
    row["modification"] = finding.modification.value
    row["stamped_at"] = finding.stamped_at.isoformat() if finding.stamped_at else None
    row["certificates"] = [base64.b64encode(one).decode("ascii") for one in finding.certificates]
    revoked_at = finding.kept.revoked_at
    row["kept"] = [finding.kept.state.value, revoked_at.isoformat() if revoked_at else None]
    return row


def _short(value: object) -> object:
    """Texts of a file cut, and lists of them: a hostile one could say them without end."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, tuple):
        return tuple(_short(it) for it in value[:MOST_NAMED])
    return value


def _finding(row: object) -> Finding:
    if not isinstance(row, dict):
        raise ValueError("a finding must be an object")
    said = dict(row)
    said["cms_sha256"] = base64.b64decode(said["cms_sha256"])
    said["signed_at"] = datetime.fromisoformat(said["signed_at"]) if said["signed_at"] else None
    said["modification"] = Modification(said["modification"])
    for name in ("altered_parts", "uncovered_parts", "chain", "weaknesses"):
        said[name] = tuple(map(str, said[name]))
    said["stamped_at"] = datetime.fromisoformat(said["stamped_at"]) if said["stamped_at"] else None
    said["byte_range"] = tuple(integers(said["byte_range"]))
    said["certificates"] = tuple(map(base64.b64decode, said["certificates"]))
    state, revoked_at = said["kept"]
    said["kept"] = Standing(State(state), datetime.fromisoformat(revoked_at) if revoked_at else None)
    return Finding(**said)
