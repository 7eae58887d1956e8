"""What a check finds, and that others find the same: pyHanko by itself, and the CMS taken apart by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from asn1crypto import cms, keys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter, append_signature_field
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from services.eseal.domain import Place
from services.eseal.keys.signers import VaultSigner
from services.eseal.pdf.inspection import inspect
from services.eseal.refusals import DocumentMalformedError
from services.eseal.verifying.finding import Finding, Modification
from services.eseal.verifying.verdict import Verdict, report_on
from tests.unit.eseal.documents import (
    KIND,
    NOW,
    OFFICE,
    OFFICE_CODE,
    SealKit,
    dated,
    hostile,
    make_kit,
    parsed,
    plain,
)

LATER = NOW + timedelta(minutes=1)


@pytest.fixture(scope="module")
def kit() -> SealKit:
    return make_kit()


async def found(kit: SealKit, document: bytes) -> list[Finding]:
    return await inspect(document, roots=[kit.root], moment=LATER)


async def test_a_fresh_seal_is_found_sound(kit: SealKit) -> None:
    (finding,) = await found(kit, await kit.seal(plain()))

    assert finding.intact
    assert finding.valid
    assert finding.trusted_now
    assert finding.permitted
    assert finding.covers_whole_document
    assert finding.modification is Modification.NONE
    assert finding.algorithm == "sha256_ecdsa_p256"
    assert finding.signed_at == NOW
    assert finding.certificate_sha256 == hashlib.sha256(kit.signer.certificate).hexdigest()
    assert OFFICE + KIND in finding.signer


async def test_pyhanko_by_itself_finds_it_valid_at_level_b_b(kit: SealKit) -> None:
    reader = PdfFileReader(BytesIO(await kit.seal(plain())))
    context = ValidationContext(trust_roots=[parsed(kit.root)], moment=LATER)

    (signature,) = reader.embedded_signatures
    status = await async_validate_pdf_signature(signature, context)

    assert status.bottom_line
    attributes = {attribute["type"].native for attribute in signature.signer_info["signed_attrs"]}
    assert attributes == {"content_type", "message_digest", "signing_certificate_v2"}


async def test_the_cms_holds_by_rfc_5652_alone(kit: SealKit) -> None:
    sealed = await kit.seal(plain())
    (signature,) = PdfFileReader(BytesIO(sealed)).embedded_signatures
    _, before, resume, after = (int(number) for number in signature.byte_range)
    contents = bytes.fromhex(sealed[before + 1 : resume - 1].decode())

    signed = cms.ContentInfo.load(contents)["content"]
    signer = signed["signer_infos"][0]
    certificate = x509.load_der_x509_certificate(signed["certificates"][0].chosen.dump())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    digest = next(it for it in signer["signed_attrs"] if it["type"].native == "message_digest")

    covered = sealed[:before] + sealed[resume : resume + after]
    assert digest["values"][0].native == hashlib.sha256(covered).digest()
    assert resume + after == len(sealed)
    key.verify(signer["signature"].native, signer["signed_attrs"].untag().dump(), ec.ECDSA(SHA256()))
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(kit.root))


async def test_two_seals_one_after_another_both_hold(kit: SealKit) -> None:
    once = await kit.seal(plain(2))
    twice = await kit.seal(once, field="seal-2", place=Place(1, 60, 60))

    first, second = await found(kit, twice)

    assert twice.startswith(once)
    assert (first.field_name, second.field_name) == ("seal-1", "seal-2")
    assert all(it.intact and it.valid and it.trusted_now and it.permitted for it in (first, second))
    assert (first.covers_whole_document, second.covers_whole_document) == (False, True)
    assert first.modification is Modification.FORM_FILLING


async def test_a_document_without_a_seal_shows_none(kit: SealKit) -> None:
    assert await found(kit, plain()) == []


async def test_any_changed_byte_of_the_content_shows(kit: SealKit) -> None:
    sealed = await kit.seal(plain(page_entries=b"/MediaBox [0 0 595 842] /Contents [] /Note (amount 100)"))
    changed = sealed.replace(b"amount 100", b"amount 900")

    (finding,) = await found(kit, changed)

    assert not finding.intact
    assert finding.valid
    assert finding.trusted_now


async def test_every_flipped_byte_shows_one_way_or_another(kit: SealKit) -> None:
    """Somewhere in the signed bytes, or behind the signature's value: the seal is not intact, or the file
    cannot be read any more. Of the value itself only what its own signature covers would show."""
    sealed = await kit.seal(plain())
    (signature,) = PdfFileReader(BytesIO(sealed)).embedded_signatures
    _, before, resume, _ = (int(number) for number in signature.byte_range)
    signed = [*range(0, len(plain()), 37), *range(len(plain()), before, 401), *range(resume, len(sealed), 37)]
    padding = range(before + len(sealed[before:resume].rstrip(b"0>")) + 1, resume, 401)
    for position in (*signed, *padding):
        changed = bytearray(sealed)
        changed[position] ^= 0x01
        try:
            findings = await found(kit, bytes(changed))
        except DocumentMalformedError:
            continue
        assert not any(it.intact and it.valid for it in findings), position


async def test_bytes_added_after_it_show(kit: SealKit) -> None:
    sealed = await kit.seal(plain())

    (finding,) = await found(kit, sealed + b"\n% a remark\n")

    assert finding.intact
    assert not finding.covers_whole_document


async def test_an_added_empty_signature_field_shows(kit: SealKit) -> None:
    """Its picture could cover what was sealed."""
    writer = IncrementalPdfFileWriter(BytesIO(await kit.seal(plain())))
    append_signature_field(writer, SigFieldSpec("sneaky", box=(0, 0, 500, 800)))
    grown = BytesIO()
    writer.write(grown)

    (finding,) = await found(kit, grown.getvalue())

    assert finding.intact
    assert not finding.covers_whole_document
    assert not finding.permitted or finding.modification is Modification.FORM_FILLING


async def test_a_gap_wider_than_the_signature_shows(kit: SealKit) -> None:
    """A byte range that leaves out more than the value could hide content."""
    sealed = await kit.seal(plain())
    (signature,) = PdfFileReader(BytesIO(sealed)).embedded_signatures
    _, before, resume, after = (int(number) for number in signature.byte_range)
    honest = b"[0 %d %d %d]" % (before, resume, after)
    wider = (b"[0 %d %d %d]" % (before, resume + 7, after - 7)).ljust(len(honest))
    assert sealed.count(honest) == 1

    (finding,) = await found(kit, sealed.replace(honest, wider))

    assert not finding.intact
    assert not finding.covers_whole_document


async def test_another_authority_is_not_believed(kit: SealKit) -> None:
    stranger = make_kit("test seal authority")  # The same name, another key.

    (finding,) = await found(kit, await stranger.seal(plain()))

    assert finding.intact
    assert finding.valid
    assert not finding.trusted_now
    assert not finding.trusted_then


async def test_a_certificate_for_something_else_is_not_believed(kit: SealKit) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _tls_certificate(kit, key)

    (finding,) = await found(kit, await replace(kit, signer=VaultSigner(key, certificate)).seal(plain()))

    assert finding.intact
    assert not finding.trusted_now


async def test_after_its_validity_a_certificate_was_believed_then_only(kit: SealKit) -> None:
    sealed = await kit.seal(plain())

    (finding,) = await inspect(sealed, roots=[kit.root], moment=NOW + timedelta(days=400))

    assert finding.valid
    assert (finding.trusted_now, finding.trusted_then) == (False, True)


async def test_a_signature_that_cannot_be_read_is_a_seal_that_proves_nothing(kit: SealKit) -> None:
    sealed = await kit.seal(plain())
    start = sealed.index(b"/Contents <") + len(b"/Contents <")

    (finding,) = await found(kit, sealed[:start] + b"00" * 40 + sealed[start + 80 :])

    assert not finding.intact
    assert not finding.valid
    assert not finding.trusted_now


@pytest.mark.parametrize("name", ["not a pdf", "truncated", "garbage", "xref points outside"])
async def test_what_is_no_pdf_is_refused(kit: SealKit, name: str) -> None:
    with pytest.raises(DocumentMalformedError):
        await found(kit, hostile()[name])


def _short(kit: SealKit, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A proper certificate of the same authority, of a key that is too short."""
    proper = x509.load_der_x509_certificate(kit.signer.certificate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(proper.subject)
        .issuer_name(proper.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(proper.not_valid_before_utc)
        .not_valid_after(proper.not_valid_after_utc)
    )
    for extension in proper.extensions:
        if extension.oid != ExtensionOID.SUBJECT_KEY_IDENTIFIER:
            builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(kit.authority._key, SHA256())


@pytest.mark.parametrize(
    ("bits", "digest", "told"),
    [
        (1024, "sha256", {"rsa_below_2048"}),
        (2048, "sha1", {"sha1"}),
        (1024, "sha1", {"rsa_below_2048", "sha1"}),
        (2048, "sha256", set()),
    ],
)
async def test_what_is_too_weak_is_told_whatever_else_holds(
    kit: SealKit, bits: int, digest: str, told: set[str]
) -> None:
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = SimpleSigner(
        parsed(_short(kit, key).public_bytes(Encoding.DER)),
        keys.PrivateKeyInfo.load(private),
        SimpleCertificateStore(),  # type: ignore[no-untyped-call]
    )
    meta = PdfSignatureMetadata(field_name="seal", md_algorithm=digest, subfilter=SigSeedSubFilter.PADES)
    with dated():
        output = await PdfSigner(meta, signer).async_sign_pdf(IncrementalPdfFileWriter(BytesIO(plain())))

    (finding,) = await found(kit, output.getvalue())
    report = report_on([finding], seals={}, signing_times={}, document_sha256="")

    assert set(finding.weaknesses) == told
    assert (report.verdict is Verdict.INVALID) == bool(told)
    assert ("所用算法强度不足" in report.seals[0].summary_zh) == bool(told)


def _tls_certificate(kit: SealKit, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Of the same authority and subject, but without the usage of sealing documents."""
    proper = x509.load_der_x509_certificate(
        kit.authority.issue(
            key.public_key(),
            seal_name=OFFICE + KIND,
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            valid_from=NOW - timedelta(days=1),
            valid_until=NOW + timedelta(days=1),
        )
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(proper.subject)
        .issuer_name(proper.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(proper.not_valid_before_utc)
        .not_valid_after(proper.not_valid_after_utc)
    )
    for extension in proper.extensions:
        if extension.oid != ExtensionOID.EXTENDED_KEY_USAGE:
            builder = builder.add_extension(extension.value, extension.critical)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    signed = builder.add_extension(usage, critical=False).sign(kit.authority._key, SHA256())
    return signed.public_bytes(Encoding.DER)
