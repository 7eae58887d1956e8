"""Reads what authorities say of certificates: revocation lists (RFC 5280), OCSP responses (RFC 6960). No I/O.

Everything raises ValueError on an answer that does not count: not its issuer's, not of now, out of form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from services.eseal.trust.vouching import USUAL, Vouching
from services.eseal.verifying.standing import Standing, State

TOLERANCE = timedelta(minutes=5)
"""How far the clocks of authorities may be from ours."""
_UNREAD = {ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR}
"""A list with one of these does not speak of all of its issuer's certificates."""


@dataclass(frozen=True)
class RevocationList:
    """A list that holds, and until when it counts."""

    parsed: x509.CertificateRevocationList
    content: bytes
    until: datetime

    def standing(self, serial: int) -> Standing:
        """What it says of a certificate."""
        entry = self.parsed.get_revoked_certificate_by_serial_number(serial)
        if entry is None:
            return Standing(State.GOOD, crl=self.content)
        return Standing(State.REVOKED, entry.revocation_date_utc, crl=self.content)


def read_list(
    content: bytes,
    issuer: x509.Certificate,
    now: datetime,
    *,
    kept: bool = False,
    vouching: Vouching = USUAL,
) -> RevocationList:
    """An issuer's revocation list, DER, that counts now; one that was `kept` may also be of later."""
    found = x509.load_der_x509_crl(content)
    if not vouching.has_listed(issuer, found):
        raise ValueError("the revocation list is not its issuer's")
    if any(extension.oid in _UNREAD for extension in found.extensions):
        raise ValueError("the revocation list is of a part of the certificates only")
    since = found.last_update_utc
    return RevocationList(
        found, content, _until(since, found.next_update_utc, max(now, since) if kept else now)
    )


def query(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """OCSPRequest, DER, without a nonce: its answer may be kept."""
    return _asked(certificate, issuer, SHA256()).public_bytes(Encoding.DER)


def _asked(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: HashAlgorithm
) -> ocsp.OCSPRequest:
    return ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()


def read_answer(
    content: bytes,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime,
    *,
    kept: bool = False,
    vouching: Vouching = USUAL,
) -> tuple[Standing, datetime]:
    """What an OCSP response, DER, says of a certificate, and until when that counts; one that was `kept` may
    also be of later than now."""
    answer = ocsp.load_der_ocsp_response(content)
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {answer.response_status.name.lower()}")
    one = next((one for one in answer.responses if _is_about(one, certificate, issuer)), None)
    if one is None:
        raise ValueError("the response is about another certificate")
    since = one.this_update_utc
    at = max(now, since) if kept else now
    _require_signed(answer, issuer, at, vouching)
    until = _until(since, one.next_update_utc, at)
    if one.certificate_status is ocsp.OCSPCertStatus.GOOD:
        return Standing(State.GOOD, ocsp=content), until
    if one.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        return Standing(State.REVOKED, one.revocation_time_utc, ocsp=content), until
    raise ValueError("the responder does not know the certificate")


def _is_about(one: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether an answer is about this certificate. Any digest names it (RFC 6960 4.1.1)."""
    asked = _asked(certificate, issuer, one.hash_algorithm)
    return (one.serial_number, one.issuer_name_hash, one.issuer_key_hash) == (
        asked.serial_number,
        asked.issuer_name_hash,
        asked.issuer_key_hash,
    )


def _until(since: datetime, until: datetime | None, now: datetime) -> datetime:
    """The end of what an authority says; without one it cannot be told how old it is."""
    if until is None or not since - TOLERANCE <= now < until:
        raise ValueError("what the authority says is not of now")
    return until


def _require_signed(
    answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime, vouching: Vouching
) -> None:
    """Passes a response by the issuer itself, or by one whom it has certified for this (section 4.2.2.2)."""
    for signer in (issuer, *answer.certificates):
        may = signer is issuer or _may_respond(signer, issuer, now, vouching)
        if may and vouching.has_answered(signer, answer):
            return
    raise ValueError("the response is not by the issuer, nor by one whom it lets respond")


def _may_respond(
    signer: x509.Certificate, issuer: x509.Certificate, now: datetime, vouching: Vouching
) -> bool:
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    in_validity = signer.not_valid_before_utc <= now <= signer.not_valid_after_utc
    return in_validity and ExtendedKeyUsageOID.OCSP_SIGNING in usage and vouching.has_issued(issuer, signer)
