"""Certificates of seals under a certificate authority whose key lies in a file: the development one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, ObjectIdentifier

from services.eseal.addresses import NOWHERE, SOURCES, Addresses
from services.eseal.keys.signers import PublicKey
from services.eseal.trust.sources import addresses_of

DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")
"""Extended key usage id-kp-documentSigning (RFC 9336)."""

_ONLY_SIGNATURES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=True,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class SealAuthority:
    """Issues certificates for seals, which name the addresses at which their state is told."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        addresses: Addresses = NOWHERE,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._addresses = addresses

    @classmethod
    def load(cls, certificate: Path, key: Path) -> SealAuthority:
        """From PEM files; the addresses from the file of sources beside them, where there is one.

        Raises ValueError where the key is no P-256 key or not the certificate's.
        """
        issuer = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != issuer.public_key():
            raise ValueError(f"{key.name} is not the key of {certificate.name}")
        der = issuer.public_bytes(Encoding.DER)
        return cls(issuer, private, addresses_of(certificate.parent / SOURCES, der))

    def issue(
        self,
        key: PublicKey,
        *,
        seal_name: str,
        owner_code: str,
        owner_name: str,
        valid_from: datetime,
        valid_until: datetime,
    ) -> bytes:
        """A seal's certificate, DER (RFC 5280): for signatures on documents alone.

        The subject's organizationIdentifier is NTRCN- and the USCC (EN 319 412-1 clause 5.1.4).
        """
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
                _attribute(NameOID.ORGANIZATION_NAME, owner_name),
                x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{owner_code}"),
                _attribute(NameOID.COMMON_NAME, seal_name),
            ]
        )
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid_from)
            .not_valid_after(valid_until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_ONLY_SIGNATURES, critical=True)
            .add_extension(x509.ExtendedKeyUsage([DOCUMENT_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer_key, critical=False)
        )
        for extension in address_extensions(self._addresses):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.DER)


def address_extensions(addresses: Addresses) -> Iterator[x509.ExtensionType]:
    """The extensions by which a certificate names who tells what became of it."""
    if addresses.ocsp:
        responder = x509.UniformResourceIdentifier(addresses.ocsp)
        described = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, responder)
        yield x509.AuthorityInformationAccess([described])
    if addresses.crl:
        place = x509.UniformResourceIdentifier(addresses.crl)
        yield x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])


def _attribute(oid: ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    """A name of at most 64 characters (RFC 5280 appendix A.1: ub-common-name, ub-organization-name)."""
    if not 1 <= len(value) <= 64:
        raise ValueError("a name in a certificate has 1 to 64 characters")
    with warnings.catch_warnings():
        # The library counts the bytes of UTF-8, in which 22 Chinese characters are too many already.
        warnings.simplefilter("ignore", UserWarning)
        return x509.NameAttribute(oid, value, _validate=False)


def load_roots(path: Path) -> list[bytes]:
    """The certificates of a PEM file, DER: the authorities whose seals are believed. Raises ValueError."""
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return [certificate.public_bytes(Encoding.DER) for certificate in found]


def known_above(roots: Sequence[bytes]) -> Callable[[bytes], Sequence[bytes]]:
    """Finds, of these authorities (DER), the one that has issued a certificate; none where it is another."""
    authorities = [x509.load_der_x509_certificate(root) for root in roots]

    @lru_cache(maxsize=1024)
    def above(certificate: bytes) -> Sequence[bytes]:
        issued = x509.load_der_x509_certificate(certificate)
        return [one.public_bytes(Encoding.DER) for one in authorities if _has_issued(one, issued)]

    return above


def _has_issued(authority: x509.Certificate, issued: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
