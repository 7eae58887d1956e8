"""A seal's key is certified by a real authority: asked for, then put in the place of the one before.

For installers and operators, as the owner of the schema: the service's own role sees no key that waits. Until
the certificate is taken the seal goes on with the key that it has; one transaction puts the new one in its
place. The old one keeps its certificate, by which what it has signed is still found to be the seal's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

import asyncpg
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from core import queries
from core.db import Connection
from core.errors import ServiceError
from core.vault import Vault
from services.eseal.distinguished import seal_subject
from services.eseal.domain import SUITES, Algorithm, Format, SealState
from services.eseal.gm.sm2 import Sm2
from services.eseal.keys.certificate_request import request_info, request_of
from services.eseal.keys.signers import PrivateKey, is_signed, sign_by
from services.eseal.keys.token import Token
from services.eseal.keystore import COLUMN, TOKEN, VAULT, generate, generate_sm2
from services.eseal.operating.enrolled import Making, structure_of
from services.eseal.operating.issued import NotTakenError, check_issued, read_certificates
from services.eseal.operating.making import PictureReader, Sm2Maker

Q = queries.load(__package__)
_PROOF = b"onestop: this key answers for its certificate"


@dataclass(frozen=True)
class Keystores:
    """Where keys can be made and used here."""

    vault: Vault
    sm2: Sm2 | None = None
    token: Token | None = None
    reader: PictureReader | None = None
    """Of pictures that owners of seals bring."""


@dataclass(frozen=True)
class Wish:
    """A certificate to be asked for: for which seal, with which key, kept where, and who asks."""

    seal_id: UUID
    algorithm: Algorithm
    keystore: str
    operator: str


@dataclass(frozen=True)
class Taken:
    """A key that has come into use: its id, and the certificate's validity; `new` tells it from a retry."""

    key_id: UUID
    not_before: datetime
    not_after: datetime
    new: bool = True


@dataclass(frozen=True)
class _Waiting:
    """A key that has no certificate yet."""

    id: UUID
    algorithm: Algorithm
    keystore: str
    token: str | None
    private_key: bytes | None
    public_key: bytes


async def ask_certificate(connection: Connection, keystores: Keystores, wish: Wish) -> bytes:
    """A request (PKCS #10, PEM) for a new key of the seal, made unless one waits already; then that one's.

    Raises NotTakenError by the rules `seal`, `request`, `keystore` and `algorithm`, KeyUnknownError and
    KeystoreUnavailableError.
    """
    made: _Waiting | None = None
    try:
        async with connection.transaction():
            seal = await _seal(connection, wish.seal_id)
            waiting = await _waiting(connection, wish.seal_id)
            if waiting is None:
                made = waiting = await _new_key(keystores, wish)
                await connection.execute(
                    Q.insert_key_request,
                    made.id,
                    wish.seal_id,
                    made.algorithm.value,
                    made.keystore,
                    made.token,
                    made.private_key,
                    made.public_key,
                    wish.operator,
                )
            elif (waiting.algorithm, waiting.keystore) != (wish.algorithm, wish.keystore):
                raise NotTakenError(
                    "request",
                    f"a request for {waiting.algorithm} in the {waiting.keystore} waits for this seal; "
                    "import its certificate or withdraw it first",
                )
            subject = seal_subject(
                seal_name=seal["name"], owner_code=seal["owner_code"], owner_name=seal["owner_name"]
            )
            info = request_info(subject, waiting.public_key)
            return request_of(info, waiting.algorithm, await _sign(keystores, waiting, info))
    except BaseException:
        if made is not None and made.keystore == TOKEN and keystores.token is not None:
            with suppress(ServiceError):  # No row names it: it would lie there for nothing.
                await keystores.token.destroy(made.id, made.algorithm)
        raise


async def waiting_algorithm(connection: Connection, seal_id: UUID) -> Algorithm:
    """The algorithm of the key that waits, or else of the one in use. Raises NotTakenError by `request`."""
    found = await connection.fetchval(Q.algorithm_to_certify, seal_id)
    if found is None:
        raise NotTakenError("request", "no seal has this id, or it has no key")
    return Algorithm(found)


async def withdraw_request(connection: Connection, keystores: Keystores, seal_id: UUID) -> bool:
    """Drops the request that waits, and its key for good; whether there was one."""
    async with connection.transaction():
        waiting = await _waiting(connection, seal_id)
        if waiting is None:
            return False
        if waiting.keystore == TOKEN:
            await _token(keystores, waiting).destroy(waiting.id, waiting.algorithm)
        await connection.execute(Q.delete_key_request, waiting.id)
    return True


async def take_certificate(
    connection: Connection,
    keystores: Keystores,
    *,
    seal_id: UUID,
    content: bytes,
    roots: Sequence[bytes],
    moment: datetime,
    maker: Sm2Maker | None = None,
) -> Taken:
    """Takes what an authority has issued for the key that waits, and puts that key to use.

    `content` is the authority's file, `roots` (DER) are the authorities believed for the seal's documents. A
    seal with SM2 needs its `maker`, who signs its structure anew. Taking the same again changes nothing.
    Raises NotTakenError by the rules of `check_issued`, and `seal`, `request`, `maker`, `private_key`.
    """
    certificates = read_certificates(content)
    async with connection.transaction():
        seal = await _seal(connection, seal_id)
        waiting = await _waiting(connection, seal_id)
        current = await connection.fetchrow(Q.current_key, seal_id)
        if waiting is None:
            if current is not None and current["certificate"] in certificates:
                validity = await connection.fetchrow(Q.key_validity, current["id"])
                assert validity is not None
                return Taken(current["id"], validity["not_before"], validity["not_after"], new=False)
            raise NotTakenError("request", "no certificate was asked for: there is no key that waits for one")
        issued = await check_issued(
            certificates,
            public_key=waiting.public_key,
            algorithm=waiting.algorithm,
            roots=roots,
            moment=moment,
            sm2=keystores.sm2,
        )
        await _prove(keystores, waiting)
        structure = None
        if SUITES[waiting.algorithm].format is Format.OFD:
            structure = await structure_of(
                connection,
                Making(maker, keystores.reader),
                seal=seal,
                issued=issued,
                earlier=current["structure"] if current else None,
                moment=moment,
            )
        await connection.execute(Q.retire_key, seal_id)
        await connection.execute(
            Q.insert_certified_key,
            waiting.id,
            seal_id,
            waiting.algorithm.value,
            waiting.keystore,
            waiting.token,
            waiting.private_key,
            issued.certificate,
            hashlib.sha256(issued.certificate).digest(),
            b"".join(issued.chain) or None,
            issued.not_before,
            issued.not_after,
            structure,
        )
        await connection.execute(Q.delete_key_request, waiting.id)
    return Taken(waiting.id, issued.not_before, issued.not_after)


async def _seal(connection: Connection, seal_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(Q.seal_to_certify, seal_id)
    if row is None:
        raise NotTakenError("seal", "no seal has this id")
    if row["standing"] not in _CERTIFIED:
        raise NotTakenError("seal", "the seal was revoked: it takes no certificate")
    return row


_CERTIFIED = tuple(
    one.value for one in (SealState.APPLIED, SealState.MADE, SealState.IN_FORCE, SealState.SUSPENDED)
)
"""Standings in which a seal has a use for a certificate: for the first one before it is made."""


async def _waiting(connection: Connection, seal_id: UUID) -> _Waiting | None:
    row = await connection.fetchrow(Q.key_request_of, seal_id)
    if row is None:
        return None
    return _Waiting(
        row["id"],
        Algorithm(row["algorithm"]),
        row["keystore"],
        row["token"],
        row["private_key"],
        row["public_key"],
    )


async def _new_key(keystores: Keystores, wish: Wish) -> _Waiting:
    key_id, algorithm = uuid4(), wish.algorithm
    if wish.keystore == TOKEN:
        if keystores.token is None:
            raise NotTakenError(
                "keystore", "no token is configured: set ONESTOP_TOKEN_MODULE and what goes with it"
            )
        public = await keystores.token.generate(key_id, algorithm)
        return _Waiting(key_id, algorithm, TOKEN, keystores.token.label, None, public)
    if algorithm is Algorithm.SM2_SM3:
        sealed, own = generate_sm2(keystores.vault, key_id, _sm2(keystores))
        return _Waiting(key_id, algorithm, VAULT, None, sealed, own.public_bytes())
    sealed, half = generate(keystores.vault, key_id, algorithm)
    public = half.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Waiting(key_id, algorithm, VAULT, None, sealed, public)


async def _sign(keystores: Keystores, waiting: _Waiting, data: bytes) -> bytes:
    """The key's signature over the data, wherever the key is kept."""
    if waiting.keystore == TOKEN:
        return await _token(keystores, waiting).sign(waiting.id, waiting.algorithm, data)
    plain = keystores.vault.unseal(waiting.private_key or b"", row=waiting.id, column=COLUMN)
    if waiting.algorithm is Algorithm.SM2_SM3:
        return _sm2(keystores).load_private(plain).sign(data)
    return sign_by(cast(PrivateKey, load_der_private_key(plain, None)), data)


async def _prove(keystores: Keystores, waiting: _Waiting) -> None:
    """That the private half is at hand and is the certificate's, before anything is sealed with it."""
    signature = await _sign(keystores, waiting, _PROOF)
    if waiting.algorithm is Algorithm.SM2_SM3:
        right = _sm2(keystores).load_public(waiting.public_key).is_signed(_PROOF, signature)
    else:
        right = is_signed(waiting.public_key, waiting.algorithm, _PROOF, signature)
    if not right:
        raise NotTakenError("private_key", "the key that is kept is not the one that was asked for")


def _token(keystores: Keystores, waiting: _Waiting) -> Token:
    if keystores.token is None or keystores.token.label != waiting.token:
        raise NotTakenError(
            "keystore", f"the key lies on the token {waiting.token!r}, which is not configured here"
        )
    return keystores.token


def _sm2(keystores: Keystores) -> Sm2:
    if keystores.sm2 is None:
        raise NotTakenError("algorithm", "there is no SM2 on this machine")
    return keystores.sm2
