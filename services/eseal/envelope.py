"""Makes the CMS object of a PAdES B-B signature (EN 319 142-1, EN 319 122-1) with pyHanko.

Signed attributes: content-type, message-digest, signing-certificate-v2. The time stands in the PDF's /M.
"""

from __future__ import annotations

from functools import lru_cache

from asn1crypto import algos, x509
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.signers.pdf_cms import Signer as CmsSigner

from services.eseal.domain import SUITES, Algorithm
from services.eseal.service import Signer

_SUITE = SUITES[Algorithm.ECDSA_P256_SHA256]


class _KeystoreSigner(CmsSigner):
    """pyHanko's signer over a key that stays in its keystore."""

    def __init__(self, signer: Signer) -> None:
        super().__init__(
            signing_cert=_certificate(signer.certificate),
            signature_mechanism=algos.SignedDigestAlgorithm({"algorithm": f"{_SUITE.digest}_ecdsa"}),
            embed_roots=False,
        )
        self._keystore_signer = signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(_SUITE.signature_bytes)
        return await self._keystore_signer.sign(data)


async def pades_envelope(signer: Signer, digest: bytes) -> bytes:
    """CMS SignedData, DER, over a SHA-256 digest of a document's byte range."""
    cms = await _KeystoreSigner(signer).async_sign(
        digest,
        digest_algorithm=_SUITE.digest,
        use_pades=True,
        signed_attr_settings=PdfCMSSignedAttributes(cades_signed_attrs=CAdESSignedAttrSpec()),
    )
    der: bytes = cms.dump()
    return der


@lru_cache(maxsize=256)
def _certificate(der: bytes) -> x509.Certificate:
    return x509.Certificate.load(der)
