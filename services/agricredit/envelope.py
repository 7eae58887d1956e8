"""Seals answers for a partner: signed by the city (JWS), then encrypted to the partner (JWE).

One suite: ES256 inside, ECDH-ES+A256KW with A256GCM outside (RFC 7518). Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from core.es256 import ALGORITHM as SIGNATURE
from core.es256 import Es256Keys

KEY_AGREEMENT = "ECDH-ES+A256KW"
ENCRYPTION = "A256GCM"
CURVES = frozenset({"P-256", "P-384", "P-521"})


Members = frozenset[tuple[str, str]]
"""A public JWK's members."""


class PartnerKeyError(ValueError):
    """A partner's registered key cannot be encrypted to; the message never shows it."""


PARTNERS = 256
"""Whose keys are kept ready."""


class Envelope:
    """Holds the city's keys for answers."""

    def __init__(self, keys: Es256Keys) -> None:
        self._keys = keys
        self._header = {"alg": SIGNATURE, "kid": keys.kid, "typ": "JOSE", "cty": "json"}

    def public_keys(self) -> str:
        """The JWK set that verifies our answers, those of the previous keys too, as JSON."""
        return self._keys.jwks

    def seal(self, payload: bytes, recipient: Mapping[str, object]) -> str:
        """A JWE in compact form to the recipient's public JWK; inside is a JWS over the JSON `payload`.

        Raises PartnerKeyError.
        """
        signed = jws.serialize_compact(dict(self._header), payload, self._keys.current, [SIGNATURE])
        key, kid = _recipient(_public_members(recipient))
        outer = {"alg": KEY_AGREEMENT, "enc": ENCRYPTION, "kid": kid, "typ": "JOSE", "cty": "JOSE"}
        return jwe.encrypt_compact(outer, signed, key, [KEY_AGREEMENT, ENCRYPTION])


def _public_members(jwk: Mapping[str, object]) -> Members:
    return frozenset((name, value) for name, value in jwk.items() if name != "d" and isinstance(value, str))


@lru_cache(PARTNERS)
def _recipient(members: Members) -> tuple[ECKey, str]:
    """The key of a JWK, checked, and its own id or else its RFC 7638 thumbprint; made once for each."""
    public: dict[str, str | list[str]] = dict(members)
    try:
        key = ECKey.import_key(public)
        key.check_use("enc")
        key.check_alg(KEY_AGREEMENT)
    except (JoseError, ValueError, KeyError, TypeError):
        raise PartnerKeyError("the partner's key is no EC key for ECDH-ES+A256KW") from None
    if key.curve_name not in CURVES:
        raise PartnerKeyError("the partner's key is of an unknown curve")
    return key, key.kid or key.thumbprint()
