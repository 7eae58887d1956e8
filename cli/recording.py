"""How a command of the operators' has the ledger record what it does, under a certificate of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.config import Mode, PeerConfig
from core.errors import ServiceError
from core.ledger import LedgerClient
from core.rpc import channel
from deploy.local.errors import GroundError
from deploy.local.settings import Settings


@asynccontextmanager
async def recorder(settings: Settings, name: str) -> AsyncIterator[LedgerClient]:
    """The running city's ledger, as the command `name` reaches it. What the ledger refuses, or that it is not
    there, is raised as GroundError: then nothing may be done.
    """
    environment = settings.part_environment("gateway")  # It says where the ledger is, as to any part.
    try:
        config = PeerConfig(
            mode=Mode(environment["ONESTOP_MODE"]),
            tls_ca=settings.pki / "ca.crt",
            tls_cert=settings.pki / f"{name}.crt",
            tls_key=settings.pki / f"{name}.key",
            ledger=settings.environment.get("ONESTOP_LEDGER") or environment["ONESTOP_LEDGER"],
        )
        async with channel(config, "ledger") as opened:
            yield LedgerClient(opened)
    except (ServiceError, OSError, ValueError) as failure:
        raise GroundError(
            f"The ledger has not recorded this, so it is not done: {failure}",
            f"start the city (one of an older version makes the certificate `{name}` at its next start), and "
            "try again.",
        ) from None
