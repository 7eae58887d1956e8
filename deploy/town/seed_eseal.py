"""Gives every office of the model city its seals: key, certificate, picture, and the right to use them.

One with P-256 for PDF, and where this machine knows SM2 one with it for OFD.

Seals that are there already stay as they are, so it can be run again.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from core.db import Connection
from core.keyring import Keyring
from core.vault import Vault
from services.eseal.operating.making import SealOrder, Sm2Maker, make_seal
from services.eseal.trust.authority import SealAuthority

OFFICES = Path(__file__).parent / "offices.csv"
VALID_FOR = timedelta(days=3 * 365)
REGION = "440299"
"""The division that does not exist, which marks everything of the model city as made up."""

_KINDS = {"data": "政务服务专用章", "public_security": "户政专用章", "traffic_police": "业务专用章"}
_USUAL_KIND = "行政审批专用章"
_NATIONAL = "（国密）"
"""Behind the kind of a seal with the national algorithms: an office's seals have names of their own."""


@dataclass(frozen=True)
class Office:
    """An office of the model city."""

    name: str
    uscc: str
    kind: str


def read_offices(path: Path = OFFICES) -> list[Office]:
    """The offices of the model city."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Office(row["name"], row["uscc"], row["kind"]) for row in csv.DictReader(file)]


async def seed_eseal(
    connection: Connection,
    keyring: Keyring,
    authority: SealAuthority,
    offices: Sequence[Office],
    now: datetime,
    *,
    maker: Sm2Maker | None = None,
) -> int:
    """Makes the seals that are missing and answers how many.

    `connection` is the database owner's; its search path is set to the part's schema here. `keyring` is
    the eseal part's own, for the service must open what is sealed here. Without a `maker` no seals with SM2.
    """
    await connection.execute("SET search_path = eseal")
    vault = await Vault.open(connection, keyring)
    made = 0
    for office in offices:
        for who, suffix in ((authority, ""), *(((maker, _NATIONAL),) if maker else ())):
            order = SealOrder(
                owner_code=office.uscc,
                owner_name=office.name,
                kind=_KINDS.get(office.kind, _USUAL_KIND) + suffix,
                division=REGION,
                valid_from=now.replace(microsecond=0) - timedelta(minutes=5),
                valid_until=now.replace(microsecond=0) + VALID_FOR,
                users=[(office.uscc, "")],
            )
            _, new = await make_seal(connection, vault, who, order)
            made += new
    return made
