"""Keys of seals, PKCS #8 sealed by the vault in the service's own schema; they are used here and never leave.

The keystore of the embedded default. One behind PKCS #11 takes its place by the same interface
(`service.Keystore`): a signer per key, that signs data by the key's own suite.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from core import queries
from core.db import Connection, Pool
from core.vault import Vault
from services.eseal.domain import SUITES, Algorithm
from services.eseal.refusals import KeyUnknownError, Sm2UnavailableError
from services.eseal.signers import PrivateKey, PublicKey, Sm2Signer, VaultSigner, key_type_of, wrong_suite
from services.eseal.sm2 import Sm2, Sm2Key

Q = queries.load(__package__)

COLUMN = "seal_key.private_key"
"""What a sealed key is bound to, together with its row."""

_KEPT = 256
"""Keys kept ready in memory."""

_GENERATORS: dict[Algorithm, Callable[[], PrivateKey]] = {
    Algorithm.ECDSA_P256_SHA256: lambda: ec.generate_private_key(ec.SECP256R1()),
    Algorithm.ECDSA_P384_SHA384: lambda: ec.generate_private_key(ec.SECP384R1()),
    Algorithm.RSA_2048_SHA256: lambda: rsa.generate_private_key(65537, 2048),
    Algorithm.RSA_3072_SHA256: lambda: rsa.generate_private_key(65537, 3072),
    Algorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
}


def generate(vault: Vault, key_id: UUID, algorithm: Algorithm) -> tuple[bytes, PublicKey]:
    """A new key of any suite but SM2's: sealed for its row, and its public half."""
    key = _GENERATORS[algorithm]()
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return vault.seal(plain, row=key_id, column=COLUMN), key.public_key()


def generate_sm2(vault: Vault, key_id: UUID, sm2: Sm2) -> tuple[bytes, Sm2Key]:
    """A new SM2 key: sealed for its row, and its public half."""
    key = sm2.generate()
    return vault.seal(key.private_bytes(), row=key_id, column=COLUMN), key.public_key()


class VaultKeystore:
    """Keys in the database, sealed by the vault; opened ones are kept ready."""

    def __init__(self, pool: Pool | Connection, vault: Vault, sm2: Sm2 | None = None) -> None:
        self._pool = pool
        self._vault = vault
        self._sm2 = sm2
        self._ready: OrderedDict[UUID, VaultSigner | Sm2Signer] = OrderedDict()

    async def signer(self, key_id: UUID) -> VaultSigner | Sm2Signer:
        """A key ready for use.

        Raises KeyUnknownError, Sm2UnavailableError, and SealBrokenError on a row tampered with.
        """
        signer = self._ready.get(key_id)
        if signer is None:
            signer = await self._open(key_id)
            self._ready[key_id] = signer
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key_id)
        return signer

    async def _open(self, key_id: UUID) -> VaultSigner | Sm2Signer:
        row = await self._pool.fetchrow(Q.find_key, key_id)
        if row is None:
            raise KeyUnknownError("the keystore holds no such key")
        plain = self._vault.unseal(row["private_key"], row=key_id, column=COLUMN)
        algorithm = Algorithm(row["algorithm"])
        if algorithm is Algorithm.SM2_SM3:
            return Sm2Signer(self._load_sm2(plain), row["certificate"])
        key = load_der_private_key(plain, None)
        if key_type_of(key) != SUITES[algorithm].key_type:
            raise wrong_suite()
        return VaultSigner(cast(PrivateKey, key), row["certificate"])

    def _load_sm2(self, plain: bytes) -> Sm2Key:
        if self._sm2 is None:
            raise Sm2UnavailableError("this installation signs nothing with SM2: it found no library for it")
        try:
            return self._sm2.load_private(plain)
        except ValueError:
            raise wrong_suite() from None
