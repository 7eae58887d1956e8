"""The timestamp authority's certificate: its root `time-ca`, and `time` below it (RFC 3161 section 2.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.production import DEVELOPMENT_AUTHORITY
from deploy.local import files, keys
from deploy.local.pki import BACKDATED, RENEW_BEFORE, Authority, open_authority

TIME_ROOT = "time-ca"
TIME = "time"
LIFETIME = timedelta(days=1095)


def make_time_pki(folder: Path, now: datetime | None = None) -> bool:
    """Makes what is missing of `time-ca` and `time` in `folder`, renews what is about to expire.

    Answers whether it made something. Raises GroundError as `open_authority`.
    """
    at = now or datetime.now(UTC)
    root = open_authority(folder / TIME_ROOT, f"{DEVELOPMENT_AUTHORITY} timestamp CA", at)
    if _is_good(folder, root, at):
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    files.write_private(folder / f"{TIME}.key", keys.private_pem(key))
    files.write_private(
        folder / f"{TIME}.crt", _issue(root, key.public_key(), at).public_bytes(Encoding.PEM), mode=0o644
    )
    return True


def load_time(folder: Path) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """Certificate, DER, and key. Raises ValueError where the key is none of P-256."""
    certificate = x509.load_pem_x509_certificate((folder / f"{TIME}.crt").read_bytes())
    key = load_pem_private_key((folder / f"{TIME}.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{TIME}.key is no key of P-256")
    return certificate.public_bytes(Encoding.DER), key


def _is_good(folder: Path, root: Authority, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{TIME}.crt").read_bytes())
        _, key = load_time(folder)
        certificate.verify_directly_issued_by(root.certificate)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    return (
        key.public_key() == certificate.public_key() and certificate.not_valid_after_utc - now > RENEW_BEFORE
    )


def _issue(root: Authority, key: ec.EllipticCurvePublicKey, now: datetime) -> x509.Certificate:
    """For timestamps and nothing else, which is said critically."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{DEVELOPMENT_AUTHORITY} timestamps")])
    usage = x509.KeyUsage(
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
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(root.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + LIFETIME, root.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False
        )
        .sign(root.key, SHA256())
    )
