from __future__ import annotations

import random
from datetime import timedelta

import pytest
from asn1crypto import core, x509
from hypothesis import given, settings
from hypothesis import strategies as st

from services.eseal.der import (
    IA5,
    INTEGER,
    OCTETS,
    SEQUENCE,
    TAGGED_0,
    UTF8,
    bits,
    der,
    generalized_time,
    ia5,
)
from services.eseal.gm.ses import SesError, read_seal, read_signature
from services.eseal.gm.ses_making import seal_signature, with_timestamp
from services.eseal.gm.sm2 import load_sm2, sm3
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3, Signer
from tests.unit.eseal.documents import KIND, OFFICE
from tests.unit.eseal.ofds import DAY, NOW, PNG, Sealer, sealer

ALGORITHM = core.ObjectIdentifier(SM2_WITH_SM3).dump()


@pytest.fixture(scope="module")
def made() -> Sealer:
    return sealer()


def members(sequence: bytes) -> list[bytes]:
    return [
        item.dump()
        for item in (core.Sequence.load(sequence)[i] for i in range(len(core.Sequence.load(sequence))))
    ]


def key_of(certificate: bytes) -> Signer:
    return Signer.load(load_sm2(), certificate)


def test_a_seal_says_what_it_was_made_with(made: Sealer) -> None:
    seal = read_seal(made.seal)

    assert (seal.version, seal.seal_id, seal.name) == (4, "4402990000001", OFFICE + KIND)
    assert (seal.valid_from, seal.valid_until) == (NOW - DAY, NOW + 300 * DAY)
    assert (seal.picture_type, seal.picture, seal.width_mm, seal.height_mm) == ("PNG", PNG, 42, 42)
    assert seal.is_for(made.certificate)
    assert not seal.is_for(made.certificate[:-1])
    assert key_of(seal.maker.certificate).key.is_signed(seal.maker.content, seal.maker.value)


async def test_a_signature_says_what_it_was_made_over(made: Sealer) -> None:
    value = await seal_signature(
        made, seal=made.seal, data_hash=sm3(b"x"), path="/Doc_0/Signs/Sign_0/Signature.xml", moment=NOW
    )

    said = read_signature(value)

    assert said.seal == read_seal(made.seal)
    assert (said.version, said.moment, said.timestamp) == (4, NOW, b"")
    assert (said.data_hash, said.property_info) == (sm3(b"x"), "/Doc_0/Signs/Sign_0/Signature.xml")
    assert said.signer.algorithm == SM2_WITH_SM3
    assert made.key.is_signed(said.signer.content, said.signer.value)


async def test_a_signature_may_have_a_timestamp_under_its_tag_or_without(made: Sealer) -> None:
    value = await seal_signature(
        made, seal=made.seal, data_hash=sm3(b"x"), path="/Doc_0/Signs/Sign_0/Signature.xml", moment=NOW
    )
    untagged = der(SEQUENCE, *members(value), bits(b"a token"))

    assert read_signature(with_timestamp(value, b"a token")).timestamp == b"a token"
    assert read_signature(untagged).timestamp == b"a token"
    assert read_signature(untagged).signer == read_signature(value).signer
    with pytest.raises(SesError):
        read_signature(der(SEQUENCE, *members(value), ia5("a token")))


def test_a_seal_of_version_5_may_have_a_timestamp(made: Sealer) -> None:
    info, *rest = members(made.seal)
    newer = info.replace(der(INTEGER, b"\x04"), der(INTEGER, b"\x05"), 1)

    seal = read_seal(der(SEQUENCE, newer, *rest, der(TAGGED_0, bits(b"a token"))))

    assert seal.version == 5
    assert seal.maker.content == newer


def test_a_seal_of_version_1_is_read_and_what_its_maker_signed_is_put_together(made: Sealer) -> None:
    """GM/T 0031-2014: two members, dates as UTCTime, the certificate and algorithm signed too."""
    info, certificate, algorithm, _ = members(made.seal)
    _, number, has, picture = members(info)
    kind, name, _, listed, *dates = members(has)
    old_dates = [x509.UTCTime(core.GeneralizedTime.load(date).native).dump() for date in dates]
    header = der(SEQUENCE, ia5("ES"), der(INTEGER, b"\x01"), ia5("OLD"))
    old = der(SEQUENCE, header, number, der(SEQUENCE, kind, name, listed, *old_dates), picture)
    signed = der(SEQUENCE, old, certificate, algorithm)
    whole = der(SEQUENCE, old, der(SEQUENCE, certificate, algorithm, bits(made.maker_key.sign(signed))))

    seal = read_seal(whole)

    assert (seal.version, seal.valid_from) == (1, NOW - DAY)
    assert seal.is_for(made.certificate)
    assert made.maker_key.is_signed(seal.maker.content, seal.maker.value)
    to_sign = der(
        SEQUENCE,
        der(INTEGER, b"\x01"),
        whole,
        bits(x509.UTCTime(NOW).dump()),
        bits(sm3(b"x")),
        ia5("/a.xml"),
        der(OCTETS, made.certificate),
        algorithm,
    )
    signature = read_signature(der(SEQUENCE, to_sign, bits(made.key.sign(to_sign))))
    assert (signature.moment, signature.seal.version, signature.data_hash) == (NOW, 1, sm3(b"x"))
    assert made.key.is_signed(signature.signer.content, signature.signer.value)


@pytest.mark.parametrize(("named", "right"), [("SM3", True), ("sm3", True), ("MD5", False)])
def test_a_seal_may_list_digests_of_certificates(made: Sealer, named: str, right: bool) -> None:
    info, *rest = members(made.seal)
    header, number, has, picture = members(info)
    kind, name, _, _, *dates = members(has)
    row = der(SEQUENCE, core.PrintableString(named).dump(), der(OCTETS, sm3(made.certificate)))
    listed = der(SEQUENCE, kind, name, der(INTEGER, b"\x02"), der(SEQUENCE, row), *dates)

    seal = read_seal(der(SEQUENCE, der(SEQUENCE, header, number, listed, picture), *rest))

    assert seal.is_for(made.certificate) is right
    assert not seal.is_for(b"another")


def test_what_was_signed_stays_as_it_came(made: Sealer) -> None:
    """Other makers encode a default that DER leaves out: what is read must not be encoded anew."""
    info, *rest = members(made.seal)
    extension = der(
        SEQUENCE, core.ObjectIdentifier("1.2.3").dump(), core.Boolean(False).dump(), der(OCTETS, b"x")
    )
    for extensions in (der(SEQUENCE, extension), der(TAGGED_0, der(SEQUENCE, extension))):
        longer = der(SEQUENCE, *members(info), extensions)
        assert read_seal(der(SEQUENCE, longer, *rest)).maker.content == longer


def test_what_is_no_seal_is_refused(made: Sealer) -> None:
    info, *rest = members(made.seal)
    wrong = info.replace(der(IA5, b"ES"), der(IA5, b"EX"), 1)

    for data in (
        b"",
        b"\x30",
        made.seal[:-1],
        made.seal + b"\x00",
        der(SEQUENCE, wrong, *rest),
        der(UTF8, b"x"),
    ):
        with pytest.raises(SesError):
            read_seal(data)
        with pytest.raises(SesError):
            read_signature(data)
    with pytest.raises(SesError, match="larger"):
        read_seal(bytes(5 * 1024 * 1024))


@settings(max_examples=300, deadline=timedelta(seconds=5))
@given(st.integers(0, 2**32))
def test_bytes_that_lie_about_themselves_are_refused_and_nothing_else_happens(seed: int) -> None:
    made, chance = _shared(), random.Random(seed)
    data = bytearray(made)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data))
        action = chance.randrange(3)
        if action == 0:
            data[at] = chance.randrange(256)
        elif action == 1:
            del data[at : at + chance.randrange(1, 40)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 10))
    for read in (read_seal, read_signature):
        try:
            read(bytes(data))
        except SesError:
            continue


_KEPT: list[bytes] = []


def _shared() -> bytes:
    if not _KEPT:
        one = sealer()
        to_sign = der(
            SEQUENCE, der(INTEGER, b"\x04"), one.seal, generalized_time(NOW), bits(sm3(b"x")), ia5("/a.xml")
        )
        _KEPT.append(
            der(SEQUENCE, to_sign, der(OCTETS, one.certificate), ALGORITHM, bits(one.key.sign(to_sign)))
        )
    return _KEPT[0]
