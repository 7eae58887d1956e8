"""The development PKI: a root, one leaf per part and outside caller, a separate CA for seals.

For development only: a data centre brings certificates of its own CA under the same file names. The roots
are never made again once they exist, so what was issued under them stays valid; leaves are renewed when they
have less than 30 of their 90 days left.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc.jwk import ECKey

from core.production import DEVELOPMENT_AUTHORITY
from deploy.local import files, keys
from deploy.local.errors import GroundError
from deploy.local.sm2_pki import make_sm2_pki

ROOT_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(minutes=5)  # A peer's clock may be a little behind.

BANK = "rural-bank"
COMPANY_APP = "company-app"
"""A company's application, which signs remotely."""
CLIENTS = ("approval-platform", BANK, COMPANY_APP)
PROBER = "supervisor"
EXPORTER = "export"
"""The command that hands a period of the log to an auditor, and has it recorded."""
PRUNER = "prune"
"""The command that prunes the log when the law's time is over, and has it recorded."""
COMMANDS = (EXPORTER, PRUNER)


@dataclass(frozen=True)
class Leaf:
    """One end certificate: `name` is its DNS name; a server also answers to localhost and 127.0.0.1."""

    name: str
    server: bool


@dataclass(frozen=True)
class Authority:
    """A certificate authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(
        self,
        leaf: Leaf,
        key: ec.EllipticCurvePublicKey,
        *,
        now: datetime,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> x509.Certificate:
        """A certificate for TLS that is valid from now on (RFC 5280), for both ends if it is a server's."""
        names: list[x509.GeneralName] = [x509.DNSName(leaf.name)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if leaf.server:
            names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        return (
            _builder(_name(leaf.name), self.certificate.subject, key, now, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, SHA256())
        )


def make_pki(
    folder: Path, parts: Sequence[str], *, clients: Sequence[str] = (), now: datetime | None = None
) -> list[str]:
    """Makes what is missing in `folder` (0700) and renews what is about to expire; returns the names made.

    `parts` are servers; `clients` are further names that only call, such as the roles of a database.
    Raises GroundError when half of a CA is lost, or a CA has expired.
    """
    at = now or datetime.now(UTC)
    files.private_folder(folder)
    authority = open_authority(folder / "ca", f"{DEVELOPMENT_AUTHORITY} CA", at)
    open_authority(folder / "seal-ca", f"{DEVELOPMENT_AUTHORITY} seal CA", at)
    make_sm2_pki(folder, at)
    _make_encryption_key(folder / f"{BANK}-encryption.jwk")
    leaves = [Leaf(part, server=True) for part in parts]
    leaves += [Leaf(name, server=False) for name in (*CLIENTS, PROBER, *COMMANDS, *clients)]
    made = [leaf for leaf in leaves if not _is_good(folder / leaf.name, authority, at)]
    for leaf in made:
        write_leaf(folder, leaf, authority, now=at)
    return [leaf.name for leaf in made]


def open_authority(path: Path, name: str, now: datetime) -> Authority:
    """The authority in `path`.crt and `path`.key; makes it when neither exists."""
    certificate_file, key_file = path.with_suffix(".crt"), path.with_suffix(".key")
    if not certificate_file.exists() and not key_file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        made = Authority(_root_certificate(name, key, now), key)
        files.write_private(key_file, keys.private_pem(key))
        files.write_private(certificate_file, _pem(made.certificate), mode=0o644)
        return made
    if not certificate_file.exists() or not key_file.exists():
        lost = key_file if certificate_file.exists() else certificate_file
        raise GroundError(
            f"{lost} is missing, while the other half of this CA is there.",
            f"restore it, or move the folder {path.parent} away to make a new PKI (the outside callers then "
            "need new certificates too).",
        )
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    stored = load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(stored, ec.EllipticCurvePrivateKey) or stored.public_key() != certificate.public_key():
        raise GroundError(f"{key_file} is not the key of {certificate_file}.", "restore the right one.")
    if certificate.not_valid_after_utc <= now:
        raise GroundError(
            f"The CA in {certificate_file} expired on {certificate.not_valid_after_utc:%Y-%m-%d}.",
            f"move the folder {path.parent} away to make a new PKI.",
        )
    return Authority(certificate, stored)


def write_leaf(
    folder: Path, leaf: Leaf, authority: Authority, *, now: datetime, lifetime: timedelta = LEAF_LIFETIME
) -> None:
    """A new key (0600) and certificate as `<name>.key` and `<name>.crt`."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue(leaf, key.public_key(), now=now, lifetime=lifetime)
    files.write_private(folder / f"{leaf.name}.key", keys.private_pem(key))
    files.write_private(folder / f"{leaf.name}.crt", _pem(certificate), mode=0o644)


def _is_good(path: Path, authority: Authority, now: datetime) -> bool:
    """Whether the leaf is this authority's, matches its key, and lives for another 30 days."""
    try:
        certificate = x509.load_pem_x509_certificate(path.with_suffix(".crt").read_bytes())
        key = load_pem_private_key(path.with_suffix(".key").read_bytes(), None)
        certificate.verify_directly_issued_by(authority.certificate)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    matches = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    return matches and certificate.not_valid_after_utc - now > RENEW_BEFORE


def _root_certificate(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    return (
        _builder(_name(name), _name(name), key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _make_encryption_key(path: Path) -> None:
    """The bank's private key for what the city sends it (RFC 7517; ECDH-ES of RFC 7518 4.6)."""
    if path.exists():
        return
    key = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES+A256KW"}, private=True, auto_kid=True)
    files.write_private(path, json.dumps(key.as_dict(private=True), indent=2) + "\n")
