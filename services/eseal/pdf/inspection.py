"""Checks every seal in a PDF, whoever put it, against the configured authorities. Runs in a confined worker.

Nothing that the file names is fetched, run or trusted: the only trust is in the roots passed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature, async_validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import CertificateValidator
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath

from services.eseal.distinguished import distinguished_name
from services.eseal.pdf.afterwards import rest_is_kept
from services.eseal.pdf.longevity import Stamped, document_timestamps, reached, signature_timestamp
from services.eseal.pdf.sealing import malformed, open_reader
from services.eseal.pdf.signatures import (
    TIMESTAMP,
    Signed,
    covers_exactly,
    precedes_seals_alone,
    signature_fields,
    signatures_of,
    without_padding,
)
from services.eseal.refusals import DocumentError, DocumentTooLargeError
from services.eseal.strength import weaknesses
from services.eseal.trust.stamps import context
from services.eseal.verifying.finding import Finding, Modification, may_be_true, unreadable
from services.eseal.verifying.standing import UNKNOWN

MAX_SEALS = 64
"""More signatures than this in one file are not checked but refused."""
MAX_FIELDS = 2048
"""So many fields may show them, several a signature."""

_LEVELS = {
    ModificationLevel.NONE: Modification.NONE,
    ModificationLevel.LTA_UPDATES: Modification.LTV_UPDATES,
    ModificationLevel.FORM_FILLING: Modification.FORM_FILLING,
    ModificationLevel.ANNOTATIONS: Modification.ANNOTATIONS,
    ModificationLevel.OTHER: Modification.OTHER,
}
KEY_USAGE = KeyUsageConstraints(
    key_usage={"digital_signature", "non_repudiation"},
    match_all_key_usages=True,
    extd_key_usage={"1.3.6.1.5.5.7.3.36"},
)
"""A seal's certificate is for signing documents (RFC 9336) and nothing else."""


async def inspect(
    document: bytes, *, roots: Sequence[bytes], moment: datetime, time_roots: Sequence[bytes] = ()
) -> list[Finding]:
    """What the file shows of each seal in it, in the order they were put. Empty where it bears none.

    `roots` are DER certificates, and so are `time_roots`, those of timestamp authorities. Errors:
    DOCUMENT_MALFORMED, DOCUMENT_ENCRYPTED, DOCUMENT_TOO_LARGE.
    """
    reader = open_reader(document)
    try:
        if len(signature_fields(reader)) > MAX_FIELDS:
            raise DocumentTooLargeError(f"the document bears more than {MAX_FIELDS} signature fields")
        signatures = signatures_of(reader)
        if len(signatures) > MAX_SEALS:
            raise DocumentTooLargeError(f"the document bears more than {MAX_SEALS} signatures")
        anchors = [x509.Certificate.load(root) for root in roots]
        time_anchors = [x509.Certificate.load(root) for root in time_roots]
        stamps = await document_timestamps(_timestamps(reader, signatures, document), time_anchors, moment)
        names = frozenset(name for one in signatures for name in one.names)
        believed = Belief(anchors, moment, names, time_anchors, stamps)
        found = [await _inspect_one(reader, signed, document, believed) for signed in signatures]
    except DocumentError:
        raise
    except Exception as fault:  # a reader may raise anything at all on a file that lies about itself
        raise malformed() from fault
    ordered = sorted((revision, finding.field_name, finding) for revision, finding in found if finding)
    return [finding for _, _, finding in ordered]


async def vouch(
    certificate: bytes, above: Sequence[bytes], digest: str, *, roots: Sequence[bytes], moment: datetime
) -> list[Finding]:
    """What `inspect` would say at this moment of the certificate of any whole seal, its signature over this
    digest, such as `sha256`; empty where the certificate leads to no root. All DER."""
    signer, others = x509.Certificate.load(certificate), [x509.Certificate.load(one) for one in above]
    path = await _path(signer, others, [x509.Certificate.load(root) for root in roots], moment)
    if path is None:
        return []
    chain = list(reversed(list(path.iter_certs(include_root=True))))
    about = Finding(
        field_name="",
        signer=distinguished_name(signer.subject),
        certificate_sha256=hashlib.sha256(certificate).hexdigest(),
        cms_sha256=b"",
        signed_at=None,
        intact=True,
        valid=True,
        trusted_now=True,
        trusted_then=True,
        permitted=True,
        covers_whole_document=True,
        modification=Modification.NONE,
        algorithm=_algorithm(digest, signer),
        chain=tuple(distinguished_name(one.subject) for one in chain),
        certificates=tuple(one.dump() for one in chain[:-1]),
        weaknesses=weaknesses(digest, signer, chain[1:-1]),
    )
    return [about]


@dataclass(frozen=True)
class Belief:
    """Whom to believe, and when; and which fields hold a signature that is checked itself."""

    anchors: list[x509.Certificate]
    moment: datetime
    signed_fields: frozenset[str]
    time_anchors: list[x509.Certificate]
    stamps: list[Stamped]
    """The document timestamps that hold."""


def _timestamps(
    reader: PdfFileReader, signatures: Sequence[Signed], document: bytes
) -> list[EmbeddedPdfSignature]:
    """The document timestamps of a file that cover all that they seem to."""
    found = []
    for signed in signatures:
        try:
            one = EmbeddedPdfSignature(reader, signed.field, signed.name)
            if one.sig_object_type == TIMESTAMP and covers_exactly(one, document):
                one.compute_integrity_info(skip_diff=True)
                if (one.coverage or SignatureCoverageLevel.UNCLEAR) >= SignatureCoverageLevel.ENTIRE_REVISION:
                    found.append(one)
        except Exception:  # what cannot be read proves no time  # noqa: S112
            continue
    return found


async def _inspect_one(
    reader: PdfFileReader, signed: Signed, document: bytes, believed: Belief
) -> tuple[int, Finding | None]:
    """The revision and the signature in its fields; no finding for an unseen timestamp, which is no seal."""
    try:
        signature = EmbeddedPdfSignature(reader, signed.field, signed.name)
        if signature.sig_object_type == TIMESTAMP and signed.are_unseen:
            return 0, None
        return signature.signed_revision, await _inspect_signature(reader, signature, document, believed)
    except Exception:
        # What cannot even be read as a signature still shows: a seal that proves nothing.
        return reader.xrefs.total_revisions, unreadable(signed.name, weaknesses=_weak(reader, signed))


async def _inspect_signature(
    reader: PdfFileReader, signature: EmbeddedPdfSignature, document: bytes, believed: Belief
) -> Finding:
    exact = covers_exactly(signature, document)
    status = await _validate(signature, believed)
    claimed = status.signer_reported_dt
    if claimed is not None and claimed.tzinfo is None:
        claimed = claimed.replace(tzinfo=UTC)
    later = [one for one in believed.stamps if one.revision > signature.signed_revision]
    own = await signature_timestamp(signature, believed.time_anchors, later, believed.moment)
    stamped = own or min(later, key=lambda one: one.moment, default=None)
    signed_by, others = signature.signer_cert, signature.other_embedded_certs
    path = await _path(signed_by, others, believed.anchors, believed.moment)
    path_then = path_stamped = path
    if path is None and claimed is not None and claimed <= believed.moment:
        path_then = await _path(signed_by, others, believed.anchors, claimed)
    if path is None and stamped is not None:
        path_stamped = await _path(signed_by, others, believed.anchors, stamped.moment)
    believable = path or path_stamped or path_then
    chain = list(reversed(list(believable.iter_certs(include_root=True)))) if believable else []
    level, kept = 0, UNKNOWN
    if _is_baseline(signature):
        came = reached(
            reader,
            revision=signature.signed_revision,
            path=[one.dump() for one in chain],
            own=own,
            documents=believed.stamps,
        )
        level, kept = int(came.level), came.kept
    coverage = status.coverage or SignatureCoverageLevel.UNCLEAR
    certificate = status.signing_cert.dump()
    modification = _LEVELS[status.modification_level or ModificationLevel.OTHER]
    is_last = signature.signed_revision == reader.xrefs.total_revisions - 1
    if not rest_is_kept(reader, signature.signed_revision) or (
        is_last and coverage is not SignatureCoverageLevel.ENTIRE_FILE
    ):
        # Bytes behind the last update too: they belong to nothing, and nobody signed them.
        modification = Modification.OTHER
    return Finding(
        field_name=signature.field_name,
        signer=distinguished_name(status.signing_cert.subject),
        certificate_sha256=hashlib.sha256(certificate).hexdigest(),
        cms_sha256=hashlib.sha256(without_padding(signature.pkcs7_content)).digest(),
        signed_at=claimed,
        intact=bool(status.intact) and exact,
        valid=bool(status.valid),
        trusted_now=path is not None,
        trusted_then=path_then is not None,
        permitted=exact
        and bool(status.docmdp_ok)
        and status.seed_value_ok
        and precedes_seals_alone(signature, believed.signed_fields),
        covers_whole_document=exact and coverage == SignatureCoverageLevel.ENTIRE_FILE,
        modification=modification,
        algorithm=_algorithm(signature.md_algorithm, signed_by),
        level=level,
        stamped_at=stamped.moment if stamped else None,
        stamped_by=stamped.authority if stamped else "",
        trusted_stamped=stamped is not None and path_stamped is not None,
        byte_range=tuple(int(number) for number in signature.byte_range) if exact else (),
        chain=tuple(distinguished_name(one.subject) for one in chain),
        certificates=tuple(one.dump() for one in chain[:-1]) or (certificate,),
        kept=kept,
        weaknesses=weaknesses(signature.md_algorithm, signature.signer_cert, chain[1:-1]),
        certifies=signature.docmdp_level is MDPPerm.NO_CHANGES,
        may_be_true=may_be_true(claimed, status.signing_cert.not_valid_before, believed.moment),
    )


def _is_baseline(signature: EmbeddedPdfSignature) -> bool:
    """Whether it is a PAdES baseline signature at all (EN 319 142-1 clause 6.3)."""
    attributes = {attribute["type"].native for attribute in signature.signer_info["signed_attrs"]}
    return str(signature.sig_object.get("/SubFilter")) == "/ETSI.CAdES.detached" and bool(
        attributes & {"signing_certificate_v2", "signing_certificate"}
    )


def _weak(reader: PdfFileReader, signed: Signed) -> tuple[str, ...]:
    """What is too weak in a signature that is not checked for that very reason."""
    try:
        signature = EmbeddedPdfSignature(reader, signed.field, signed.name)
        return weaknesses(signature.md_algorithm, signature.signer_cert, ())
    except Exception:  # it cannot be read at all
        return ()


async def _validate(signature: EmbeddedPdfSignature, believed: Belief) -> PdfSignatureStatus:
    """The library's full validation."""
    return await async_validate_pdf_signature(
        signature,
        signer_validation_context=context(believed.anchors, believed.moment),
        key_usage_settings=KEY_USAGE,
    )


async def _path(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    moment: datetime,
) -> ValidationPath | None:
    """How the certificate leads to an anchor and is for sealing, whatever became of the content; None if not.

    The library leaves this question out where the content was changed; the report answers it always.
    """
    validator = CertificateValidator(
        certificate,
        intermediate_certs=list(others),
        validation_context=context(anchors, moment),
    )
    try:
        KEY_USAGE.validate(certificate)
        return await validator.async_validate_path()
    except (PathError, ValidationError):
        return None


def _algorithm(digest: str, certificate: x509.Certificate) -> str:
    """Such as `sha256_ecdsa_p256`: digest, scheme, and curve or key size."""
    key = certificate.public_key
    if key.algorithm == "ec":
        curve = str(key.curve[1])
        short = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}.get(curve, curve)
        return f"{digest}_ecdsa_{short}"
    if key.algorithm in ("ed25519", "ed448"):
        return str(key.algorithm)
    return f"{digest}_{key.algorithm}_{key.bit_size}"
