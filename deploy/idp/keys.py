"""The provider's signing key (P-256, ES256), made at its first start."""

from __future__ import annotations

from pathlib import Path

from joserfc.jwk import ECKey, KeySet

from deploy.idp.accounts import make_once

ALGORITHM = "ES256"


def open_signing_key(path: Path) -> ECKey:
    """The key in the file, which is made (0600, PEM) if it does not exist. Its `kid` is its thumbprint."""
    if not path.exists():
        make_once(path, ECKey.generate_key("P-256").as_pem(private=True).decode())
    key = ECKey.import_key(path.read_text(encoding="utf-8"), {"use": "sig", "alg": ALGORITHM})
    key.ensure_kid()
    return key


def public_keys(key: ECKey) -> dict[str, object]:
    """The public JWK set (RFC 7517)."""
    return dict(KeySet([key]).as_dict(private=False))
