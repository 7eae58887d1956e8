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

    @property
    def name(self) -> str:
        """The seal's full name."""
        return self.owner_name + (self.kind or "印章")


async def make_seal(
    connection: Connection, vault: Vault, authority: SealAuthority, order: SealOrder
) -> tuple[UUID, bool]:
    """The seal of this owner and name, made unless it is there; its id, and whether it was made now.

    `connection` finds the service's tables by its search path, and may write them.
    """
    async with connection.transaction():
        await connection.execute(Q.one_maker)
        return await _make(connection, vault, authority, order)


async def _make(
    connection: Connection, vault: Vault, authority: SealAuthority, order: SealOrder
) -> tuple[UUID, bool]:
    existing = await connection.fetchval(Q.seal_by_owner_and_name, order.owner_code, order.name)
    if existing is not None:
        return existing, False
    owner = check_uscc(order.owner_code, "owner_code")
    seal_id, key_id = uuid4(), uuid4()
    serial = await connection.fetchval(Q.last_serial, order.division) + 1
    code = f"{order.division}{serial:07d}"
    picture = draw_round_seal(order.owner_name, bottom_text=order.kind, code=code)
    algorithm = Algorithm.ECDSA_P256_SHA256
    sealed_key, public_key = keystore.generate(vault, key_id, algorithm)
    certificate = authority.issue(
        public_key,
        seal_name=order.name,
        owner_code=owner,
        owner_name=order.owner_name,
        valid_from=order.valid_from,
        valid_until=order.valid_until,
    )
    digest = hashlib.sha256(certificate).digest()
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
    await connection.execute(Q.insert_key, key_id, seal_id, algorithm.value, sealed_key, certificate, digest)
    await connection.executemany(Q.insert_user, [(seal_id, office, matter) for office, matter in order.users])
    return seal_id, True
