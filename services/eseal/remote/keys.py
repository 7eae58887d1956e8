"""Keys of remote credentials: made here, kept under what their holders keep, opened for one act at a time.

A key is PKCS #8, encrypted with AES-256-GCM under a key that HKDF (RFC 5869) derives from two things: scrypt
(RFC 7914) over the holder's PIN, and the 256 random bits of the device secret. Neither is kept here, so what
lies in the database opens for nobody, whatever keys of the service are at hand; and no PIN can be guessed
from it without the device secret. The vault seals all of it once more.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Callable
from typing import cast
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from services.eseal.domain import SUITES, Algorithm
from services.eseal.keys.signers import PrivateKey, VaultSigner
from services.eseal.remote.refusals import FactorInvalidError, SadInvalidError
from services.eseal.remote.rules import Credential

SECRET_BYTES = 32
SALT_BYTES = 16
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1
"""32 MiB and about a tenth of a second for each try (RFC 7914 section 2)."""

_NONCE = 12
_AT_ONCE = 2
"""Derivations that run at a time: each takes 32 MiB."""
_HASHES: dict[str, SHA256 | SHA384] = {"sha256": SHA256(), "sha384": SHA384()}
_MAKE: dict[Algorithm, Callable[[], PrivateKey]] = {
    Algorithm.ECDSA_P256_SHA256: lambda: ec.generate_private_key(ec.SECP256R1()),
    Algorithm.ECDSA_P384_SHA384: lambda: ec.generate_private_key(ec.SECP384R1()),
    Algorithm.RSA_2048_SHA256: lambda: rsa.generate_private_key(65537, 2048),
    Algorithm.RSA_3072_SHA256: lambda: rsa.generate_private_key(65537, 3072),
}


class ReleasedKey(VaultSigner):
    """A key in use, while its holder's authorisation lasts; it also signs digests made elsewhere."""

    async def sign_digest(self, digest: bytes) -> bytes:
        """The signature over a digest by the suite's own function; ECDSA as DER, RSA by PKCS #1 v1.5."""
        return await asyncio.to_thread(self._sign_digest, digest)

    def _sign_digest(self, digest: bytes) -> bytes:
        known = Prehashed(_HASHES[SUITES[self.algorithm].digest])
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(digest, ec.ECDSA(known))
        return cast(rsa.RSAPrivateKey, self._key).sign(digest, padding.PKCS1v15(), known)


class RemoteKeys:
    """Makes, wraps and opens keys. What it does that takes long runs off the event loop."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)

    def new_secret(self) -> bytes:
        """32 random bytes, for a SAD."""
        return os.urandom(SECRET_BYTES)

    async def make(self, credential: Credential) -> tuple[bytes, bytes]:
        """A new key of the credential's suite, PKCS #8, and a request for its certificate, PKCS #10; DER."""
        return await asyncio.to_thread(_make, credential)

    async def wrap(self, key: bytes, credential_id: UUID, *, pin: str, secret: str) -> tuple[bytes, bytes]:
        """A fresh salt, and the key under the holder's factors."""
        salt = os.urandom(SALT_BYTES)
        async with self._room:
            kek = await asyncio.to_thread(_derive, pin, _secret_of(secret), salt, credential_id)
        return salt, _encrypt(kek, key, credential_id.bytes)

    async def unwrap(
        self, wrapped: bytes, credential_id: UUID, *, pin: str, secret: str, salt: bytes
    ) -> bytes:
        """The key, PKCS #8. Raises FactorInvalidError."""
        async with self._room:
            kek = await asyncio.to_thread(_derive, pin, _secret_of(secret), salt, credential_id)
        try:
            return _decrypt(kek, wrapped, credential_id.bytes)
        except InvalidTag:
            raise FactorInvalidError("PIN and device secret do not release the key") from None

    def wrap_for_sad(self, key: bytes, secret: bytes, binding: bytes) -> bytes:
        """The key under a SAD's secret, bound to what was authorised."""
        return _encrypt(secret, key, binding)

    def open_for_sad(self, wrapped: bytes, secret: bytes, binding: bytes, certificate: bytes) -> ReleasedKey:
        """The key ready for use. Raises SadInvalidError where it is not what was authorised."""
        try:
            plain = _decrypt(secret, wrapped, binding)
        except InvalidTag:
            raise SadInvalidError("the authorisation does not say what was authorised") from None
        return ReleasedKey(cast(PrivateKey, load_der_private_key(plain, None)), certificate)


def _secret_of(text: str) -> bytes:
    """The secret's bytes; of a text that is none, bytes that open nothing: an answer takes as long."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def _make(credential: Credential) -> tuple[bytes, bytes]:
    key = _MAKE[credential.algorithm]()
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, f"NTRCN-{credential.owner_code}")]
    )
    signed = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(
            cast(ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, key),
            _HASHES[SUITES[credential.algorithm].digest],
        )
    )
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return plain, signed.public_bytes(Encoding.DER)


def _derive(pin: str, secret: bytes, salt: bytes, credential_id: UUID) -> bytes:
    stretched = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(pin.encode())
    info = b"onestop remote key " + credential_id.bytes
    return HKDF(SHA256(), 32, salt, info).derive(stretched + secret)


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
