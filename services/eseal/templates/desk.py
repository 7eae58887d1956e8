"""The desk of templates: which there are, and what stands in our records under a document's number.

Documents are filled and sealed by the seal desk, by the same steps as those that come as files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import RequestContext
from core.errors import fault_error
from services.eseal.domain import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Seal, SealState
from services.eseal.refusals import PlateLostError, SealedDocumentNotFoundError
from services.eseal.sealing.filling import Filler, Plates
from services.eseal.sealing.putting import require_office
from services.eseal.template import Template
from services.eseal.verifying.wording import sentence_on_number

Key = tuple[str, int]


class SignedStore(Protocol):
    """The records of signatures."""

    async def find_signed(self, signature_id: UUID) -> tuple[Seal, datetime] | None:
        """The seal of a signature, and when it was put."""
        ...


@dataclass(frozen=True)
class NumberReport:
    """What stands under a document's number."""

    seal: Seal
    signed_at: datetime
    state: SealState
    summary_zh: str
    summary_en: str


class TemplateDesk:
    """What callers may know of templates and of documents made of them."""

    def __init__(self, *, filler: Filler, plates: Plates, store: SignedStore, clock: Clock) -> None:
        self._filler = filler
        self._plates = plates
        self._store = store
        self._clock = clock

    def list_templates(
        self, context: RequestContext, *, page_size: int, after: Key | None
    ) -> tuple[Sequence[Template], Key | None]:
        """The templates that the context's office may use, and the key to go on after; None on the last
        page."""
        found = [
            template
            for template in self._filler.templates(require_office(context))
            if after is None or (template.name, template.version) > after
        ]
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        page = found[:size]
        return page, (page[-1].name, page[-1].version) if len(found) > size else None

    async def plate(self, sha256: bytes) -> bytes:
        """What a document shares with others, for an answer that is given again. Raises PlateLostError."""
        plate = await self._plates.find(sha256)
        if plate is None:
            raise PlateLostError("what the document was made of is not kept any more")
        return plate

    async def find(self, number: str) -> NumberReport:
        """What stands under a number, for anybody who has it. Raises SealedDocumentNotFoundError."""
        try:
            signature_id = UUID(hex=number)
        except ValueError:
            raise fault_error("number", "form", "32 hexadecimal digits, as the document shows them") from None
        found = await self._store.find_signed(signature_id)
        if found is None:
            raise SealedDocumentNotFoundError("no document of this number was sealed here")
        seal, signed_at = found
        state = seal.state_at(self._clock())
        return NumberReport(
            seal, signed_at, state, *sentence_on_number(seal.name, signed_at, state.name.lower())
        )
