"""Where a certificate says that it is told what became of it (RFC 5280 sections 4.2.1.13 and 4.2.2.1).

For others to read: what a certificate names is never fetched here.
"""

from __future__ import annotations

from dataclasses import dataclass

AUTHORITY, SM2_AUTHORITY, SM2_MAKER = "seal-ca", "seal-ca-sm2", "seal-maker-sm2"
"""Names of the files of the development authority, `.crt` and `.key` each."""
SOURCES = "revocation.toml"
"""The file of revocation sources beside an authority's own, in development (trust/sources.py)."""


@dataclass(frozen=True)
class Addresses:
    """Of a responder and of a revocation list; empty where there is none."""

    ocsp: str = ""
    crl: str = ""


NOWHERE = Addresses()
