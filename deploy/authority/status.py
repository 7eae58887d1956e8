"""Says what has become of certificates: revocation lists (RFC 5280) and answers by OCSP (RFC 6960)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from asn1crypto import core, crl, ocsp, x509

from deploy.authority.issuers import Issuer
from deploy.authority.revocations import Revocation, Revocations

FRESH = timedelta(seconds=60)
"""How long an answer may be kept: so soon a revocation takes effect everywhere."""
BACKDATED = timedelta(minutes=1)


class Status:
    """What a few authorities say of their certificates."""

    def __init__(self, issuers: Sequence[Issuer], revocations: Revocations) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._revocations = revocations

    def has_list(self, name: str) -> bool:
        """Whether there is a revocation list of an authority: only its own key makes one."""
        issuer = self._issuers.get(name)
        return issuer is not None and issuer.own is not None

    def revocations_of(self, name: str, now: datetime) -> bytes:
        """An authority's revocation list, DER. Raises KeyError where it has none."""
        issuer = self._issuers[name]
        if issuer.own is None:
            raise KeyError(name)
        content: dict[str, object] = {
            "version": "v2",
            "signature": {"algorithm": issuer.own.algorithm},
            "issuer": issuer.certificate.subject,
            "this_update": _time(now - BACKDATED),
            "next_update": _time(now + FRESH),
            "crl_extensions": [
                _extension("authority_key_identifier", {"key_identifier": _key_id(issuer.certificate)}),
                _extension("crl_number", int(now.timestamp() * 1000)),
            ],
        }
        entries = [
            _entry(serial, revocation)
            for (authority, serial), revocation in self._revocations.all().items()
            if authority == name
        ]
        if entries:  # RFC 5280 5.1.2.6: without any, the list of them is absent
            content["revoked_certificates"] = entries
        signed = crl.TbsCertList(content)
        made = crl.CertificateList(
            {
                "tbs_cert_list": signed,
                "signature_algorithm": {"algorithm": issuer.own.algorithm},
                "signature": core.OctetBitString(issuer.own.sign(signed.dump())),
            }
        )
        return bytes(made.dump())

    def respond(self, query: bytes, now: datetime) -> bytes:
        """OCSPResponse, DER, by the responder of the certificate's authority; a nonce is given back."""
        try:
            request = ocsp.OCSPRequest.load(query, strict=True)
            (asked,) = request["tbs_request"]["request_list"]
            named = asked["req_cert"]
            issuer = self._issuer_of(named)
            serial = int(named["serial_number"].native)
            nonce = request.nonce_value
        except KeyError:
            return _without_answer("unauthorized")
        except (ValueError, TypeError):
            return _without_answer("malformed_request")
        said = {
            "cert_id": named,
            "cert_status": _status(self._revocations.all().get((issuer.name, serial))),
            "this_update": _whole(now - BACKDATED),
            "next_update": _whole(now + FRESH),
        }
        responder = issuer.responder
        content: dict[str, object] = {
            "responder_id": ocsp.ResponderId(name="by_key", value=responder.certificate.public_key.sha1),
            "produced_at": _whole(now),
            "responses": [said],
        }
        if nonce is not None:
            content["response_extensions"] = [{"extn_id": "nonce", "extn_value": nonce.native}]
        signed = ocsp.ResponseData(content)
        basic = ocsp.BasicOCSPResponse(
            {
                "tbs_response_data": signed,
                "signature_algorithm": {"algorithm": responder.algorithm},
                "signature": core.OctetBitString(responder.sign(signed.dump())),
                "certs": [responder.certificate],
            }
        )
        response = {"response_type": "basic_ocsp_response", "response": basic}
        return bytes(ocsp.OCSPResponse({"response_status": "successful", "response_bytes": response}).dump())

    def _issuer_of(self, named: ocsp.CertId) -> Issuer:
        """The authority that a query is about. Raises KeyError where it is none of ours."""
        algorithm = str(named["hash_algorithm"]["algorithm"].native)
        asked = (bytes(named["issuer_name_hash"].native), bytes(named["issuer_key_hash"].native))
        for issuer in self._issuers.values():
            if _hashes(issuer.certificate, algorithm) == asked:
                return issuer
        raise KeyError(algorithm)


def _hashes(certificate: x509.Certificate, algorithm: str) -> tuple[bytes, bytes]:
    """Of the issuer's name and key, as a query has them (RFC 6960 section 4.1.1). Raises ValueError."""
    key = bytes(certificate.public_key["public_key"].native)
    name, of_key = (hashlib.new(algorithm, one).digest() for one in (certificate.subject.dump(), key))
    return name, of_key


def _status(revocation: Revocation | None) -> ocsp.CertStatus:
    if revocation is None:
        return ocsp.CertStatus(name="good", value=core.Null())
    said: dict[str, object] = {"revocation_time": revocation.moment}
    if revocation.reason != "unspecified":
        said["revocation_reason"] = revocation.reason
    return ocsp.CertStatus(name="revoked", value=ocsp.RevokedInfo(said))


def _entry(serial: int, revocation: Revocation) -> dict[str, object]:
    entry: dict[str, object] = {
        "user_certificate": serial,
        "revocation_date": _time(revocation.moment),
    }
    # RFC 5280 5.3.1: an entry without a reason is one with `unspecified`.
    if revocation.reason != "unspecified":
        entry["crl_entry_extensions"] = [_extension("crl_reason", revocation.reason)]
    return entry


def _extension(name: str, value: object) -> dict[str, object]:
    return {"extn_id": name, "critical": False, "extn_value": value}


def _key_id(certificate: x509.Certificate) -> bytes:
    found: bytes | None = certificate.key_identifier
    return found if found is not None else bytes(certificate.public_key.sha1)


def _time(moment: datetime) -> x509.Time:
    """RFC 5280 5.1.2.4: UTCTime up to 2049."""
    kind = "general_time" if moment.year >= 2050 else "utc_time"
    return x509.Time({kind: _whole(moment)})


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _without_answer(status: str) -> bytes:
    return bytes(ocsp.OCSPResponse({"response_status": status}).dump())
