"""The CMS object that is joined from parts is what pyHanko makes, but for the digest and the signature."""

from __future__ import annotations

import os

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from services.eseal.envelope import envelope_by_pyhanko, pades_envelope
from tests.unit.eseal.documents import make_kit

KIT = make_kit()


async def test_it_is_what_pyhanko_makes_but_for_the_signature() -> None:
    digest = os.urandom(32)

    ours = cms.ContentInfo.load(await pades_envelope(KIT.signer, digest), strict=True).native
    theirs = (await envelope_by_pyhanko(KIT.signer, digest)).native

    for made in (ours, theirs):
        del made["content"]["signer_infos"][0]["signature"]
    assert ours == theirs


async def test_it_is_der_and_signed_whatever_the_digest_and_however_long_the_signature() -> None:
    key = x509.load_der_x509_certificate(KIT.signer.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    lengths = set()
    for _ in range(200):
        digest = os.urandom(32)

        der = await pades_envelope(KIT.signer, digest)

        assert cms.ContentInfo.load(der).native == cms.ContentInfo.load(der, strict=True).native
        signed = cms.ContentInfo.load(der)["content"]["signer_infos"][0]
        attributes = signed["signed_attrs"].untag()
        assert attributes.dump(force=True) == attributes.dump()
        assert attributes[1]["values"][0].native == digest or digest in attributes.dump()
        key.verify(signed["signature"].native, attributes.dump(), ec.ECDSA(SHA256()))
        lengths.add(len(signed["signature"].native))
    assert len(lengths) > 1


async def test_each_certificate_has_its_own_parts() -> None:
    other = make_kit()

    for kit in (KIT, other, KIT):
        der = await pades_envelope(kit.signer, bytes(32))
        (held,) = cms.ContentInfo.load(der)["content"]["certificates"]
        assert held.dump() == kit.signer.certificate


async def test_a_digest_of_another_kind_is_no_digest() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        await pades_envelope(KIT.signer, bytes(20))
