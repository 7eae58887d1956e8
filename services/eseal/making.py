"""Makes seals: key, certificate, picture and permissions in one transaction. For installers, not for callers.

Runs as the owner of the schema: the service's own role may use seals, not make them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from core import queries
from core.db import Connection
from core.identifiers import check_uscc
from core.vault import Vault
from services.eseal import keystore
from services.eseal.authority import SealAuthority
from services.eseal.domain import Algorithm, SealState
from services.eseal.picture import draw_round_seal
from services.eseal.picture_png import round_seal_face
from services.eseal.ses_making import seal_info, seal_of
from services.eseal.sm2 import Sm2, Sm2Key
from services.eseal.sm2_certificate import Sm2Authority

Q = queries.load(__package__)


@dataclass(frozen=True)
class SealOrder:
    """A seal to be made: `kind` such as 行政审批专用章; `division` 6 digits that begin its code."""

    owner_code: str
    owner_name: str
    kind: str
    division: str
    valid_from: datetime
    valid_until: datetime
    users: Sequence[tuple[str, str]]
    """Office USCC and matter code, or '' for every matter."""
    algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256
    """Of a seal for PDF; who makes seals with SM2 makes them for OFD, whatever this says."""

    @property
    def name(self) -> str:
        """The seal's full name."""
        return self.owner_name + (self.kind or "印章")


@dataclass(frozen=True)
class Sm2Maker:
    """Makes seals with SM2 (制章者): its own certificate (DER) and key, and the seals' authority."""

    sm2: Sm2
    authority: Sm2Authority
    certificate: bytes
    key: Sm2Key


@dataclass(frozen=True)
class _KeyMade:
    """A seal's key: its suite, its private half sealed for its row, its certificate, its seal's structure."""

    algorithm: Algorithm
    sealed: bytes
    certificate: bytes
    structure: bytes | None


async def make_seal(
    connection: Connection, vault: Vault, authority: SealAuthority | Sm2Maker, order: SealOrder
) -> tuple[UUID, bool]:
    """The seal of this owner and name, made unless it is there; its id, and whether it was made now.

    Who makes it decides what it is for: an authority for PDF, or a maker with SM2 for OFD.
    `connection` finds the service's tables by its search path, and may write them.
    """
    async with connection.transaction():
        await connection.execute(Q.one_maker)
        return await _make(connection, vault, authority, order)


async def _make(
    connection: Connection, vault: Vault, authority: SealAuthority | Sm2Maker, order: SealOrder
) -> tuple[UUID, bool]:
    existing = await connection.fetchval(Q.seal_by_owner_and_name, order.owner_code, order.name)
    if existing is not None:
        return existing, False
    owner = check_uscc(order.owner_code, "owner_code")
    seal_id, key_id = uuid4(), uuid4()
    serial = await connection.fetchval(Q.last_serial, order.division) + 1
    code = f"{order.division}{serial:07d}"
    picture = draw_round_seal(order.owner_name, bottom_text=order.kind, code=code)
    if isinstance(authority, Sm2Maker):
        key = _sm2_key(vault, key_id, authority, order, code)
    else:
        key = _pdf_key(vault, key_id, authority, order)
    digest = hashlib.sha256(key.certificate).digest()
    await connection.execute(
        Q.insert_seal,
        seal_id,
        order.name,
        owner,
        order.owner_name,
        code,
        SealState.IN_FORCE.value,
        order.valid_from,
        order.valid_until,
        picture.content,
        picture.width_mm,
        picture.height_mm,
    )
    await connection.execute(
        Q.insert_key,
        key_id,
        seal_id,
        key.algorithm.value,
        key.sealed,
        key.certificate,
        digest,
        key.structure,
    )
    await connection.executemany(Q.insert_user, [(seal_id, office, matter) for office, matter in order.users])
    return seal_id, True


def _pdf_key(vault: Vault, key_id: UUID, authority: SealAuthority, order: SealOrder) -> _KeyMade:
    sealed, public = keystore.generate(vault, key_id, order.algorithm)
    certificate = authority.issue(
        public,
        seal_name=order.name,
        owner_code=order.owner_code,
        owner_name=order.owner_name,
        valid_from=order.valid_from,
        valid_until=order.valid_until,
    )
    return _KeyMade(order.algorithm, sealed, certificate, None)


def _sm2_key(vault: Vault, key_id: UUID, maker: Sm2Maker, order: SealOrder, code: str) -> _KeyMade:
    """With the seal by GB/T 38540 that names the key's certificate, signed by its maker."""
    sealed, public = keystore.generate_sm2(vault, key_id, maker.sm2)
    certificate = maker.authority.issue(
        public,
        seal_name=order.name,
        owner_code=order.owner_code,
        owner_name=order.owner_name,
        valid_from=order.valid_from,
        valid_until=order.valid_until,
    )
    info = seal_info(
        seal_id=code,
        name=order.name,
        certificate=certificate,
        face=round_seal_face(order.owner_name, bottom_text=order.kind, code=code),
        created_at=order.valid_from,
        valid_from=order.valid_from,
        valid_until=order.valid_until,
    )
    structure = seal_of(info, maker_certificate=maker.certificate, signature=maker.key.sign(info))
    return _KeyMade(Algorithm.SM2_SM3, sealed, certificate, structure)
