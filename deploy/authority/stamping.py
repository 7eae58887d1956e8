"""Answers timestamp queries (RFC 3161): the token is CMS SignedData over a TSTInfo, signed with ECDSA."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime

from asn1crypto import algos, cms, core, tsp, x509

POLICY = "2.999.440200.1"
"""Of the arc for examples (X.660 annex A): nobody's real policy."""
_DIGESTS = {"sha256": 32, "sha384": 48, "sha512": 64, "1.2.156.10197.1.401": 32}
"""The digests that are stamped, SM3 at the end, and their bytes."""


class _Rejection(core.Sequence):  # type: ignore[misc]  # the library has no types
    """TimeStampResp without a token, which the library's own must have (RFC 3161 section 2.4.2)."""

    _fields = [("status", tsp.PKIStatusInfo)]  # noqa: RUF012


class Stamper:
    """A timestamp authority: its certificate, and what signs with its key (ECDSA with SHA-256, DER)."""

    def __init__(self, certificate: x509.Certificate, sign: Callable[[bytes], bytes]) -> None:
        self._certificate = certificate
        self._sign = sign

    def answer(self, query: bytes, moment: datetime) -> bytes:
        """TimeStampResp, DER, at a moment in UTC; a query that is not granted is told why (section 2.4.2)."""
        try:
            asked = tsp.TimeStampReq.load(query, strict=True)
            imprint, nonce = asked["message_imprint"], asked["nonce"]
            name = str(imprint["hash_algorithm"]["algorithm"].native)
            digest = bytes(imprint["hashed_message"].native)
            policy, with_certificate = asked["req_policy"].native, bool(asked["cert_req"].native)
            has_extensions = bool(asked["extensions"].native)
        except (ValueError, TypeError):
            return _rejection("bad_data_format")
        if len(digest) != _DIGESTS.get(name):
            return _rejection("bad_alg")
        if policy not in (None, POLICY):
            return _rejection("unaccepted_policy")
        if has_extensions:
            return _rejection("unaccepted_extensions")
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": POLICY,
                "message_imprint": imprint,
                "serial_number": secrets.randbits(127),
                "gen_time": moment.replace(microsecond=0),
                "accuracy": {"seconds": 1},
                **({"nonce": nonce} if nonce.native is not None else {}),
            }
        )
        token = self._token(info.dump(), moment, with_certificate=with_certificate)
        return bytes(tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())

    def _token(self, info: bytes, moment: datetime, *, with_certificate: bool) -> cms.ContentInfo:
        attributes = cms.CMSAttributes(
            [
                _attribute("content_type", "tst_info"),
                _attribute(
                    "signing_time", cms.Time({"utc_time": core.UTCTime(moment.replace(microsecond=0))})
                ),
                _attribute("signing_certificate_v2", _which(self._certificate)),
                _attribute("message_digest", hashlib.sha256(info).digest()),
            ]
        )
        sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                            {
                                "issuer": self._certificate.issuer,
                                "serial_number": self._certificate.serial_number,
                            }
                        )
                    }
                ),
                "digest_algorithm": sha256,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                "signed_attrs": attributes,
                "signature": self._sign(attributes.dump()),
            }
        )
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [sha256],
                "encap_content_info": {"content_type": "tst_info", "content": cms.ParsableOctetString(info)},
                **({"certificates": [self._certificate]} if with_certificate else {}),
                "signer_infos": [signer],
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": signed})


def _which(certificate: x509.Certificate) -> tsp.SigningCertificateV2:
    """Whose signature it is, by digest (RFC 5816 section 2.2.1)."""
    digest = hashlib.sha256(certificate.dump()).digest()
    return tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2({"cert_hash": digest})]})


def _attribute(kind: str, value: object) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": kind, "values": [value]})


def _rejection(why: str) -> bytes:
    return bytes(_Rejection({"status": {"status": "rejection", "fail_info": {why}}}).dump())
