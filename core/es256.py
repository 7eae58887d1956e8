"""P-256 signing keys of a part: one signs, and those it replaced still verify (RFC 7515, RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from joserfc.jwk import ECKey

ALGORITHM = "ES256"


class KeyFileError(ValueError):
    """A key file does not hold what it should; the message names the file, never its content."""


class Es256Keys:
    """The current private key and the public halves of the previous ones.

    Rotation with overlap: the old file moves to the previous ones and stays there for as long as what it
    has signed is to verify.
    """

    def __init__(self, current: ECKey, previous: Sequence[ECKey] = ()) -> None:
        self.current = current
        self.kid = current.thumbprint()
        """RFC 7638 thumbprint of the key that signs."""
        self.jwks = json.dumps({"keys": _published([current, *previous])}, separators=(",", ":"))
        """The public JWK set of all keys, the current one first, as JSON."""

    def __repr__(self) -> str:
        return f"Es256Keys(kid={self.kid!r})"

    @classmethod
    def load(cls, current: Path, previous: Sequence[Path] = ()) -> Es256Keys:
        """The keys from PEM files; of the previous ones the public half is enough.

        Raises KeyFileError naming the file that does not fit.
        """
        return cls(_private_key(current), [_public_key(path) for path in previous])


def _private_key(path: Path) -> ECKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path} holds another key than P-256")
    return ECKey.import_key(key)


def _public_key(path: Path) -> ECKey:
    pem = path.read_bytes()
    try:
        private = b"PRIVATE KEY" in pem
        key = load_pem_private_key(pem, password=None).public_key() if private else load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} is not an unencrypted PEM key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path} holds another key than P-256")
    return ECKey.import_key(key)


def _published(keys: Sequence[ECKey]) -> list[dict[str, object]]:
    """Public JWKs, each once, in order."""
    by_kid: dict[str, dict[str, object]] = {}
    for key in keys:
        kid = key.thumbprint()
        by_kid.setdefault(kid, {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": ALGORITHM})
    return list(by_kid.values())
