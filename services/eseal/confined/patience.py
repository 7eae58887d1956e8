"""The workshop for work that can wait: it never holds every worker, and goes behind whoever waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Picture, Stamp
from services.eseal.photo import Photo
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.ports import Evidence, Prolonged
from services.eseal.sealing.prepared import RESERVED_HEX, PreparedDocument
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.verifying.finding import Finding


class PatientWorkshop:
    """Lays documents out on all workers but one, each time when nobody else wants it."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._places = asyncio.Semaphore(max(1, workshop.size - 1))

    async def prepare(
        self,
        document: bytes,
        place: Placing,
        picture: Picture,
        *,
        field_name: str,
        signer_name: str,
        moment: datetime,
        room: int = RESERVED_HEX,
        certify: bool = False,
    ) -> PreparedDocument:
        """As the workshop's own, whenever there is leisure for it."""
        async with self._turn():
            # Whoever gives up waiting does not cost the worker: it finishes, and is free again.
            return await asyncio.shield(
                self._workshop.prepare(
                    document,
                    place,
                    picture,
                    field_name=field_name,
                    signer_name=signer_name,
                    moment=moment,
                    room=room,
                    certify=certify,
                )
            )

    async def prepare_ofd(
        self, document: bytes, place: Placing, stamp: Stamp, *, moment: datetime
    ) -> PreparedOfd:
        """As the workshop's own, whenever there is leisure for it."""
        async with self._turn():
            return await asyncio.shield(self._workshop.prepare_ofd(document, place, stamp, moment=moment))

    async def read_photo(self, file: bytes, room: tuple[int, int]) -> Photo:
        """As the workshop's own, whenever there is leisure for it."""
        async with self._turn():
            return await asyncio.shield(self._workshop.read_photo(file, room))

    async def prolong(
        self, document: bytes, evidence: Evidence, *, field_name: str, timestamp_field: str
    ) -> Prolonged:
        """As the workshop's own, and at once: a transaction is waiting for it."""
        return await self._workshop.prolong(
            document, evidence, field_name=field_name, timestamp_field=timestamp_field
        )

    async def inspect(
        self,
        document: bytes,
        *,
        roots: Sequence[bytes],
        moment: datetime,
        time_roots: Sequence[bytes] = (),
    ) -> Sequence[Finding]:
        """As the workshop's own, whenever there is leisure for it."""
        async with self._turn():
            return await self._workshop.inspect(document, roots=roots, moment=moment, time_roots=time_roots)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._places:
            await self._workshop.leisure()
            yield
