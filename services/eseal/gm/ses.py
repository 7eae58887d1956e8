"""Reads seals and seal signatures: GB/T 38540-2020 (version 4), GM/T 0031-2014 (1) and GM/T 0031-2025 (5).

What was signed is kept as it came: other makers encode what DER leaves out, so an encoding made anew would
not be what they signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from asn1crypto import core, x509

from services.eseal.der import SEQUENCE, der
from services.eseal.digests import DIGESTS
from services.eseal.gm.ses_syntax import (
    CertDigests,
    Certificates,
    SesSeal,
    SesSealV1,
    SesSignature,
    SesSignatureV1,
)

MAX_STRUCTURE = 4 * 1024 * 1024
"""Bytes of a seal signature that are looked at; its picture is the most of it."""
STANDARDS = {1: "GM/T 0031-2014", 4: "GB/T 38540-2020", 5: "GM/T 0031-2025"}
_CERTIFICATES, _DIGESTS = 1, 2


class SesError(ValueError):
    """These bytes are no seal, or no signature with one."""


@dataclass(frozen=True)
class Signed:
    """Bytes that someone signed: by which certificate (DER), which algorithm (dotted OID), giving what."""

    content: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    algorithm: str
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class SealStructure:
    """A seal (SESeal) as its maker signed it."""

    der: bytes = field(repr=False)
    version: int
    seal_id: str
    name: str
    valid_from: datetime
    valid_until: datetime
    certificates: tuple[bytes, ...] = field(repr=False)
    """Of those who may use it, DER; empty where the seal lists digests instead."""
    digests: tuple[tuple[str, bytes], ...]
    """Name of the digest and its value, for each who may use it."""
    picture_type: str
    picture: bytes = field(repr=False)
    width_mm: int
    height_mm: int
    maker: Signed

    def is_for(self, certificate: bytes) -> bool:
        """Whether the seal names this certificate among those that may use it."""
        return certificate in self.certificates or any(
            name in DIGESTS and DIGESTS[name](certificate) == value for name, value in self.digests
        )


@dataclass(frozen=True)
class SealSignature:
    """A signature made with a seal (SES_Signature)."""

    version: int
    seal: SealStructure
    moment: datetime | None
    """The signer's claim; None where only a timestamp stands in its place."""
    data_hash: bytes
    property_info: str
    signer: Signed
    timestamp: bytes = field(default=b"", repr=False)
    """A timestamp token over the signature value, CMS DER; empty where there is none."""


def read_seal(data: bytes) -> SealStructure:
    """A seal of any of the three versions. Raises SesError."""
    return reading(_seal, data)


def read_signature(data: bytes) -> SealSignature:
    """A signature of any of the three versions. Raises SesError."""
    return reading(_signature, data)


T = TypeVar("T")


def reading(read: Callable[[bytes], T], data: bytes) -> T:
    """What a reader makes of the bytes. Raises SesError alone, whatever they are."""
    if len(data) > MAX_STRUCTURE:
        raise SesError("the structure is larger than any seal")
    try:
        return read(data)
    except SesError:
        raise
    # The library may raise these on bytes that lie about themselves.
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as fault:
        raise SesError("these bytes are no seal structure") from fault


def _seal(data: bytes) -> SealStructure:
    members = len(core.Sequence.load(data, strict=True))
    if members == 2:
        old = SesSealV1.load(data, strict=True)
        info, said = old["info"], old["sign_info"]
        content = der(SEQUENCE, info.dump(), said["cert"].dump(), said["algorithm"].dump())
    elif members in (4, 5):
        said = SesSeal.load(data, strict=True)
        info = said["info"]
        content = info.dump()
    else:
        raise SesError("a seal has 2, 4 or 5 members")
    header, has, picture = info["header"], info["property"], info["picture"]
    if header["id"].native != "ES":
        raise SesError("a seal's header says ES")
    certificates, digests = _who(has, listed=members != 2)
    return SealStructure(
        der=data,
        version=int(header["version"]),
        seal_id=str(info["es_id"].native),
        name=str(has["name"].native),
        valid_from=_time(has["valid_start"].native),
        valid_until=_time(has["valid_end"].native),
        certificates=certificates,
        digests=digests,
        picture_type=str(picture["type"].native),
        picture=bytes(picture["data"].native),
        width_mm=int(picture["width"]),
        height_mm=int(picture["height"]),
        maker=_signed(content, said),
    )


def _who(has: core.Sequence, *, listed: bool) -> tuple[tuple[bytes, ...], tuple[tuple[str, bytes], ...]]:
    """Who may use the seal: certificates, or their digests."""
    kind = int(has["cert_list_type"]) if listed else _CERTIFICATES
    if kind == _CERTIFICATES:
        return tuple(bytes(it.native) for it in has["cert_list"].parse(Certificates)), ()
    if kind == _DIGESTS:
        rows = has["cert_list"].parse(CertDigests)
        return (), tuple((str(row["type"].native).upper(), bytes(row["value"].native)) for row in rows)
    raise SesError("a seal lists certificates or their digests")


def _signature(data: bytes) -> SealSignature:
    members = len(core.Sequence.load(data, strict=True))
    if members == 2:
        whole = SesSignatureV1.load(data, strict=True)
        to_sign = whole["to_sign"]
        moment = _time_of_bits(bytes(to_sign["time"].native))
        said = {"cert": to_sign["cert"], "algorithm": to_sign["algorithm"], "signature": whole["signature"]}
        timestamp = b""
    elif members in (4, 5):
        whole = said = SesSignature.load(data, strict=True)
        to_sign = whole["to_sign"]
        moment = _time(to_sign["time"].native)
        timestamp = bytes(whole["timestamp"].chosen.native) if members == 5 else b""
    else:
        raise SesError("a seal's signature has 2, 4 or 5 members")
    return SealSignature(
        version=int(to_sign["version"]),
        seal=_seal(to_sign["seal"].dump()),
        moment=moment,
        data_hash=bytes(to_sign["data_hash"].native),
        property_info=str(to_sign["property_info"].native),
        signer=_signed(to_sign.dump(), said),
        timestamp=timestamp,
    )


def _signed(content: bytes, said: Any) -> Signed:
    certificate, value = bytes(said["cert"].native), bytes(said["signature"].native)
    return Signed(content, certificate, str(said["algorithm"].dotted), value)


def _time(value: datetime) -> datetime:
    """A time with its zone; where none is said, UTC."""
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _time_of_bits(content: bytes) -> datetime | None:
    """The time that version 1 keeps in a BIT STRING; None where that is a timestamp token."""
    try:
        return _time(x509.Time.load(content, strict=True).native)
    except (ValueError, TypeError):
        return None
