"""What an authority has issued for a seal's key: taken only if our own verification would believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import keys, pem, x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import InvalidCertificateError, PathError, ValidationError

from services.eseal.domain import Algorithm
from services.eseal.gm.sm2 import Sm2
from services.eseal.gm.sm2_certificate import Signer
from services.eseal.pdf.inspection import KEY_USAGE

MOST_BYTES = 64 * 1024
"""Of the file that an authority has answered with."""
MOST_CERTIFICATES = 8
MOST_IN_SIGNATURE = 2800
"""Bytes of certificates that a signature in a PDF has room for."""


class NotTakenError(Exception):
    """Why a certificate is not taken: the rule that it breaks, and what would be right."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True)
class Issued:
    """A certificate that was checked, DER, and those between it and its root, the nearest first."""

    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    not_before: datetime
    not_after: datetime


def read_certificates(content: bytes) -> list[bytes]:
    """The certificates of a file, PEM or one in DER. Raises NotTakenError."""
    if len(content) > MOST_BYTES:
        raise NotTakenError(
            "form", f"the file is larger than {MOST_BYTES} bytes; it holds certificates alone"
        )
    try:
        if not pem.detect(content):
            found = [content]
        else:
            parts = list(pem.unarmor(content, multiple=True))
            if any(kind != "CERTIFICATE" for kind, _, _ in parts):
                raise NotTakenError("form", "the file holds something else besides certificates")
            found = [der for _, _, der in parts]
        for der in found:
            x509.Certificate.load(der, strict=True).native  # noqa: B018  # reads it whole
    except (ValueError, TypeError, KeyError, IndexError, OverflowError):
        raise NotTakenError("form", "the file holds no certificate; give X.509 in PEM, or DER") from None
    if len(found) > MOST_CERTIFICATES:
        raise NotTakenError("form", f"the file holds more than {MOST_CERTIFICATES} certificates")
    return found


async def check_issued(
    certificates: Sequence[bytes],
    *,
    public_key: bytes,
    algorithm: Algorithm,
    roots: Sequence[bytes],
    moment: datetime,
    sm2: Sm2 | None = None,
) -> Issued:
    """Which of the certificates (DER) is the key's own, and how it leads to one of the roots (DER).

    `public_key` is the key that was asked for, SubjectPublicKeyInfo in DER. Raises NotTakenError by the rules
    `public_key`, `validity`, `key_usage`, `chain` and `size`.
    """
    own = [der for der in certificates if _is_for(der, public_key)]
    if not own:
        raise NotTakenError("public_key", "none of the certificates is of the key that was asked for")
    if len(own) > 1:
        raise NotTakenError("public_key", "several certificates are of this key; give the newest alone")
    certificate = x509.Certificate.load(own[0])
    start, end = certificate.not_valid_before, certificate.not_valid_after
    if not start <= moment < end:
        raise NotTakenError("validity", f"the certificate is valid from {start:%F} to {end:%F}, not today")
    others = [der for der in certificates if der != own[0]]
    if algorithm is Algorithm.SM2_SM3:
        _check_sm2(own[0], roots, moment, sm2)
        return Issued(own[0], (), start, end)
    chain = await _checked_chain(certificate, others, roots, moment)
    if sum(map(len, (own[0], *chain))) > MOST_IN_SIGNATURE:
        message = (
            f"the certificate and its chain take more than the {MOST_IN_SIGNATURE} bytes that a seal has"
        )
        raise NotTakenError("size", message)
    return Issued(own[0], chain, start, end)


async def _checked_chain(
    certificate: x509.Certificate, others: Sequence[bytes], roots: Sequence[bytes], moment: datetime
) -> tuple[bytes, ...]:
    """The certificates between, by the rules of our verification of PDFs (RFC 5280 section 6)."""
    try:
        KEY_USAGE.validate(certificate)
    except InvalidCertificateError as failure:
        raise NotTakenError(
            "key_usage",
            "the certificate must be for digitalSignature, nonRepudiation and documentSigning (RFC 9336): "
            + failure.failure_msg,
        ) from None
    validator = CertificateValidator(
        certificate,
        intermediate_certs=[x509.Certificate.load(der) for der in others],
        validation_context=ValidationContext(
            trust_roots=[x509.Certificate.load(der) for der in roots], allow_fetching=False, moment=moment
        ),
    )
    try:
        path = await validator.async_validate_path()
    except (PathError, ValidationError) as failure:
        raise NotTakenError(
            "chain", f"the certificate does not lead to an authority that is believed here: {failure}"
        ) from None
    between = [one.dump() for one in path.iter_certs(include_root=False)]
    return tuple(reversed([der for der in between if der != certificate.dump()]))


def _check_sm2(certificate: bytes, roots: Sequence[bytes], moment: datetime, sm2: Sm2 | None) -> None:
    if sm2 is None:
        raise NotTakenError("algorithm", "there is no SM2 on this machine")
    usage = x509.Certificate.load(certificate).key_usage_value
    if usage is None or not {"digital_signature", "non_repudiation"} <= usage.native:
        raise NotTakenError("key_usage", "the certificate must be for digitalSignature and nonRepudiation")
    authorities = [Signer.load(sm2, root) for root in roots]
    if not Signer.load(sm2, certificate).is_trusted(authorities, moment):
        message = "the certificate is not for signing documents, or not issued by an authority believed here"
        raise NotTakenError("chain", message)


def _is_for(certificate: bytes, public_key: bytes) -> bool:
    """Whether a certificate is of this key. Only the parameters of RSA may be written in two ways."""
    theirs, ours = x509.Certificate.load(certificate).public_key, keys.PublicKeyInfo.load(public_key)
    if theirs["public_key"].dump() != ours["public_key"].dump():
        return False
    mine, other = ours["algorithm"], theirs["algorithm"]
    rsa = mine["algorithm"].native == other["algorithm"].native == "rsa"
    return rsa or bool(mine.dump() == other.dump())
