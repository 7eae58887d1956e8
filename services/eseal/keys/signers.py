"""Keys in use: each signs by its own suite, and shows nothing of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.eseal.domain import SUITES, Algorithm
from services.eseal.gm.sm2 import Sm2Key
from services.eseal.refusals import KeyUnknownError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_HASHES: dict[str, HashAlgorithm] = {"sha256": SHA256(), "sha384": SHA384()}
_QUICK = (Algorithm.ECDSA_P256_SHA256, Algorithm.ED25519)
"""Signed in tens of microseconds, so on the loop; the others take up to some milliseconds."""


def key_type_of(key: object) -> str:
    """A key's type as `Suite.key_type` names it, such as `ec_secp256r1`, `rsa_3072`; empty of any other."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return f"ec_{key.curve.name}"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return f"rsa_{key.key_size}"
    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    return ""


def algorithm_of(key: object) -> Algorithm:
    """The suite that a key signs by. Raises KeyUnknownError where there is none for it."""
    kind = key_type_of(key)
    for algorithm, suite in SUITES.items():
        if suite.key_type == kind:
            return algorithm
    raise wrong_suite()


def wrong_suite() -> KeyUnknownError:
    """What a key is refused with that is not what its row says."""
    return KeyUnknownError("the key is not of the suite that it is kept under")


def is_signed(public_key: bytes, algorithm: Algorithm, data: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's (SubjectPublicKeyInfo, DER) over the data, by a suite but SM2's."""
    key = load_der_public_key(public_key)
    suite = SUITES[algorithm]
    if key_type_of(key) != suite.key_type:
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(_HASHES[suite.digest]))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), _HASHES[suite.digest])
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def sign_by(key: PrivateKey, data: bytes) -> bytes:
    """A key's signature over the data by its suite; ECDSA as DER. Raises KeyUnknownError if it has none."""
    digest = SUITES[algorithm_of(key)].digest
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(_HASHES[digest]))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), _HASHES[digest])
    return key.sign(data)


class VaultSigner:
    """One key in use, of any suite but SM2's. Neither its repr nor its attributes show the key's value."""

    in_device = False
    """It signs here."""

    def __init__(self, key: PrivateKey, certificate: bytes, chain: Sequence[bytes] = ()) -> None:
        """Raises KeyUnknownError where no suite has such a key, or the certificate is another key's."""
        self.algorithm = algorithm_of(key)
        """The suite that it signs by."""
        self.certificate = certificate
        """The key's certificate, DER."""
        self.chain = tuple(chain)
        """Certificates between that one and its root, DER, the nearest first."""
        self.is_quick = self.algorithm in _QUICK
        """Whether it signs in a fraction of a millisecond, and waits for nobody meanwhile."""
        self._key = key
        if x509.load_der_x509_certificate(certificate).public_key() != key.public_key():
            raise wrong_suite()

    async def sign(self, data: bytes) -> bytes:
        """The signature over the data, by the key's suite; ECDSA as DER."""
        if self.is_quick:
            return sign_by(self._key, data)
        return await asyncio.to_thread(sign_by, self._key, data)

    def __reduce__(self) -> str:
        raise TypeError("a signer stays in its process")


class Sm2Signer:
    """One SM2 key in use, which lies in the library's own memory."""

    algorithm = Algorithm.SM2_SM3
    """The suite that it signs by."""
    is_quick = True
    """Whether it signs in a fraction of a millisecond, and waits for nobody meanwhile."""
    chain: tuple[bytes, ...] = ()
    """What signs with SM2 carries the one certificate (GB/T 38540)."""
    in_device = False
    """It signs here."""

    def __init__(self, key: Sm2Key, certificate: bytes) -> None:
        self._key = key
        self.certificate = certificate
        """The key's certificate, DER."""

    async def sign(self, data: bytes) -> bytes:
        """SM2 with SM3, DER. Ten times the work of P-256, and still less than what is done for a document
        besides. A thread would give the interpreter's lock back and wait for it at each of ten steps."""
        return self._key.sign(data)

    def __reduce__(self) -> str:
        raise TypeError("a signer stays in its process")
