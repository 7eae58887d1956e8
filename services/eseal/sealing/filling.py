"""A document that a template gives: what is asked for, and what comes of it, laid out for its seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from services.eseal.domain import Format, Stamp
from services.eseal.photo import Photo
from services.eseal.sealing.prepared import PreparedDocument, RunningDigest
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.template import Template

FORM_FIELD = "seal"
"""Name of the signature field that a filled PDF has."""


@dataclass(frozen=True)
class FormWish:
    """A template to be filled and sealed. `version` 0 is the newest; `level` as in `levels.Level`, 0 the
    seal's own."""

    template: str
    version: int
    fields: Mapping[str, str] = field(repr=False)
    level: int = 0
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files for the fields that take pictures."""


@dataclass(frozen=True)
class FormOrder:
    """A document to be made: by which office and with which seal, its number, and when."""

    wish: FormWish
    office: str
    stamp: Stamp
    signer_name: str
    format: Format
    number: UUID
    moment: datetime
    room: int
    """What a PDF's signature gets, in hexadecimal digits."""


@dataclass(frozen=True)
class Filled:
    """A filled template, all but its signature."""

    plate: bytes = field(repr=False)
    """What it shares with every other document of this template and seal; what it adds comes after it, or is
    spliced into it."""
    taken_in: RunningDigest
    """SHA-256 that has taken the plate in."""
    prepared: PreparedDocument | PreparedOfd
    link: str
    """The verification link that its code shows."""

    @property
    def signed_sha256(self) -> bytes:
        """Of what the seal signs."""
        if isinstance(self.prepared, PreparedOfd):
            return sha256(self.prepared.data_hash).digest()
        return self.prepared.digest_after(self.taken_in)


class PhotoReader(Protocol):
    """Reads pictures out of reach of keys and data."""

    async def __call__(self, file: bytes, room: tuple[int, int], /) -> Photo:
        """A picture within a room of so many dots across and down. Errors: SEAL_PICTURE_INVALID,
        DOCUMENT_MALFORMED, WORKSHOP_BUSY."""
        ...


class Filler(Protocol):
    """Fills templates."""

    def templates(self, office: str) -> Sequence[Template]:
        """The templates that an office may use, by name and version."""
        ...

    async def fill(self, order: FormOrder, read_photo: PhotoReader) -> Filled:
        """The document. Errors: TEMPLATE_NOT_FOUND, TEMPLATE_FIELDS_INVALID, ALGORITHM_UNAVAILABLE,
        WORKSHOP_BUSY."""
        ...


class Plates(Protocol):
    """Keeps what documents share, for as long as an answer may have to be given again."""

    async def keep(self, sha256: bytes, content: bytes) -> None:
        """Keeps a plate by its digest for as long as an answer that is made with it now may be given again;
        to be told before each."""
        ...

    async def find(self, sha256: bytes) -> bytes | None:
        """A plate by its digest."""
        ...
