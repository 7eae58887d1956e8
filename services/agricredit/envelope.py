"""Seals answers for a partner: signed by the city (JWS), then encrypted to the partner (JWE).

One suite: ES256 inside, ECDH-ES+A256KW with A256GCM outside (RFC 7518). Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from core.es256 import ALGORITHM as SIGNATURE
from core.es256 import Es256Keys

KEY_AGREEMENT = "ECDH-ES+A256KW"
ENCRYPTION = "A256GCM"
CURVES = frozenset({"P-256", "P-384", "P-521"})


class PartnerKeyError(ValueError):
    """A partner's registered key cannot be encrypted to; the message never shows it."""


class Envelope:
    """Holds the city's keys for answers."""

    def __init__(self, keys: Es256Keys) -> None:
        self._keys = keys

    def public_keys(self) -> str:
        """The JWK set that verifies our answers, those of the previous keys too, as JSON."""
        return self._keys.jwks

    def seal(self, payload: bytes, recipient: Mapping[str, object]) -> str:
        """A JWE in compact form to the recipient's public JWK; inside is a JWS over the JSON `payload`.

        Raises PartnerKeyError.
        """
        header = {"alg": SIGNATURE, "kid": self._keys.kid, "typ": "JOSE", "cty": "json"}
        signed = jws.serialize_compact(header, payload, self._keys.current, [SIGNATURE])
        key = partner_key(recipient)
        outer = {"alg": KEY_AGREEMENT, "enc": ENCRYPTION, "kid": key_id(key), "typ": "JOSE", "cty": "JOSE"}
        return jwe.encrypt_compact(outer, signed, key, [KEY_AGREEMENT, ENCRYPTION])


def partner_key(jwk: Mapping[str, object]) -> ECKey:
    """A partner's public key from its JWK. Raises PartnerKeyError where it is of another kind or use."""
    public: dict[str, str | list[str]] = {
        name: value for name, value in jwk.items() if name != "d" and isinstance(value, str)
    }
    try:
        key = ECKey.import_key(public)
        key.check_use("enc")
        key.check_alg(KEY_AGREEMENT)
    except (JoseError, ValueError, KeyError, TypeError):
        raise PartnerKeyError("the partner's key is no EC key for ECDH-ES+A256KW") from None
    if key.curve_name not in CURVES:
        raise PartnerKeyError("the partner's key is of an unknown curve")
    return key


def key_id(key: ECKey) -> str:
    """The key's own id, or its RFC 7638 thumbprint."""
    return key.kid or key.thumbprint()
