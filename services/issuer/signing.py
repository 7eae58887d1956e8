"""Signs our access tokens: JWTs by ES256, with the header of RFC 9068."""

from __future__ import annotations

from joserfc import jwt

from core.es256 import ALGORITHM, Es256Keys
from services.issuer.domain import Claims

TOKEN_TYPE = "at+jwt"  # noqa: S105  # the header's `typ` of RFC 9068 section 2.1, no secret


class TokenSigner:
    """Signs by the current key; publishes the previous ones too, whose tokens are still about."""

    def __init__(self, keys: Es256Keys) -> None:
        self._keys = keys

    def sign(self, claims: Claims) -> str:
        """A JWT in compact form, by the current key."""
        header = {"alg": ALGORITHM, "kid": self._keys.kid}
        return jwt.encode(header, dict(claims), self._keys.current, [ALGORITHM], default_type=TOKEN_TYPE)

    def public_keys(self) -> str:
        """The JWK set that verifies our tokens, as JSON."""
        return self._keys.jwks
