"""X.509 certificates with SM2 and SM3 (RFC 5280, GB/T 20518): issuing them, and whom to believe.

Kept apart from the ones that `cryptography` handles, which knows no SM2. A chain is two certificates long: a
signer's, and an authority's that was configured. Whoever believes an authority below another configures it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asn1crypto import core, keys, pem, x509

from services.eseal.addresses import NOWHERE, Addresses
from services.eseal.distinguished import seal_subject
from services.eseal.gm.sm2 import Sm2, Sm2Key

SM2_WITH_SM3 = "1.2.156.10197.1.501"
SM2_CURVE = "1.2.156.10197.1.301"
DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
"""Extended key usage id-kp-documentSigning (RFC 9336)."""

_UNDERSTOOD = {"basic_constraints", "key_usage", "extended_key_usage"}
"""Extensions that may be critical: the others' rules are not checked here (RFC 5280 section 4.2)."""
_SERIAL_BITS = 159

keys.NamedCurve.register("sm2p256v1", SM2_CURVE, 32)


class Sm2Authority:
    """A certificate authority with SM2, its key in a file: for development."""

    def __init__(self, sm2: Sm2, certificate: bytes, key: Sm2Key, addresses: Addresses = NOWHERE) -> None:
        self._sm2 = sm2
        self._key = key
        self._addresses = addresses
        self.certificate = certificate
        """DER."""

    @classmethod
    def make(cls, sm2: Sm2, name: str, *, valid_from: datetime, valid_until: datetime) -> Sm2Authority:
        """A new authority, with a certificate that it has signed itself."""
        key, subject = sm2.generate(), x509.Name.build({"common_name": name})
        extensions = [
            _extension("basic_constraints", {"ca": True, "path_len_constraint": 0}, critical=True),
            _extension("key_usage", {"key_cert_sign", "crl_sign"}, critical=True),
        ]
        content = _content(subject, subject, key, (valid_from, valid_until), extensions)
        return cls(sm2, _signed(content, key), key)

    @classmethod
    def load(cls, sm2: Sm2, certificate: Path, key: Path, addresses: Addresses = NOWHERE) -> Sm2Authority:
        """From PEM files. Its certificates name the addresses at which their state is told.

        Raises ValueError where the key is not the certificate's.
        """
        der, private = load_credential(sm2, certificate, key)
        return cls(sm2, der, private, addresses)

    def private_pem(self) -> bytes:
        """The key, PKCS #8 in PEM."""
        return bytes(pem.armor("PRIVATE KEY", self._key.private_bytes()))

    def certificate_pem(self) -> bytes:
        """The certificate in PEM."""
        return certificate_pem(self.certificate)

    def issue(
        self,
        key: Sm2Key,
        *,
        seal_name: str,
        owner_code: str,
        owner_name: str,
        valid_from: datetime,
        valid_until: datetime,
    ) -> bytes:
        """A certificate for signing documents, DER. Its subject is as `authority.SealAuthority` writes it."""
        subject = seal_subject(seal_name=seal_name, owner_code=owner_code, owner_name=owner_name)
        usage = {"digital_signature", "non_repudiation"}
        more = [_extension("extended_key_usage", [DOCUMENT_SIGNING]), *_named(self._addresses)]
        return self._issue(subject, key, (valid_from, valid_until), usage, more)

    def issue_responder(
        self, key: Sm2Key, name: str, *, valid_from: datetime, valid_until: datetime
    ) -> bytes:
        """A certificate, DER, for saying what became of this authority's certificates (RFC 6960 4.2.2.2).

        Its own state is not asked for (4.2.2.2.1).
        """
        subject = x509.Name.build({"common_name": name})
        more = [_extension("extended_key_usage", ["ocsp_signing"]), _extension("ocsp_no_check", core.Null())]
        return self._issue(subject, key, (valid_from, valid_until), {"digital_signature"}, more)

    def _issue(
        self,
        subject: x509.Name,
        key: Sm2Key,
        validity: tuple[datetime, datetime],
        usage: set[str],
        more: Sequence[x509.Extension],
    ) -> bytes:
        issuer = x509.Certificate.load(self.certificate)
        extensions = [
            _extension("basic_constraints", {"ca": False}, critical=True),
            _extension("key_usage", usage, critical=True),
            _extension("authority_key_identifier", {"key_identifier": issuer.key_identifier}),
            *more,
        ]
        return _signed(_content(issuer.subject, subject, key, validity, extensions), self._key)


@dataclass(frozen=True)
class Signer:
    """A certificate whose owner signed something: what it says, and its key."""

    der: bytes
    subject: x509.Name
    key: Sm2Key
    certificate: x509.Certificate

    @classmethod
    def load(cls, sm2: Sm2, der: bytes) -> Signer:
        """Raises ValueError where this is no certificate of an SM2 key."""
        try:
            certificate = x509.Certificate.load(der, strict=True)
            key = sm2.load_public(certificate.public_key.dump())
            return cls(der, certificate.subject, key, certificate)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as fault:
            raise ValueError("this is no certificate of an SM2 key") from fault

    def vouched_by(self, authorities: Sequence[Signer], moment: datetime) -> Signer | None:
        """Which of the authorities vouches at that moment for this as a signer of documents."""
        try:
            if not _may_sign(self.certificate, moment):
                return None
            return next((one for one in authorities if _vouches(one, self.certificate, moment)), None)
        except (ValueError, TypeError, KeyError):
            return None  # An extension that cannot be read is not obeyed: no trust.

    def is_trusted(self, authorities: Sequence[Signer], moment: datetime) -> bool:
        """Whether one of the authorities vouches at that moment for this as a signer of documents."""
        return self.vouched_by(authorities, moment) is not None


def load_credential(sm2: Sm2, certificate: Path, key: Path) -> tuple[bytes, Sm2Key]:
    """A certificate, DER, and its key, from PEM files. Raises ValueError where they do not match."""
    (der,) = load_certificates(certificate)
    _, _, content = pem.unarmor(key.read_bytes())
    private = sm2.load_private(content)
    if private.public_bytes() != x509.Certificate.load(der).public_key.dump():
        raise ValueError(f"{key.name} is not the key of {certificate.name}")
    return der, private


def load_certificates(path: Path) -> list[bytes]:
    """The certificates of a PEM file, DER; none of an empty one. Raises ValueError."""
    content = path.read_bytes()
    return [der for _, _, der in pem.unarmor(content, multiple=True)] if content.strip() else []


def certificate_pem(der: bytes) -> bytes:
    """A certificate in PEM."""
    return bytes(pem.armor("CERTIFICATE", der))


def private_pem(key: Sm2Key) -> bytes:
    """A private key, PKCS #8 in PEM."""
    return bytes(pem.armor("PRIVATE KEY", key.private_bytes()))


def _may_sign(certificate: x509.Certificate, moment: datetime) -> bool:
    """Whether this is the certificate of someone who signs documents, and in its validity."""
    usage, purposes = certificate.key_usage_value, certificate.extended_key_usage_value
    constraints = certificate.basic_constraints_value
    return (
        _in_validity(certificate, moment)
        and certificate.critical_extensions <= _UNDERSTOOD
        and not (constraints is not None and constraints["ca"].native)
        and usage is not None
        and bool(usage.native & {"digital_signature", "non_repudiation"})
        and (
            purposes is None
            or any(purpose.dotted == DOCUMENT_SIGNING for purpose in purposes)
            or "any_extended_key_usage" in purposes.native
        )
    )


def _vouches(authority: Signer, certificate: x509.Certificate, moment: datetime) -> bool:
    """Whether an authority, itself in its validity, has issued the certificate."""
    own = authority.certificate
    constraints, usage = own.basic_constraints_value, own.key_usage_value
    return (
        certificate.issuer.dump() == own.subject.dump()
        and _in_validity(own, moment)
        and own.critical_extensions <= _UNDERSTOOD
        and constraints is not None
        and bool(constraints["ca"].native)
        and (usage is None or "key_cert_sign" in usage.native)
        and certificate["signature_algorithm"]["algorithm"].dotted == SM2_WITH_SM3
        and certificate["tbs_certificate"]["signature"]["algorithm"].dotted == SM2_WITH_SM3
        and authority.key.is_signed(
            certificate["tbs_certificate"].dump(), certificate["signature_value"].native
        )
    )


def _in_validity(certificate: x509.Certificate, moment: datetime) -> bool:
    return bool(certificate.not_valid_before <= moment <= certificate.not_valid_after)


def _content(
    issuer: x509.Name,
    subject: x509.Name,
    key: Sm2Key,
    validity: tuple[datetime, datetime],
    extensions: Sequence[x509.Extension],
) -> x509.TbsCertificate:
    info = keys.PublicKeyInfo.load(key.public_bytes())
    # RFC 7093 method 1.
    identifier = hashlib.sha256(info["public_key"].native).digest()[:20]
    start, end = (x509.Time({"general_time" if it.year >= 2050 else "utc_time": it}) for it in validity)
    return x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": secrets.randbits(_SERIAL_BITS) | 1,
            "signature": {"algorithm": SM2_WITH_SM3},
            "issuer": issuer,
            "validity": {"not_before": start, "not_after": end},
            "subject": subject,
            "subject_public_key_info": info,
            "extensions": [*extensions, _extension("key_identifier", identifier)],
        }
    )


def _signed(content: x509.TbsCertificate, key: Sm2Key) -> bytes:
    return bytes(
        x509.Certificate(
            {
                "tbs_certificate": content,
                "signature_algorithm": {"algorithm": SM2_WITH_SM3},
                "signature_value": core.OctetBitString(key.sign(content.dump())),
            }
        ).dump()
    )


def _named(addresses: Addresses) -> list[x509.Extension]:
    """The extensions by which a certificate names who tells what became of it."""
    found = []
    if addresses.ocsp:
        responder = x509.GeneralName("uniform_resource_identifier", addresses.ocsp)
        described = {"access_method": "ocsp", "access_location": responder}
        found.append(_extension("authority_information_access", [described]))
    if addresses.crl:
        place = x509.GeneralName("uniform_resource_identifier", addresses.crl)
        point = x509.DistributionPointName("full_name", [place])
        found.append(_extension("crl_distribution_points", [{"distribution_point": point}]))
    return found


def _extension(name: str, value: object, *, critical: bool = False) -> x509.Extension:
    return x509.Extension({"extn_id": name, "critical": critical, "extn_value": value})
