"""Prepares, certifies, unlocks and revokes credentials for remote signing. For operators, not for callers.

Runs as the owner of the schema: the service's own role can neither prepare a credential nor certify it. None
of it touches a key: that is made when the holder takes the credential, under factors of her own.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core import queries
from core.db import Connection
from core.identifiers import check_uscc
from services.eseal.domain import Algorithm
from services.eseal.keys.signers import PublicKey
from services.eseal.operating.issued import Issued, NotTakenError, check_issued, read_certificates
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.remote.rules import ALGORITHMS, MOST_ATTEMPTS, code_digest
from services.eseal.trust.authority import SealAuthority

Q = queries.load(__package__)

CODE_BYTES = 20
CODE_LIFE = timedelta(days=7)
CERTIFICATE_LIFE = timedelta(days=365)
BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True)
class RemoteOrder:
    """A credential to be prepared: for which company, which of its people, and which application."""

    owner_code: str
    owner_name: str
    holder: str
    application: str
    algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256


async def prepare(connection: Connection, order: RemoteOrder, now: datetime) -> tuple[UUID, str]:
    """A credential that waits for its holder: its id, and the code by which she takes it within a week.

    Hand the code to her in person, once you have seen that she may act for the company. Raises ValueError on
    an algorithm that signs no digests, NumberMalformedError and kin, InvalidError on a name that no
    seal holds.
    """
    if order.algorithm not in ALGORITHMS:
        raise ValueError(f"{order.algorithm.value} signs no digests; take one of {', '.join(ALGORITHMS)}")
    owner = check_uscc(order.owner_code, "company")
    draw_round_seal(order.owner_name)
    credential_id = uuid4()
    code = base64.b32encode(os.urandom(CODE_BYTES)).decode()
    await connection.execute(
        Q.prepare_credential,
        credential_id,
        owner,
        order.owner_name,
        order.holder,
        order.application,
        order.algorithm.value,
        code_digest(code),
        now + CODE_LIFE,
    )
    return credential_id, code


async def certify(connection: Connection, authority: SealAuthority, now: datetime) -> list[UUID]:
    """Gives every credential that waits for one a certificate of this authority, for a year; their ids."""
    done = []
    for row in await connection.fetch(Q.waiting_for_certificates):
        request = x509.load_der_x509_csr(row["request"])
        if not request.is_signature_valid:
            continue  # Whoever wrote it there does not have the key.
        valid_from = now.replace(microsecond=0) - BACKDATED
        valid_until = valid_from + CERTIFICATE_LIFE
        certificate = authority.issue(
            cast(PublicKey, request.public_key()),
            seal_name=row["owner_name"],
            owner_code=row["owner_code"],
            owner_name=row["owner_name"],
            valid_from=valid_from,
            valid_until=valid_until,
        )
        values = (row["id"], row["request"], certificate, valid_from, valid_until)
        if await connection.fetchval(Q.certify, *values) is not None:
            done.append(row["id"])
    return done


async def waiting_request(connection: Connection, credential_id: UUID) -> bytes:
    """The certificate request of a credential that waits for one, PKCS #10 in DER. Raises NotTakenError."""
    row = await connection.fetchrow(Q.waiting_for_certificate, credential_id)
    if row is None:
        raise NotTakenError("request", "no certificate was asked for: no such credential waits for one")
    return bytes(row["request"])


async def take_certificate(
    connection: Connection, credential_id: UUID, content: bytes, roots: Sequence[bytes], moment: datetime
) -> Issued:
    """Takes what an authority has issued for a credential that waits.

    `content` is the authority's file, `roots` (DER) are the authorities believed. Raises NotTakenError by
    the rules of `check_issued`, and `request`, `chain`.
    """
    certificates = read_certificates(content)
    async with connection.transaction():
        row = await connection.fetchrow(Q.waiting_for_certificate, credential_id)
        if row is None:
            raise NotTakenError("request", "no certificate was asked for: no such credential waits for one")
        key = x509.load_der_x509_csr(row["request"]).public_key()
        issued = await check_issued(
            certificates,
            public_key=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            algorithm=Algorithm(row["algorithm"]),
            roots=roots,
            moment=moment,
        )
        if issued.chain:
            raise NotTakenError("chain", "an authority that is believed here must have issued it itself")
        values = (credential_id, row["request"], issued.certificate, issued.not_before, issued.not_after)
        await connection.execute(Q.certify, *values)
        return issued


async def lock(connection: Connection, credential_id: UUID) -> bool:
    """No factor is tried until it is unlocked, and open authorisations end; False where there is none."""
    async with connection.transaction():
        if await connection.fetchval(Q.lock, credential_id, MOST_ATTEMPTS) is None:
            return False
        await connection.execute(Q.spend_all, credential_id)
        return True


async def unlock(connection: Connection, credential_id: UUID) -> bool:
    """Lets factors be tried again; False where there is no such credential. It opens nothing."""
    return await connection.fetchval(Q.unlock, credential_id) is not None


async def revoke(connection: Connection, credential_id: UUID) -> bool:
    """Destroys a credential's key, and those of its open authorisations; False where there is none."""
    async with connection.transaction():
        if await connection.fetchval(Q.revoke, credential_id) is None:
            return False
        await connection.execute(Q.spend_all, credential_id)
        return True


async def show(connection: Connection) -> list[asyncpg.Record]:
    """Every credential: whose, in which state, how many wrong factors came."""
    return list(await connection.fetch(Q.show_credentials))
