"""Reads signatures without a seal: SignedData of GB/T 35275-2017 (GM/T 0010), the national form of CMS."""

from __future__ import annotations

from dataclasses import dataclass, field

from asn1crypto import cms, core

from services.eseal.gm.ses import SesError, Signed, reading
from services.eseal.gm.sm2 import sm3

SIGNED_DATA = "1.2.156.10197.6.1.4.2.2"
DATA = "1.2.156.10197.6.1.4.2.1"
STANDARD = "GB/T 35275-2017"


class _Content(core.Sequence):  # type: ignore[misc]  # the library has no types
    _fields = [  # noqa: RUF012
        ("type", core.ObjectIdentifier),
        ("content", core.Any, {"explicit": 0, "optional": True}),
    ]


@dataclass(frozen=True)
class PlainSignature:
    """A signature by one signer, over data that it carries itself."""

    signer: Signed
    data_hash: bytes = field(repr=False)
    """SM3 of the file that was signed: what it carries is that digest, or the file."""


def read_plain(data: bytes) -> PlainSignature:
    """A signature by one signer, without signed attributes. Raises SesError on any other."""
    return reading(_plain, data)


def _plain(data: bytes) -> PlainSignature:
    outer = _Content.load(data, strict=True)
    if outer["type"].dotted != SIGNED_DATA:
        raise SesError("these bytes are no signed data")
    signed = outer["content"].parse(cms.SignedData)
    inner = _Content.load(signed["encap_content_info"].dump(), strict=True)
    if inner["type"].dotted != DATA or len(signed["signer_infos"]) != 1:
        raise SesError("signed data has one signer, and data")
    (by,) = signed["signer_infos"]
    if by["signed_attrs"].native is not None:
        raise SesError("signed data with attributes is not read")
    content = bytes(inner["content"].parse(core.OctetString).native)
    signer = Signed(
        content=content,
        certificate=_certificate(signed, by),
        algorithm=str(by["signature_algorithm"]["algorithm"].dotted),
        value=bytes(by["signature"].native),
    )
    return PlainSignature(signer, content if len(content) == len(sm3(b"")) else sm3(content))


def _certificate(signed: cms.SignedData, by: cms.SignerInfo) -> bytes:
    """The certificate that the signer is said to have, by its issuer and number."""
    said = by["sid"].chosen
    for choice in signed["certificates"]:
        certificate = choice.chosen
        content = certificate["tbs_certificate"]
        if (content["issuer"].dump(), content["serial_number"].native) == (
            said["issuer"].dump(),
            said["serial_number"].native,
        ):
            return bytes(certificate.dump())
    raise SesError("the signer's certificate is not there")
