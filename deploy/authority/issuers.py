"""For which authorities the development authority speaks, and with whose keys.

What became of certificates is said by a responder that each authority has certified for it (RFC 6960 section
4.2.2.2): no authority's own key need lie here. Where one does, its revocation list is made too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from asn1crypto import pem, x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from deploy.authority.stamping import Stamper

SEAL_ROOT, TIME_ROOT, SM2_ROOT = "seal-ca", "time-ca", "seal-ca-sm2"
AUTHORITIES = (SEAL_ROOT, TIME_ROOT, SM2_ROOT)
"""Names of the authorities' files, `.crt` and `.key` each."""
TIME = "time"
"""Who makes timestamps, certified by TIME_ROOT."""
SHA256_ECDSA = "sha256_ecdsa"
SM2_WITH_SM3 = "1.2.156.10197.1.501"


def responder_of(authority: str) -> str:
    """The name of the files of an authority's responder."""
    return f"{authority}-ocsp"


@dataclass(frozen=True)
class Credential:
    """A certificate, and its key in a file, which is read when it is first needed."""

    certificate: x509.Certificate
    key: Path = field(repr=False)

    @property
    def algorithm(self) -> str:
        """How its key signs, as asn1crypto takes it."""
        curve = self.certificate.public_key.curve[1]
        return SHA256_ECDSA if curve == "secp256r1" else SM2_WITH_SM3

    def sign(self, data: bytes) -> bytes:
        """The signature over the data, DER. Raises ValueError where the key is not the certificate's."""
        return self._signing(data)

    @cached_property
    def _signing(self) -> Callable[[bytes], bytes]:
        _, _, private = pem.unarmor(self.key.read_bytes())
        if self.algorithm == SM2_WITH_SM3:
            # Here, for what it loads is not needed before somebody asks about a seal with SM2.
            from services.eseal.gm.sm2 import load_sm2  # noqa: PLC0415

            return load_sm2().load_private(private).sign
        key = load_der_private_key(private, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self.key.name} is no key of P-256")
        return lambda data: key.sign(data, ec.ECDSA(SHA256()))


@dataclass(frozen=True)
class Issuer:
    """An authority: who says what became of its certificates; itself only where its key is here."""

    name: str
    certificate: x509.Certificate
    responder: Credential
    own: Credential | None


def load_issuers(folder: Path) -> list[Issuer]:
    """The authorities in a folder that have a responder there. Raises ValueError and OSError."""
    found = []
    for name in AUTHORITIES:
        responder = responder_of(name)
        if not _has(folder / f"{responder}.key"):
            continue
        certificate = _certificate(folder / f"{name}.crt")
        key = folder / f"{name}.key"
        found.append(
            Issuer(
                name,
                certificate,
                Credential(_certificate(folder / f"{responder}.crt"), folder / f"{responder}.key"),
                Credential(certificate, key) if _has(key) else None,
            )
        )
    return found


def load_stamper(folder: Path) -> Stamper:
    """Who makes timestamps. Raises ValueError and OSError."""
    time = Credential(_certificate(folder / f"{TIME}.crt"), folder / f"{TIME}.key")
    return Stamper(time.certificate, time.sign)


def _has(path: Path) -> bool:
    """Whether there is something in a file: who has none of a kind may be given an empty one."""
    return path.exists() and path.stat().st_size > 0


def _certificate(path: Path) -> x509.Certificate:
    _, _, content = pem.unarmor(path.read_bytes())
    return x509.Certificate.load(content, strict=True)
