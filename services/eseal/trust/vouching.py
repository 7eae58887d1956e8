"""Whether an authority has signed a certificate, a list or an answer; with SM2 as well as the usual keys."""

from __future__ import annotations

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from services.eseal.gm.sm2 import Sm2
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3

LEAST_DIGEST = 32
"""Bytes: SHA-1 vouches for nothing."""


class Vouching:
    """Checks signatures of authorities; those with SM2 where a library for it is given."""

    def __init__(self, sm2: Sm2 | None = None) -> None:
        self._sm2 = sm2

    def has_issued(self, issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
        """Whether a certificate is an issuer's own work. Nothing of validity or purposes."""
        if issuer.subject != certificate.issuer:
            return False
        if certificate.signature_algorithm_oid.dotted_string == SM2_WITH_SM3:
            return self._by_sm2(issuer, certificate.tbs_certificate_bytes, certificate.signature)
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def has_listed(self, issuer: x509.Certificate, found: x509.CertificateRevocationList) -> bool:
        """Whether a revocation list is an issuer's."""
        if found.issuer != issuer.subject:
            return False
        if found.signature_algorithm_oid.dotted_string == SM2_WITH_SM3:
            return self._by_sm2(issuer, found.tbs_certlist_bytes, found.signature)
        try:
            digest = found.signature_hash_algorithm
            strong = digest is None or digest.digest_size >= LEAST_DIGEST
            return strong and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False

    def has_answered(self, signer: x509.Certificate, answer: ocsp.OCSPResponse) -> bool:
        """Whether an OCSP response is signed by the key of a certificate."""
        if answer.signature_algorithm_oid.dotted_string == SM2_WITH_SM3:
            return self._by_sm2(signer, answer.tbs_response_bytes, answer.signature)
        try:
            _verify(signer, answer)
        except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
            return False
        return True

    def _by_sm2(self, signer: x509.Certificate, content: bytes, signature: bytes) -> bool:
        if self._sm2 is None:
            return False
        try:
            key = asn1_x509.Certificate.load(signer.public_bytes(Encoding.DER)).public_key
            return self._sm2.load_public(key.dump()).is_signed(content, signature)
        except (ValueError, TypeError, KeyError):
            return False


USUAL = Vouching()
"""Without SM2."""


def _verify(signer: x509.Certificate, answer: ocsp.OCSPResponse) -> None:
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    signature, content = answer.signature, answer.tbs_response_bytes
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, content)
    elif digest is None or digest.digest_size < LEAST_DIGEST:
        raise InvalidSignature
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, content, ec.ECDSA(digest))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, content, padding.PKCS1v15(), digest)
    else:
        raise InvalidSignature
