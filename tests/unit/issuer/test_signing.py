"""Our tokens verify by the published keys, across a rotation too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from core.es256 import Es256Keys, KeyFileError
from services.issuer.signing import TokenSigner


def _keys(*previous: ECKey) -> Es256Keys:
    return Es256Keys(ECKey.generate_key("P-256"), previous)


def _key_set(keys: Es256Keys) -> KeySet:
    return KeySet.import_key_set(json.loads(TokenSigner(keys).public_keys()))


def test_a_token_verifies_by_the_published_key_of_its_kid() -> None:
    keys = _keys()

    token = jwt.decode(TokenSigner(keys).sign({"sub": "rural-bank"}), _key_set(keys), ["ES256"])

    assert token.claims == {"sub": "rural-bank"}
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": keys.kid}


def test_published_keys_hold_no_private_part() -> None:
    published = json.loads(_keys(ECKey.generate_key("P-256")).jwks)["keys"]

    assert len(published) == 2
    assert all(set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for key in published)


def test_the_kid_is_the_rfc_7638_thumbprint() -> None:
    key = ECKey.generate_key("P-256")

    assert Es256Keys(key).kid == key.thumbprint()


def test_tokens_of_the_previous_key_verify_during_the_overlap_and_not_after() -> None:
    old_key = ECKey.generate_key("P-256")
    old_token = TokenSigner(Es256Keys(old_key)).sign({"sub": "rural-bank"})

    overlapping, later = _keys(old_key), _keys()

    assert jwt.decode(old_token, _key_set(overlapping), ["ES256"]).claims["sub"] == "rural-bank"
    with pytest.raises(JoseError):
        jwt.decode(old_token, _key_set(later), ["ES256"])


def test_keys_come_from_files_of_which_previous_ones_may_be_public(tmp_path: Path) -> None:
    current, private, public = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    for name, key in (("current", current), ("private", private)):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").write_bytes(pem)
    pem = public.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(pem)

    keys = Es256Keys.load(tmp_path / "current.key", [tmp_path / "private.key", tmp_path / "public.pem"])

    published = [key["kid"] for key in json.loads(keys.jwks)["keys"]]
    assert published == [ECKey.import_key(key).thumbprint() for key in (current, private, public)]
    assert keys.kid == published[0]


@pytest.mark.parametrize(
    "content",
    [
        b"not a key",
        rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ],
    ids=["rubbish", "rsa", "p-384"],
)
def test_another_kind_of_key_is_named_by_its_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "issuer-signing.key"
    path.write_bytes(content)

    with pytest.raises(KeyFileError, match=r"issuer-signing\.key"):
        Es256Keys.load(path)
