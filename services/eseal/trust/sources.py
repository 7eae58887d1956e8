"""Where it is learned what became of certificates: a file of ours that names, for each issuer, whom to ask.

TOML, paths relative to the file:

    [[issuer]]
    certificate = "seal-ca.crt"
    ocsp = "http://status.example/ocsp"
    crl = "http://status.example/seal-ca.crl"

What a certificate or a document says of such addresses is never followed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.eseal.addresses import NOWHERE, Addresses


@dataclass(frozen=True)
class Source:
    """An issuer, and who tells of its certificates: OCSP is asked before the list is looked into."""

    issuer: x509.Certificate
    crl: str = ""
    ocsp: str = ""


def load_sources(path: Path) -> Sequence[Source]:
    """The sources of a file. Raises ValueError that says what is wrong, and OSError."""
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("issuer", [])
    except tomllib.TOMLDecodeError as fault:
        raise ValueError(f"{path} is no TOML: {fault}") from None
    if not isinstance(rows, list):
        raise ValueError(f"{path}: write each issuer as [[issuer]]")
    return [_source(path, number, row) for number, row in enumerate(rows, start=1)]


def addresses_of(path: Path, issuer: bytes) -> Addresses:
    """What a file of sources says of an issuer (certificate, DER); nothing where there is no such file.

    Raises ValueError as `load_sources`.
    """
    if not path.exists():
        return NOWHERE
    for source in load_sources(path):
        if source.issuer.public_bytes(Encoding.DER) == issuer:
            return Addresses(source.ocsp, source.crl)
    return NOWHERE


def _source(path: Path, number: int, row: object) -> Source:
    where = f"{path}: issuer {number}"
    if not isinstance(row, dict) or set(row) - {"certificate", "crl", "ocsp"}:
        raise ValueError(f"{where} has certificate, crl and ocsp, and nothing else")
    crl, ocsp = str(row.get("crl", "")), str(row.get("ocsp", ""))
    for url in filter(None, (crl, ocsp)):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{where}: {url!r} is no address; write http://… or https://…")
    if not crl and not ocsp:
        raise ValueError(f"{where} names neither crl nor ocsp")
    try:
        issuer = x509.load_pem_x509_certificate((path.parent / str(row["certificate"])).read_bytes())
    except (KeyError, OSError, ValueError) as fault:
        raise ValueError(f"{where}: certificate must name a PEM file") from fault
    return Source(issuer, crl, ocsp)
