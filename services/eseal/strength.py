"""What is too weak in a signature to prove anything, whatever else holds. Runs in a confined worker only."""

from __future__ import annotations

from collections.abc import Iterable

from asn1crypto import x509

_BROKEN = ("md2", "md5", "sha1")


def weaknesses(
    digest: str, certificate: x509.Certificate, above: Iterable[x509.Certificate]
) -> tuple[str, ...]:
    """Of a signature over a digest by a certificate's key, and of those above it but for the root."""
    found = [digest] if digest in _BROKEN else []
    for one in (certificate, *above):
        found += _of_key(one)
        try:
            hashed = one["signature_algorithm"].hash_algo
        except ValueError:  # the algorithm has no digest of its own, or is not known
            continue
        if hashed in _BROKEN:
            found.append(hashed)
    return tuple(dict.fromkeys("md5" if one == "md2" else one for one in found))


def _of_key(certificate: x509.Certificate) -> list[str]:
    key = certificate.public_key
    try:
        if key.algorithm == "rsa" and key.bit_size < 2048:
            return ["rsa_below_2048"]
        if key.algorithm == "ec" and key.bit_size < 256:
            return ["ec_below_256"]
    except ValueError:
        return ["unknown_algorithm"]
    return [] if key.algorithm in ("rsa", "rsassa_pss", "ec", "ed25519", "ed448") else ["unknown_algorithm"]
