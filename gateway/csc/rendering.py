"""Credentials as the specification tells them: plain functions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from onestop.eseal.v1 import remote_pb2 as pb

from core.wire import instant_of
from gateway.csc.algorithms import SUITES
from gateway.csc.answers import AuthInfo, CertificateInfo, CredentialInfo, Factor, KeyInfo
from gateway.csc.forms import Certificates

MOST_SIGNATURES = 100
"""Of one authorisation."""
PIN, DEVICE = "PIN", "DEVICE"
"""Ids of the two factors."""

_FACTORS = [
    Factor(type="Password", id=PIN, format="A", label="PIN", description="签名密码 · the holder's PIN"),
    Factor(
        type="Password",
        id=DEVICE,
        format="A",
        label="Device secret",
        description="设备密钥 · what the holder's device drew at enrolment and keeps",
    ),
]


@dataclass(frozen=True)
class Wish:
    """How much a client wants to know of a credential."""

    certificates: Certificates
    certInfo: bool
    authInfo: bool


def may_sign(credential: pb.RemoteCredential, now: datetime) -> bool:
    """Whether it signs what its holder authorises now."""
    return (
        credential.state == pb.CREDENTIAL_STATE_READY
        and not credential.locked
        and instant_of(credential.valid_from) <= now < instant_of(credential.valid_until)
    )


def credential_info(
    credential: pb.RemoteCredential, wish: Wish, now: datetime, *, with_id: bool = False
) -> CredentialInfo:
    """A credential as `credentials/info` and `credentials/list` have it."""
    suite = SUITES[credential.algorithm]
    enabled = credential.state == pb.CREDENTIAL_STATE_READY and not credential.locked
    return CredentialInfo(
        credentialID=credential.id if with_id else None,
        description=credential.owner_name,
        key=KeyInfo(
            status="enabled" if enabled else "disabled", algo=suite.told, len=suite.bits, curve=suite.curve
        ),
        cert=_certificate(credential, wish, now) if credential.certificate else CertificateInfo(),
        auth=AuthInfo(expression=f"{PIN} AND {DEVICE}", objects=_FACTORS) if wish.authInfo else AuthInfo(),
        multisign=MOST_SIGNATURES,
    )


def texts(many: Sequence[bytes]) -> list[str]:
    """In base64."""
    return [base64.b64encode(one).decode() for one in many]


def _certificate(credential: pb.RemoteCredential, wish: Wish, now: datetime) -> CertificateInfo:
    shown: dict[Certificates, Sequence[bytes]] = {
        "none": (),
        "single": (credential.certificate,),
        "chain": (credential.certificate, *credential.chain),
    }
    status = "valid" if instant_of(credential.valid_until) > now else "expired"
    if credential.state == pb.CREDENTIAL_STATE_REVOKED:
        status = "revoked"
    names = _named(credential.certificate) if wish.certInfo else {}
    return CertificateInfo.model_validate(
        {"status": status, "certificates": texts(shown[wish.certificates]) or None, **names}
    )


@lru_cache(maxsize=1024)
def _named(certificate: bytes) -> dict[str, str]:
    """What a certificate says, as texts (names by RFC 4514)."""
    read = x509.load_der_x509_certificate(certificate)
    return {
        "issuerDN": read.issuer.rfc4514_string(),
        "serialNumber": f"{read.serial_number:X}",
        "subjectDN": read.subject.rfc4514_string(),
        "validFrom": _moment(read.not_valid_before_utc),
        "validTo": _moment(read.not_valid_after_utc),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")
