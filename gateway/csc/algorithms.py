"""What the specification says by object identifiers: the suites of credentials, and digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import fault_error

SHA256 = "2.16.840.1.101.3.4.2.1"
SHA384 = "2.16.840.1.101.3.4.2.2"
SHA512 = "2.16.840.1.101.3.4.2.3"
DIGEST_BYTES = {SHA256: 32, SHA384: 48, SHA512: 64}
"""NIST's arc of hash functions, and the length of what each makes."""

_EC_KEY, _RSA_KEY = "1.2.840.10045.2.1", "1.2.840.113549.1.1.1"
_ECDSA_SHA256, _ECDSA_SHA384 = "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3"
_RSA_SHA256 = "1.2.840.113549.1.1.11"


@dataclass(frozen=True)
class Suite:
    """A suite of the contract, as the specification tells it."""

    signature: str
    key: str
    digest: str
    bits: int
    curve: str | None = None

    @property
    def told(self) -> list[str]:
        """The algorithms of `key/algo`. Of RSA the key alone is one too: the digest stands beside it."""
        return [self.signature] if self.curve else [self.signature, self.key]


SUITES = {
    "sha256_ecdsa_p256": Suite(_ECDSA_SHA256, _EC_KEY, SHA256, 256, "1.2.840.10045.3.1.7"),
    "sha384_ecdsa_p384": Suite(_ECDSA_SHA384, _EC_KEY, SHA384, 384, "1.3.132.0.34"),
    "sha256_rsa_2048": Suite(_RSA_SHA256, _RSA_KEY, SHA256, 2048),
    "sha256_rsa_3072": Suite(_RSA_SHA256, _RSA_KEY, SHA256, 3072),
}
"""By the contract's name; RSA pads by PKCS #1 v1.5."""

SIGNING = sorted({oid for suite in SUITES.values() for oid in suite.told})


def suites_of(sign_algo: str, hash_algo: str | None, where: str = "") -> Sequence[str]:
    """The suites that a client can mean by signature and hash algorithm.

    `where` stands before the fields' names in errors. Raises InvalidError naming the field at fault.
    """
    named = [(name, suite) for name, suite in SUITES.items() if sign_algo in {suite.signature, suite.key}]
    if not named:
        raise fault_error(f"{where}signAlgo", "unknown", f"must be one of {', '.join(SIGNING)}")
    if all(sign_algo == suite.key for _, suite in named) and not hash_algo:
        raise fault_error(f"{where}hashAlgorithmOID", "required", "is required: signAlgo names the key alone")
    fitting = [name for name, suite in named if hash_algo in {None, "", suite.digest}]
    if not fitting:
        raise fault_error(f"{where}hashAlgorithmOID", "contradiction", "is not the digest of signAlgo")
    return fitting


def require_digests(digests: Sequence[bytes], hash_algo: str | None, where: str) -> None:
    """Passes digests of the function that is named, if one is. Raises InvalidError."""
    if not hash_algo:
        return
    length = DIGEST_BYTES.get(hash_algo)
    if length is None:
        raise fault_error("hashAlgorithmOID", "unknown", f"must be one of {', '.join(DIGEST_BYTES)}")
    for index, digest in enumerate(digests):
        if len(digest) != length:
            raise fault_error(f"{where}[{index}]", "length", f"must be a digest of {length} bytes")
