"""What a seal gets beyond its signature: a timestamp in it, and what it is checked by in years to come."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Protocol

from asn1crypto import cms

from services.eseal.digests import SM3
from services.eseal.gm.ses import read_signature
from services.eseal.gm.ses_making import with_timestamp
from services.eseal.gm.sm2 import sm3
from services.eseal.refusals import CertificateRevokedError, RevocationUnknownError, TimestampUnavailableError
from services.eseal.sealing.ports import Evidence
from services.eseal.sealing.prepared import STAMPED_HEX
from services.eseal.verifying.standing import Standing, State


class Stamper(Protocol):
    """A timestamp authority."""

    async def token(self, digest: bytes, algorithm: str = "") -> bytes:
        """A timestamp over a digest, of SHA-2 unless one is named, CMS DER.

        Errors: TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED.
        """
        ...


class StatusSource(Protocol):
    """Who knows what became of certificates."""

    async def standing(self, certificate: bytes) -> Standing:
        """Of a certificate, DER."""
        ...

    async def listed(self, certificate: bytes) -> Standing:
        """The same by its issuer's revocation list alone; UNKNOWN where there is none."""
        ...


class LastingProof:
    """Makes seals last, with a timestamp authority and the sources of revocation data."""

    def __init__(self, stamper: Stamper, statuses: StatusSource) -> None:
        self._stamper = stamper
        self._statuses = statuses

    async def token(self, digest: bytes) -> bytes:
        """A timestamp over a SHA-256 digest. Errors: TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED."""
        token = await self._stamper.token(digest)
        if 2 * len(token) > STAMPED_HEX:
            raise _too_large()
        return token

    async def stamped(self, signature: bytes) -> bytes:
        """The CMS object, DER, with a timestamp over its signature value (EN 319 122-1 clause 5.3).

        Errors: TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED.
        """
        info = cms.ContentInfo.load(signature)
        (signer,) = info["content"]["signer_infos"]
        token = await self._stamper.token(hashlib.sha256(signer["signature"].native).digest())
        attribute = {"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(token)]}
        signer["unsigned_attrs"] = cms.CMSAttributes([cms.CMSAttribute(attribute)])
        stamped: bytes = info.dump()
        if 2 * len(stamped) > STAMPED_HEX:
            raise _too_large()
        return stamped

    async def stamped_seal(self, value: bytes) -> bytes:
        """The signature with a seal (SES_Signature, DER) with a timestamp over its signature value.

        Errors: TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED.
        """
        token = await self._stamper.token(sm3(read_signature(value).signer.value), SM3)
        return with_timestamp(value, token)

    async def evidence(self, *tokens: bytes) -> Evidence:
        """Certificates and revocation data by which these CMS objects and the timestamps in them are checked.

        Errors: REVOCATION_UNKNOWN, CERTIFICATE_REVOKED.
        """
        certificates = list(dict.fromkeys(one for token in tokens for one in _certificates(token)))
        ends = [one for one in certificates if not _is_root(one)]
        # Programs look for an OCSP response only where the certificate names a responder.
        unnamed = [one for one in ends if not _names_responder(one)]
        said = await asyncio.gather(*map(self._statuses.standing, ends))
        lists = await asyncio.gather(*map(self._statuses.listed, unnamed))
        standings = [*said, *(one for one in lists if one.state is not State.UNKNOWN)]
        if any(one.state is State.REVOKED for one in standings):
            raise CertificateRevokedError("a certificate of the seal or of its timestamp has been revoked")
        if any(one.state is State.UNKNOWN for one in standings):
            raise RevocationUnknownError(
                "nobody has said in time whether the certificates of the seal and of its timestamp were "
                "revoked; nothing was sealed",
                retry_after=5.0,
            )
        return Evidence(
            certificates,
            list(dict.fromkeys(one.crl for one in standings if one.crl)),
            list(dict.fromkeys(one.ocsp for one in standings if one.ocsp)),
        )


def _certificates(token: bytes) -> list[bytes]:
    """Those in a CMS object and in the timestamps over its signatures, DER."""
    signed = cms.ContentInfo.load(token)["content"]
    found = [one.chosen.dump() for one in signed["certificates"]]
    for signer in signed["signer_infos"]:
        for attribute in signer["unsigned_attrs"]:
            if attribute["type"].native == "signature_time_stamp_token":
                found += [one for value in attribute["values"] for one in _certificates(value.dump())]
    return found


def _names_responder(certificate: bytes) -> bool:
    return bool(cms.CertificateChoices.load(certificate).chosen.ocsp_urls)


def _is_root(certificate: bytes) -> bool:
    parsed = cms.CertificateChoices.load(certificate).chosen
    return bool(parsed.subject == parsed.issuer)


def _too_large() -> TimestampUnavailableError:
    return TimestampUnavailableError(
        "the authority's timestamp is larger than the room for it; have it leave certificates out",
        retry_after=60.0,
    )
