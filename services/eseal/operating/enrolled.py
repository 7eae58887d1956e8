"""The seal by GB/T 38540 that names a certificate which a real authority has issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from core import queries
from core.db import Connection
from services.eseal.gm.ses import read_seal
from services.eseal.gm.ses_making import SealFace, seal_info, seal_of
from services.eseal.operating.issued import Issued, NotTakenError
from services.eseal.operating.making import PictureReader, Sm2Maker
from services.eseal.operating.store import application_of
from services.eseal.pictures.png import round_seal_face
from services.eseal.pictures.shapes import look_of

Q = queries.load(__package__)


@dataclass(frozen=True)
class Making:
    """Who makes seals with SM2, and who reads pictures that their owners bring; None where nobody does."""

    maker: Sm2Maker | None
    reader: PictureReader | None


async def structure_of(
    connection: Connection,
    making: Making,
    *,
    seal: asyncpg.Record,
    issued: Issued,
    earlier: bytes | None,
    moment: datetime,
) -> bytes:
    """SESeal, DER, with the face that the seal had in its `earlier` one, or else that was applied for.

    Raises NotTakenError by the rules `maker` and `picture`, SealPictureInvalidError, WorkshopBusyError.
    """
    maker = making.maker
    if maker is None:
        raise NotTakenError(
            "maker", "a seal with SM2 is made anew for its certificate: its maker's key is needed"
        )
    if earlier is not None:
        found = read_seal(earlier)
        face = SealFace(found.picture_type, found.picture, found.width_mm, found.height_mm)
    else:
        face = await _first_face(connection, making.reader, seal)
    info = seal_info(
        seal_id=seal["code"],
        name=seal["name"],
        certificate=issued.certificate,
        face=face,
        created_at=moment,
        valid_from=max(seal["valid_from"], issued.not_before),
        valid_until=min(seal["valid_until"], issued.not_after),
    )
    return seal_of(info, maker_certificate=maker.certificate, signature=maker.key.sign(info))


async def _first_face(connection: Connection, reader: PictureReader | None, seal: asyncpg.Record) -> SealFace:
    """As making the seal will draw it."""
    row = await connection.fetchrow(Q.application, seal["id"])
    if row is None:  # It was made before there were applications.
        bottom = str(seal["name"]).removeprefix(seal["owner_name"])
        return round_seal_face(seal["owner_name"], bottom_text=bottom, code=seal["code"])
    wanted = application_of(row)
    if wanted.upload is None:
        return look_of(wanted, seal["code"]).face()
    if reader is None:
        raise NotTakenError("picture", "nobody here reads uploaded pictures")
    _, face = await reader.read_picture(wanted.upload.file, wanted.upload.width_mm)
    return face
