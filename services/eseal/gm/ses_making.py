"""Makes seals and signatures with them by GB/T 38540-2020 (version 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from asn1crypto import core

from services.eseal.der import OCTETS, SEQUENCE, TAGGED_0, bits, der, generalized_time, ia5, integer, utf8
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3
from services.eseal.sealing.ports import Signer

VERSION = 4
VENDOR = "ONESTOP"
ORGANISATION = 1
"""Kind of a seal that an organisation owns."""
_ALGORITHM = bytes(core.ObjectIdentifier(SM2_WITH_SM3).dump())


@dataclass(frozen=True)
class SealFace:
    """What a seal shows: a picture of some type (PNG, SVG, …) and its size in whole millimetres."""

    picture_type: str
    picture: bytes = field(repr=False)
    width_mm: int
    height_mm: int


def seal_info(
    *,
    seal_id: str,
    name: str,
    certificate: bytes,
    face: SealFace,
    created_at: datetime,
    valid_from: datetime,
    valid_until: datetime,
) -> bytes:
    """SES_SealInfo, DER: what the maker of a seal signs. `certificate` (DER) is the one that may use it."""
    return der(
        SEQUENCE,
        der(SEQUENCE, ia5("ES"), integer(VERSION), ia5(VENDOR)),
        ia5(seal_id),
        der(
            SEQUENCE,
            integer(ORGANISATION),
            utf8(name),
            integer(1),
            der(SEQUENCE, der(OCTETS, certificate)),
            generalized_time(created_at),
            generalized_time(valid_from),
            generalized_time(valid_until),
        ),
        der(
            SEQUENCE,
            ia5(face.picture_type),
            der(OCTETS, face.picture),
            integer(face.width_mm),
            integer(face.height_mm),
        ),
    )


def seal_of(info: bytes, *, maker_certificate: bytes, signature: bytes) -> bytes:
    """SESeal, DER: the seal with its maker's signature over SES_SealInfo."""
    return der(SEQUENCE, info, der(OCTETS, maker_certificate), _ALGORITHM, bits(signature))


def with_timestamp(value: bytes, token: bytes) -> bytes:
    """SES_Signature, DER, with a timestamp token over its signature value (`timeStamp`)."""
    members = core.Sequence.load(value, strict=True).contents
    return der(SEQUENCE, members, der(TAGGED_0, bits(token)))


async def seal_signature(
    signer: Signer, *, seal: bytes, data_hash: bytes, path: str, moment: datetime
) -> bytes:
    """SES_Signature, DER, over the SM3 digest of the file at `path` within its package."""
    to_sign = der(SEQUENCE, integer(VERSION), seal, generalized_time(moment), bits(data_hash), ia5(path))
    value = await signer.sign(to_sign)
    return der(SEQUENCE, to_sign, der(OCTETS, signer.certificate), _ALGORITHM, bits(value))
