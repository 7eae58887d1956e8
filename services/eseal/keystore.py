"""Keys of seals: which keystore holds one, its row says. Each gives a signer by the key's own suite.

In the embedded default they are PKCS #8, sealed by the vault in the service's own schema; they are opened
here and never leave. Others lie on a token (PKCS #11), which they never leave either (`token.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias, cast
from uuid import UUID

import asyncpg
from asn1crypto import parser
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
from services.eseal.gm.sm2 import Sm2, Sm2Key
from services.eseal.keys.signers import (
    PrivateKey,
    PublicKey,
    Sm2Signer,
    VaultSigner,
    key_type_of,
    wrong_suite,
)
from services.eseal.keys.token import Token, TokenSigner
from services.eseal.refusals import KeyUnknownError, Sm2UnavailableError

Q = queries.load(__package__)

COLUMN = "seal_key.private_key"
"""What a sealed key is bound to, together with its row."""

VAULT, TOKEN = "vault", "token"
"""Where a key is kept, as its row says it."""

AnySigner: TypeAlias = VaultSigner | Sm2Signer | TokenSigner

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
    """Keys in the database, sealed by the vault, or named there and on a token; those in use are kept."""

    def __init__(
        self,
        pool: Pool | Connection,
        vault: Vault,
        sm2: Sm2 | None = None,
        token: Token | None = None,
        writing_token: Token | None = None,
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._sm2 = sm2
        self._token = token
        self._writing_token = writing_token
        self._ready: OrderedDict[UUID, AnySigner] = OrderedDict()

    async def signer(self, key_id: UUID) -> AnySigner:
        """A key ready for use.

        Raises KeyUnknownError, KeystoreUnavailableError, Sm2UnavailableError, and SealBrokenError on a row
        tampered with.
        """
        signer = self._ready.get(key_id)
        if signer is None:
            signer = await self._open(key_id)
            self._ready[key_id] = signer
            if len(self._ready) > _KEPT:
                self._ready.popitem(last=False)
        self._ready.move_to_end(key_id)
        if isinstance(signer, TokenSigner) and self._token is not None:
            await self._token.require()
        return signer

    async def forget_destroyed(self) -> None:
        """Drops keys from memory that were destroyed since they were opened."""
        if self._ready:
            for row in await self._pool.fetch(Q.destroyed_keys, list(self._ready)):
                self._ready.pop(row["id"], None)

    async def destroy(self, seal_id: UUID) -> None:
        """Destroys a seal's keys on the token, if it has any; what the database holds goes with its act.

        Raises KeyUnknownError where they lie on a token that is not configured here, and
        KeystoreUnavailableError.
        """
        for row in await self._pool.fetch(Q.token_keys, seal_id):
            if self._writing_token is None or self._writing_token.label != row["token"]:
                raise KeyUnknownError(
                    f"the key lies on the token {row['token']!r}, which is not configured here"
                )
            await self._writing_token.destroy(row["id"], Algorithm(row["algorithm"]))

    async def _open(self, key_id: UUID) -> AnySigner:
        row = await self._pool.fetchrow(Q.find_key, key_id)
        if row is None:
            raise KeyUnknownError("the keystore holds no such key")
        if row["keystore"] == TOKEN:
            return self._on_token(key_id, row)
        plain = self._vault.unseal(row["private_key"], row=key_id, column=COLUMN)
        algorithm = Algorithm(row["algorithm"])
        if algorithm is Algorithm.SM2_SM3:
            return Sm2Signer(self._load_sm2(plain), row["certificate"])
        key = load_der_private_key(plain, None)
        if key_type_of(key) != SUITES[algorithm].key_type:
            raise wrong_suite()
        return VaultSigner(cast(PrivateKey, key), row["certificate"], certificates_of(row["chain"]))

    def _on_token(self, key_id: UUID, row: asyncpg.Record) -> TokenSigner:
        if self._token is None or self._token.label != row["token"]:
            raise KeyUnknownError(f"the key lies on the token {row['token']!r}, which is not configured here")
        return TokenSigner(
            self._token,
            key_id,
            Algorithm(row["algorithm"]),
            row["certificate"],
            certificates_of(row["chain"]),
        )

    def _load_sm2(self, plain: bytes) -> Sm2Key:
        if self._sm2 is None:
            raise Sm2UnavailableError("this installation signs nothing with SM2: it found no library for it")
        try:
            return self._sm2.load_private(plain)
        except ValueError:
            raise wrong_suite() from None


def certificates_of(chain: bytes | None) -> list[bytes]:
    """Certificates, DER, that stand one behind another. Raises ValueError."""
    found, rest = [], chain or b""
    while rest:
        whole = parser.parse(rest)
        length = sum(map(len, whole[3:6]))
        found.append(rest[:length])
        rest = rest[length:]
    return found
