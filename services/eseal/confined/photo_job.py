"""The job of a confined worker that reads a picture for a template's field, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.eseal.confined.jobs import raise_refusal
from services.eseal.frames import Json
from services.eseal.photo import Photo, photo_of


@dataclass(frozen=True)
class PhotoJob:
    """Read a picture that has room for so many dots across and down."""

    file: bytes = field(repr=False)
    room: tuple[int, int]
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        return {"job": "photo", "room": list(self.room), "moment": self.moment.isoformat()}, [self.file]


def read_answer(room: tuple[int, int], head: Json, blobs: list[bytes]) -> Photo:
    """The answer to a PhotoJob for this room. Raises SealPictureInvalidError, and ValueError on an answer out
    of form."""
    raise_refusal(head)
    (content,) = blobs
    return photo_of(content, room)
