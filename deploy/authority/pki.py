"""What the development authority has of its own: who makes timestamps, and a responder for each authority."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.production import DEVELOPMENT_AUTHORITY
from deploy.authority.issuers import SEAL_ROOT, SM2_ROOT, TIME, TIME_ROOT, responder_of
from deploy.authority.revocations import REVOKED
from deploy.local import files, keys
from deploy.local.pki import BACKDATED, RENEW_BEFORE, Authority, open_authority
from deploy.local.sm2_pki import make_sm2_responder
from services.eseal.addresses import SOURCES, Addresses
from services.eseal.trust.authority import address_extensions

LIFETIME = timedelta(days=1095)
Extensions = list[tuple[x509.ExtensionType, bool]]
"""Each with whether it is critical."""


def make_authority(folder: Path, url: str, now: datetime | None = None, *, lists: bool = True) -> None:
    """Makes what is missing in `folder`, where the seals' authorities are already, renews what is about to
    expire, and writes whom to ask at `url` into `revocation.toml`.

    Without `lists`, it will not have the authorities' own keys, which make lists. Raises GroundError as
    `open_authority`.
    """
    at = now or datetime.now(UTC)
    seals = open_authority(folder / SEAL_ROOT, f"{DEVELOPMENT_AUTHORITY} seal CA", at)
    time = open_authority(folder / TIME_ROOT, f"{DEVELOPMENT_AUTHORITY} timestamp CA", at)
    names = [SEAL_ROOT, TIME_ROOT]
    where = {name: _addresses(url, name, lists) for name in (*names, SM2_ROOT)}
    _leaf(folder, TIME, time, at, lambda: _for_timestamps(where[TIME_ROOT]))
    for name, authority in ((SEAL_ROOT, seals), (TIME_ROOT, time)):
        _leaf(folder, responder_of(name), authority, at, _for_responses)
    if make_sm2_responder(folder, responder_of(SM2_ROOT), at):
        names.append(SM2_ROOT)
    sources = "\n".join(_source(name, where[name]) for name in names)
    if not (path := folder / SOURCES).exists() or path.read_text(encoding="utf-8") != sources:
        files.write_private(path, sources)
    if not (folder / REVOKED).exists():
        files.write_private(folder / REVOKED, "[]\n")


def _addresses(url: str, name: str, lists: bool) -> Addresses:
    return Addresses(f"{url}/ocsp", f"{url}/crl/{name}.crl" if lists else "")


def _source(name: str, at: Addresses) -> str:
    rows = [f'certificate = "{name}.crt"', f'ocsp = "{at.ocsp}"', *([f'crl = "{at.crl}"'] if at.crl else [])]
    return "\n".join(["[[issuer]]", *rows, ""])


def _leaf(
    folder: Path, name: str, authority: Authority, now: datetime, extensions: Callable[[], Extensions]
) -> None:
    """A key and a certificate as `name`, unless good ones are there."""
    if _is_good(folder, name, authority, now):
        return
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _issue(authority, name, key.public_key(), now, extensions())
    files.write_private(folder / f"{name}.key", keys.private_pem(key))
    files.write_private(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM), mode=0o644)


def _is_good(folder: Path, name: str, root: Authority, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
        certificate.verify_directly_issued_by(root.certificate)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    return (
        key.public_key() == certificate.public_key() and certificate.not_valid_after_utc - now > RENEW_BEFORE
    )


def _for_timestamps(addresses: Addresses) -> Extensions:
    """For timestamps and nothing else, which is said critically (RFC 3161 section 2.3)."""
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    return [
        (_usage(content_commitment=True), True),
        (purposes, True),
        *((one, False) for one in address_extensions(addresses)),
    ]


def _for_responses() -> Extensions:
    """For saying what became of certificates; its own state is not asked for (RFC 6960 4.2.2.2)."""
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    return [(_usage(content_commitment=False), True), (purposes, False), (x509.OCSPNoCheck(), False)]


def _usage(*, content_commitment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _issue(
    root: Authority, name: str, key: ec.EllipticCurvePublicKey, now: datetime, extensions: Extensions
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{DEVELOPMENT_AUTHORITY} {name}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(root.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + LIFETIME, root.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(root.key, SHA256())
