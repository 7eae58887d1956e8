"""The small reference data of other parts, made by modules of their own: callers, partner, seals, names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from core.keyring import Keyring
from deploy.local.sm2_pki import load_maker
from deploy.town import seed_agricredit, seed_issuer, seed_ledger
from deploy.town.seed_eseal import read_offices, seed_eseal
from services.eseal.trust.authority import SealAuthority


@dataclass(frozen=True)
class City:
    """The city that is furnished: its database (as owner), and its folder."""

    dsn: str
    home: Path

    @property
    def keys(self) -> Path:
        """Keyrings."""
        return self.home / "keys"

    @property
    def pki(self) -> Path:
        """Certificates and their keys."""
        return self.home / "pki"


Seed = Callable[[City], Awaitable[None]]
"""Makes what is missing, and leaves what is there."""


async def callers(city: City) -> None:
    """The approval platform, the bank and a company's application, with the issuer."""
    await asyncio.to_thread(seed_issuer.seed, city.dsn)


async def partner(city: City) -> None:
    """The bank's agreement and encryption key, with agricredit."""
    await asyncio.to_thread(seed_agricredit.seed, city.dsn, city.pki / "rural-bank-encryption.jwk")


async def seals(city: City) -> None:
    """The seals of each office, with eseal."""
    authority = SealAuthority.load(city.pki / "seal-ca.crt", city.pki / "seal-ca.key")
    maker = load_maker(city.pki)
    keyring = Keyring.load(city.keys / "eseal-keyring.json")
    connection = await asyncpg.connect(city.dsn, timeout=15)
    try:
        await seed_eseal(connection, keyring, authority, read_offices(), datetime.now(UTC), maker=maker)
    finally:
        await connection.close()


async def names(city: City) -> None:
    """What people call the callers, offices and matters, with the ledger."""
    await asyncio.to_thread(seed_ledger.seed, city.dsn)


OTHERS: Sequence[Seed] = (callers, partner, seals, names)
