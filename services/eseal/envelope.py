"""Makes the CMS object of a PAdES B-B signature (EN 319 142-1, EN 319 122-1).

Signed attributes: content-type, message-digest, signing-certificate-v2. The time stands in the PDF's /M.

pyHanko makes one such object for each certificate, as a pattern. What differs from one signature to the next
is the digest and the signature itself: they are put into the pattern's encoded parts, so that a seal costs
its signature and not the encoding of everything around it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from asn1crypto import algos, cms, x509
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.signers.pdf_cms import Signer as CmsSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from services.eseal.der import OCTETS, SEQUENCE, SET, TAGGED_0, der
from services.eseal.domain import SUITES, Suite
from services.eseal.refusals import SealNotForFormatError
from services.eseal.sealing.ports import Signer

_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Bytes of the digests that the suites have."""
_STAND_IN = bytes.fromhex("5ea1")
"""Repeated, stands in the pattern where the digest goes."""
_KEPT = 256
"""Patterns kept ready, one a certificate."""


@dataclass(frozen=True)
class _Pattern:
    """A CMS object's encoded parts around the digest and the signature (RFC 5652 sections 5.1 and 5.3)."""

    content_type: bytes
    signed_data: bytes
    """SignedData's members before its signerInfos."""
    signer_info: bytes
    """SignerInfo's members before its signed attributes."""
    attributes: tuple[bytes, bytes]
    """The signed attributes' content, before and after the digest."""
    signature_algorithm: bytes

    def attributes_over(self, digest: bytes) -> bytes:
        """The signed attributes' content. DER's order of a set holds: no two attributes share a type."""
        return digest.join(self.attributes)

    def finished(self, attributes: bytes, signature: bytes) -> bytes:
        """The whole object, DER."""
        signer_info = der(
            SEQUENCE,
            self.signer_info,
            der(TAGGED_0, attributes),
            self.signature_algorithm,
            der(OCTETS, signature),
        )
        signed_data = der(SEQUENCE, self.signed_data, der(SET, signer_info))
        return der(SEQUENCE, self.content_type, der(TAGGED_0, signed_data))


class _KeystoreSigner(CmsSigner):
    """pyHanko's signer over a key that stays in its keystore."""

    def __init__(self, signer: Signer) -> None:
        super().__init__(
            signing_cert=_certificate(signer.certificate),
            signature_mechanism=algos.SignedDigestAlgorithm({"algorithm": _suite_of(signer).mechanism}),
            cert_registry=_registry(signer.chain),
            embed_roots=False,
        )
        self._keystore_signer = signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            return bytes(_suite_of(self._keystore_signer).signature_bytes)
        return await self._keystore_signer.sign(data)


_patterns: OrderedDict[bytes, _Pattern] = OrderedDict()


async def pades_envelope(signer: Signer, digest: bytes) -> bytes:
    """CMS SignedData, DER, over a document's byte range: its digest by the key's suite.

    Raises ValueError on a digest of another length, SealNotForFormatError on a key that signs no PDF.
    """
    suite = _suite_of(signer)
    if len(digest) != _SIZES[suite.digest]:
        raise ValueError(f"the digest must be of {suite.digest.upper().replace('SHA', 'SHA-')}")
    pattern = _patterns.get(signer.certificate)
    if pattern is None:
        pattern = await _pattern_of(signer)
        _patterns[signer.certificate] = pattern
        if len(_patterns) > _KEPT:
            _patterns.popitem(last=False)
    attributes = pattern.attributes_over(digest)
    return pattern.finished(attributes, await signer.sign(der(SET, attributes)))


async def envelope_by_pyhanko(signer: Signer, digest: bytes, *, dry_run: bool = False) -> cms.ContentInfo:
    """The same object as pyHanko makes it; a dry run asks the key for nothing."""
    return await _KeystoreSigner(signer).async_sign(
        digest,
        digest_algorithm=_suite_of(signer).digest,
        dry_run=dry_run,
        use_pades=True,
        signed_attr_settings=PdfCMSSignedAttributes(cades_signed_attrs=CAdESSignedAttrSpec()),
    )


async def _pattern_of(signer: Signer) -> _Pattern:
    """The pattern for the signer's certificate, taken from an object over the stand-in."""
    stand_in = _STAND_IN * (_SIZES[_suite_of(signer).digest] // len(_STAND_IN))
    made = await envelope_by_pyhanko(signer, stand_in, dry_run=True)
    signed_data = made["content"]
    (signer_info,) = signed_data["signer_infos"]
    before, after = signer_info["signed_attrs"].untag().contents.split(stand_in)
    return _Pattern(
        content_type=made["content_type"].dump(),
        signed_data=b"".join(
            signed_data[name].dump()
            for name in ("version", "digest_algorithms", "encap_content_info", "certificates")
        ),
        signer_info=b"".join(signer_info[name].dump() for name in ("version", "sid", "digest_algorithm")),
        attributes=(before, after),
        signature_algorithm=signer_info["signature_algorithm"].dump(),
    )


def _registry(chain: Sequence[bytes]) -> SimpleCertificateStore:
    """The certificates that a reader needs besides the signer's own."""
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(map(_certificate, chain))
    return store


@lru_cache(maxsize=_KEPT)
def _certificate(der: bytes) -> x509.Certificate:
    return x509.Certificate.load(der)


def _suite_of(signer: Signer) -> Suite:
    suite = SUITES[signer.algorithm]
    if not suite.mechanism:
        raise SealNotForFormatError("the seal's algorithm is not for PDF documents")
    return suite
