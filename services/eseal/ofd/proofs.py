"""What bears a seal on an OFD out besides its certificates: a timestamp, and the strength of algorithms.

Runs in a confined worker only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from asn1crypto import cms, x509

from services.eseal.digests import DIGESTS
from services.eseal.gm.ses import SealSignature
from services.eseal.gm.signed import PlainSignature
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3
from services.eseal.ofd.document import SignatureFile
from services.eseal.trust.stamps import Stamp, stamp_over

_BROKEN = {
    "MD5": "md5",
    "1.2.840.113549.2.5": "md5",
    "SHA1": "sha1",
    "SHA-1": "sha1",
    "1.3.14.3.2.26": "sha1",
}
_UNKNOWN = "unknown_algorithm"
LARGEST_CERTIFICATE = 16 * 1024
"""Bytes of a certificate that leaves the worker; honest ones have a tenth of it."""


def stamp_on(
    sealed: SealSignature, authorities: Sequence[x509.Certificate], moment: datetime
) -> Stamp | None:
    """The timestamp over a seal's signature value (GB/T 38540), if there is one that holds."""
    if not sealed.timestamp:
        return None
    try:
        token = cms.ContentInfo.load(sealed.timestamp, strict=True)["content"]
    except (ValueError, TypeError):
        return None
    # Nothing in it waits for anything: what it checks by is all here.
    return asyncio.run(stamp_over(sealed.signer.value, token, authorities, moment))


def certificates_of(signer: bytes, sealed: SealSignature | None) -> tuple[bytes, ...]:
    """Of which it counts what became of them, DER: the signer's, and the maker's of the seal, for a seal that
    its maker's authority has taken back is none. Empty, so that nothing is known, where one is too large."""
    found = (signer, *((sealed.seal.maker.certificate,) if sealed else ()))
    return found if max(map(len, found)) <= LARGEST_CERTIFICATE else ()


def weaknesses(file: SignatureFile, said: SealSignature | PlainSignature) -> tuple[str, ...]:
    """What is too weak in a signature: the digest of its parts, or an algorithm that is none of ours."""
    method = file.check_method.upper()
    found = [] if method in DIGESTS else [_BROKEN.get(method, _UNKNOWN)]
    if said.signer.algorithm != SM2_WITH_SM3:
        found.append(_UNKNOWN)
    return tuple(dict.fromkeys(found))
