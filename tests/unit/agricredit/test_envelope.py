"""Answers open only with the partner's key, and are the city's."""

from __future__ import annotations

import json

import pytest
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from core.es256 import Es256Keys
from services.agricredit.envelope import Envelope, PartnerKeyError

SUITE = ["ECDH-ES+A256KW", "A256GCM"]
PAYLOAD = '{"status":"ok","地块":"村前大田"}'.encode()


@pytest.fixture
def city() -> Es256Keys:
    return Es256Keys(ECKey.generate_key("P-256"))


@pytest.fixture
def bank() -> ECKey:
    return ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES+A256KW"}, auto_kid=True)


def _public(key: ECKey) -> dict[str, object]:
    return dict(key.as_dict(private=False))


def test_the_bank_opens_it_and_verifies_the_city_s_signature(city: Es256Keys, bank: ECKey) -> None:
    envelope = Envelope(city)

    opened = jwe.decrypt_compact(envelope.seal(PAYLOAD, _public(bank)), bank, SUITE)

    assert opened.headers()["kid"] == bank.kid
    assert (opened.headers()["alg"], opened.headers()["enc"]) == ("ECDH-ES+A256KW", "A256GCM")
    assert opened.plaintext is not None
    keys = KeySet.import_key_set(json.loads(envelope.public_keys()))
    signed = jws.deserialize_compact(opened.plaintext, keys, ["ES256"])
    assert signed.payload == PAYLOAD
    assert signed.headers()["kid"] == city.kid


def test_nobody_else_opens_it(city: Es256Keys, bank: ECKey) -> None:
    sealed = Envelope(city).seal(PAYLOAD, _public(bank))

    for stranger in (ECKey.generate_key("P-256"), city.current):
        with pytest.raises((JoseError, ValueError)):
            jwe.decrypt_compact(sealed, stranger, SUITE)
    assert "村前大田" not in sealed


def test_an_altered_answer_does_not_open(city: Es256Keys, bank: ECKey) -> None:
    parts = Envelope(city).seal(PAYLOAD, _public(bank)).split(".")
    flipped = "A" if parts[3][5] != "A" else "B"
    parts[3] = parts[3][:5] + flipped + parts[3][6:]

    with pytest.raises((JoseError, ValueError)):
        jwe.decrypt_compact(".".join(parts), bank, SUITE)


def test_each_sealing_uses_a_fresh_key(city: Es256Keys, bank: ECKey) -> None:
    first, second = (Envelope(city).seal(PAYLOAD, _public(bank)).split(".") for _ in range(2))

    assert all(one != other for one, other in zip(first, second, strict=True))


def test_a_key_without_id_is_named_by_its_thumbprint(city: Es256Keys) -> None:
    bank = ECKey.generate_key("P-256")
    public = {name: value for name, value in _public(bank).items() if name != "kid"}

    sealed = Envelope(city).seal(PAYLOAD, public)

    assert jwe.decrypt_compact(sealed, bank, SUITE).headers()["kid"] == bank.thumbprint()


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "EC"},
        dict(RSAKey.generate_key(2048, private=False).as_dict()),
        dict(ECKey.generate_key("P-256", {"use": "sig"}, private=False).as_dict()),
        dict(ECKey.generate_key("P-256", {"alg": "ECDH-ES"}, private=False).as_dict()),
        dict(ECKey.generate_key("P-256", private=False).as_dict()) | {"x": "AAAA"},
    ],
    ids=["empty", "no point", "rsa", "for signatures", "of another suite", "off the curve"],
)
def test_another_kind_of_key_is_refused(city: Es256Keys, jwk: dict[str, object]) -> None:
    with pytest.raises(PartnerKeyError):
        Envelope(city).seal(PAYLOAD, jwk)
