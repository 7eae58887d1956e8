"""Takes up signing keys that are rotated while the ledger runs, and says which it has."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from uuid import UUID, uuid4

from core.log import get_logger
from services.ledger.checkpoint import CheckpointNotary, KeyFileError
from services.ledger.domain import StoreLostError

LOOK_SECONDS = 1.0
TELL_SECONDS = 5.0

_logger = get_logger()


class SignerStore(Protocol):
    """Where processes say which keys they have."""

    async def tell_signer(
        self, signer: UUID, process: str, signs: Sequence[str], knows: Sequence[str]
    ) -> None:
        """Says which keys a process signs with, and which it accepts. Raises StoreLostError."""
        ...

    async def forget_signer(self, signer: UUID) -> None:
        """Says that a process signs no more. Raises StoreLostError."""
        ...


class KeyWatch:
    """Looks at the key files. `run` it beside the server."""

    def __init__(self, notary: CheckpointNotary, store: SignerStore) -> None:
        self._notary = notary
        self._store = store
        self._signer = uuid4()
        self._complaint = ""

    async def run(self) -> None:
        """Looks every second and tells every few, until it is cancelled."""
        process = f"{socket.gethostname()}/{os.getpid()}"
        loop = asyncio.get_running_loop()
        told = -TELL_SECONDS
        try:
            while True:
                if self._take_up() or loop.time() - told >= TELL_SECONDS:
                    with suppress(StoreLostError):
                        signs, knows = self._notary.signs_with, self._notary.verifier_keys
                        await self._store.tell_signer(self._signer, process, signs, knows)
                        told = loop.time()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with suppress(StoreLostError):
                await self._store.forget_signer(self._signer)

    def _take_up(self) -> bool:
        """Whether the keys are others now; files that cannot be used are left alone, and told of once."""
        try:
            changed = self._notary.refresh()
        except KeyFileError as failure:
            if str(failure) != self._complaint:
                _logger.warning("keys_not_taken_up", why=str(failure))
            self._complaint = str(failure)
            return False
        self._complaint = ""
        if changed:
            _logger.info("signing_keys", signs=len(self._notary.signs_with))
        return changed
