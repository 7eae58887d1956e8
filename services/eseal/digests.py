"""The digests that count in a seal or an OFD, by the names that files give them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from services.eseal.gm.sm2 import sm3

SM3 = "1.2.156.10197.1.401"


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "SM3": sm3,
    SM3: sm3,
    "SHA256": _sha256,
    "SHA-256": _sha256,
    "2.16.840.1.101.3.4.2.1": _sha256,
}
"""By name in capitals. MD5 and SHA-1, which the formats also know, prove nothing any more."""

_IMPRINTS = ("sha256", "sha384", "sha512")


def imprint_of(algorithm: str, content: bytes) -> bytes:
    """What a timestamp over some content is over, by its digest as asn1crypto names it: SM3 or SHA-2.

    Empty, which no timestamp is over, for any other.
    """
    if algorithm == SM3:
        return sm3(content)
    return hashlib.new(algorithm, content).digest() if algorithm in _IMPRINTS else b""
