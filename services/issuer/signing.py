"""Our token-signing keys: one signs, and those it replaced still verify (RFC 7515, RFC 7517, ES256)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from joserfc import jwt
from joserfc.jwk import ECKey

from services.issuer.domain import Claims

ALGORITHM = "ES256"
TOKEN_TYPE = "at+jwt"  # noqa: S105  # the header's `typ` of RFC 9068 section 2.1, no secret


class SigningKeyError(ValueError):
    """A key file does not hold what it should; the message names the file, never its content."""


class SigningKeys:
    """The current private key and the public halves of the previous ones.

    Rotation with overlap: the old file moves to the previous ones and stays there for at least a token's
    life and the life of a key cache; tokens signed before stay valid meanwhile.
    """

    def __init__(self, current: ECKey, previous: Sequence[ECKey] = ()) -> None:
        self._current = current
        self._kid = current.thumbprint()
        self._jwks = json.dumps({"keys": _published([current, *previous])}, separators=(",", ":"))

    def __repr__(self) -> str:
        return f"SigningKeys(kid={self._kid!r})"

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint of the key that signs."""
        return self._kid

    def sign(self, claims: Claims) -> str:
        """A JWT in compact form, by the current key."""
        header = {"alg": ALGORITHM, "kid": self._kid}
        return jwt.encode(header, dict(claims), self._current, [ALGORITHM], default_type=TOKEN_TYPE)

    def public_keys(self) -> str:
        """The JWK set of the current and the previous keys, as JSON."""
        return self._jwks


def load_signing_keys(current: Path, previous: Sequence[Path] = ()) -> SigningKeys:
    """The keys from PEM files: P-256, PKCS #8; of the previous ones the public half is enough.

    Raises SigningKeyError naming the file that does not fit.
    """
    return SigningKeys(_private_key(current), [_public_key(path) for path in previous])


def _private_key(path: Path) -> ECKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise SigningKeyError(f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyError(f"{path} holds another key than P-256")
    return ECKey.import_key(key)


def _public_key(path: Path) -> ECKey:
    pem = path.read_bytes()
    try:
        private = b"PRIVATE KEY" in pem
        key = load_pem_private_key(pem, password=None).public_key() if private else load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise SigningKeyError(f"{path} is not an unencrypted PEM key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SigningKeyError(f"{path} holds another key than P-256")
    return ECKey.import_key(key)


def _published(keys: Sequence[ECKey]) -> list[dict[str, object]]:
    """Public JWKs, each once, the current one first."""
    by_kid: dict[str, dict[str, object]] = {}
    for key in keys:
        kid = key.thumbprint()
        by_kid.setdefault(kid, {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM})
    return list(by_kid.values())
