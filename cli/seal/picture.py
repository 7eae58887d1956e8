"""A picture of one's own for a seal: read from its file, and looked at by a confined worker at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli.operator import OperatorError
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Picture
from services.eseal.gm.ses_making import SealFace
from services.eseal.lifecycle import MAX_PICTURE, USUAL_WIDTH, Shape, Upload


def upload_of(path: Path | None, width_mm: float | None, shape: Shape) -> Upload | None:
    """The picture of a file; None where none is named. Raises OperatorError, SealPictureInvalidError.

    The seal service reads it once more when the seal is made: what is said here comes before anything else.
    """
    if path is None:
        if width_mm is not None:
            raise OperatorError("--picture-width: means nothing without --picture")
        return None
    try:
        with path.open("rb") as opened:
            file = opened.read(MAX_PICTURE + 1)
    except OSError as failure:
        raise OperatorError(f"--picture: {failure.strerror}") from None
    upload = Upload(file, width_mm or USUAL_WIDTH[shape])
    if not 1 <= len(file) <= MAX_PICTURE:
        raise OperatorError(f"--picture: the file must have 1 to {MAX_PICTURE} bytes (256 KiB)")
    asyncio.run(_look_at(upload))
    return upload


async def _look_at(upload: Upload) -> None:
    await OwnWorkshop().read_picture(upload.file, upload.width_mm)


class OwnWorkshop:
    """A worker for each picture, which ends with it."""

    async def read_picture(self, file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
        """For PDF and for OFD. Errors: SEAL_PICTURE_INVALID."""
        workshop = Workshop(workers=1)
        await workshop.open()
        try:
            return await workshop.read_picture(file, width_mm)
        finally:
            await workshop.close()
