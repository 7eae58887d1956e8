"""Says what has become of certificates: revocation lists (RFC 5280) and answers by OCSP (RFC 6960)."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from deploy.authority.revocations import Revocations
from deploy.local.pki import Authority

LONGEST_QUERY = 16 * 1024
FRESH = timedelta(seconds=60)
"""How long an answer may be kept: so soon a revocation takes effect everywhere."""
BACKDATED = timedelta(minutes=1)


class Status:
    """What a few authorities, by name, say of their certificates."""

    def __init__(self, authorities: dict[str, Authority], revocations: Revocations) -> None:
        self._authorities = authorities
        self._revocations = revocations

    def crl(self, name: str, now: datetime) -> bytes:
        """An authority's revocation list, DER. Raises KeyError for an authority that there is not."""
        authority = self._authorities[name]
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(authority.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + FRESH)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
            )
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        )
        for (issuer, serial), revocation in self._revocations.all().items():
            if issuer != name:
                continue
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            entry = entry.revocation_date(revocation.moment)
            # RFC 5280 5.3.1: an entry without a reason is one with `unspecified`.
            if revocation.reason is not x509.ReasonFlags.unspecified:
                entry = entry.add_extension(x509.CRLReason(revocation.reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(self, query: bytes, now: datetime) -> bytes:
        """OCSPResponse, DER, signed by the certificate's own authority; a nonce is given back."""
        try:
            asked = ocsp.load_der_ocsp_request(query)
            name, authority = self._asked_of(asked)
        except (ValueError, TypeError):
            return _without_answer(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        except KeyError:
            return _without_answer(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        revocation = self._revocations.all().get((name, asked.serial_number))
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=asked.issuer_key_hash,
            serial_number=asked.serial_number,
            algorithm=asked.hash_algorithm,
            cert_status=ocsp.OCSPCertStatus.REVOKED if revocation else ocsp.OCSPCertStatus.GOOD,
            this_update=now - BACKDATED,
            next_update=now + FRESH,
            revocation_time=revocation.moment if revocation else None,
            revocation_reason=revocation.reason if revocation else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
        for extension in asked.extensions:
            if isinstance(extension.value, x509.OCSPNonce):
                builder = builder.add_extension(extension.value, critical=False)
        return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _asked_of(self, asked: x509.ocsp.OCSPRequest) -> tuple[str, Authority]:
        """The authority that a query is about. Raises KeyError where it is none of ours."""
        for name, authority in self._authorities.items():
            if _hashes(authority.certificate, asked.hash_algorithm) == (
                asked.issuer_name_hash,
                asked.issuer_key_hash,
            ):
                return name, authority
        raise KeyError


def _hashes(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    """Of the issuer's name and key, as a query has them (RFC 6960 section 4.1.1)."""
    key = certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    found = []
    for data in (certificate.subject.public_bytes(), key):
        running = hashes.Hash(algorithm)
        running.update(data)
        found.append(running.finalize())
    return found[0], found[1]


def _without_answer(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
