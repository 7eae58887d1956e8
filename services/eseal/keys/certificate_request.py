"""Certificate requests for keys of seals (PKCS #10, RFC 2986): one form for every algorithm and keystore."""

from __future__ import annotations

from asn1crypto import algos, core, csr, keys, pem, x509

from services.eseal.domain import SUITES, Algorithm
from services.eseal.gm.sm2_certificate import DOCUMENT_SIGNING, SM2_WITH_SM3


def request_info(subject: x509.Name, public_key: bytes) -> bytes:
    """What the key signs, DER: the subject, the key (SubjectPublicKeyInfo, DER), and what it is to be for.

    Asks for digitalSignature and nonRepudiation, and id-kp-documentSigning (RFC 9336), as seals need them.
    """
    usage = x509.Extension(
        {
            "extn_id": "key_usage",
            "critical": True,
            "extn_value": x509.KeyUsage({"digital_signature", "non_repudiation"}),
        }
    )
    purpose = x509.Extension(
        {"extn_id": "extended_key_usage", "extn_value": x509.ExtKeyUsageSyntax([DOCUMENT_SIGNING])}
    )
    info = csr.CertificationRequestInfo(
        {
            "version": "v1",
            "subject": subject,
            "subject_pk_info": keys.PublicKeyInfo.load(public_key),
            "attributes": [{"type": "extension_request", "values": [[usage, purpose]]}],
        }
    )
    return bytes(info.dump())


def request_of(info: bytes, algorithm: Algorithm, signature: bytes) -> bytes:
    """The request, PEM: what was signed, and the signature over it."""
    name = SM2_WITH_SM3 if algorithm is Algorithm.SM2_SM3 else SUITES[algorithm].mechanism
    whole = csr.CertificationRequest(
        {
            "certification_request_info": csr.CertificationRequestInfo.load(info),
            "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": name}),
            "signature": core.OctetBitString(signature),
        }
    )
    return bytes(pem.armor("CERTIFICATE REQUEST", whole.dump()))
