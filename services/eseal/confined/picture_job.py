"""The job of a confined worker that reads an uploaded picture, and its answer, as they travel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.eseal.confined.jobs import raise_refusal
from services.eseal.domain import Picture
from services.eseal.frames import Json
from services.eseal.gm.ses_making import SealFace
from services.eseal.raster import raster_of


@dataclass(frozen=True)
class PictureJob:
    """Read an uploaded picture, which is to be so wide."""

    file: bytes
    width_mm: float
    moment: datetime

    def frame(self) -> tuple[Json, list[bytes]]:
        """The job as it travels."""
        return {"job": "picture", "width": self.width_mm, "moment": self.moment.isoformat()}, [self.file]


def picture_of(width_mm: float, head: Json, blobs: list[bytes]) -> tuple[Picture, SealFace]:
    """The answer to a PictureJob: for PDF and for OFD.

    Raises SealPictureInvalidError, and ValueError on an answer out of form.
    """
    raise_refusal(head)
    content, face = blobs
    height, face_size = float(str(head["height"])), head["face"]
    if not isinstance(face_size, list) or len(face_size) != 2:
        raise ValueError("a picture has two sides")
    picture = Picture(content, width_mm, height)
    raster_of(picture)
    return picture, SealFace("PNG", face, int(face_size[0]), int(face_size[1]))
