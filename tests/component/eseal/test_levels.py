"""Seals of each level of PAdES, with a real authority for timestamps and revocations."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from onestop.eseal.v1 import eseal_pb2 as pb
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.ades import ades_lta_validation, simulate_future_ades_lta_validation
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.pdf_embedded import async_validate_pdf_timestamp
from pyhanko.sign.validation.policy_decl import (
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.registry import SimpleTrustManager

from core.disclosure import EntryKind, Outcome
from services.eseal.trust.authority import SealAuthority
from tests.component.eseal.authority import RunningAuthority
from tests.component.eseal.harness import Desk, certificate_of, refused
from tests.fakes import FakeClock
from tests.unit.eseal.documents import plain

B_B, B_T, B_LT, B_LTA = pb.SEAL_LEVEL_B_B, pb.SEAL_LEVEL_B_T, pb.SEAL_LEVEL_B_LT, pb.SEAL_LEVEL_B_LTA


@pytest.fixture
def desk(lasting_desk: Desk) -> Desk:
    return lasting_desk


def roots_of(authority: RunningAuthority) -> list[asn1_x509.Certificate]:
    """The authorities of seals and timestamps, as pyHanko takes them."""
    return [
        asn1_x509.Certificate.load(one.certificate.public_bytes(Encoding.DER))
        for one in (authority.seal_ca, authority.time_ca)
    ]


def believing(authority: RunningAuthority) -> dict[str, Any]:
    """What pyHanko asks of each certificate: to lead to the authorities, and proof that it is not revoked."""
    return {"trust_roots": roots_of(authority), "allow_fetching": False, "revocation_mode": "require"}


async def believed_by_pyhanko(document: bytes, context: ValidationContext) -> bool:
    """Whether pyHanko believes the first seal and its timestamp."""
    (signature, *_) = PdfFileReader(BytesIO(document)).embedded_regular_signatures
    status = await async_validate_pdf_signature(signature, context, ts_validation_context=context)
    stamp = status.timestamp_validity
    return bool(status.bottom_line and stamp is not None and stamp.trusted)


async def found_by_pyhanko(authority: RunningAuthority, document: bytes) -> tuple[bool, int]:
    """Whether pyHanko believes the first seal with nothing but the roots and what the file keeps; and how
    many document timestamps it believes."""
    reader = PdfFileReader(BytesIO(document))
    context = DocumentSecurityStore.read_dss(reader).as_validation_context(believing(authority))
    stamps = [
        await async_validate_pdf_timestamp(one, context) for one in reader.embedded_timestamp_signatures
    ]
    held = sum(one.intact and one.valid and one.trusted for one in stamps)
    return await believed_by_pyhanko(document, context), held


@pytest.mark.parametrize("level", [B_B, B_T, B_LT, B_LTA])
async def test_a_seal_reaches_the_level_that_was_asked_for(
    desk: Desk, authority: RunningAuthority, level: pb.SealLevel.ValueType
) -> None:
    signed = await desk.sign(await desk.make_seal(), plain(), level=level)
    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID, answer.summary_en
    (found,) = answer.seals
    assert found.level == level
    assert found.revocation == "good"
    assert found.time_proof == ("record" if level == B_B else "timestamp")
    assert found.HasField("timestamp_at") == (level > B_B)
    assert (found.timestamp_authority != "") == (level > B_B)
    assert list(found.weaknesses) == []
    assert len(found.chain) == 2
    assert found.byte_range[0] == 0
    assert found.summary_zh.endswith("有效。")
    assert found.summary_en.endswith("valid.")
    if level >= B_LT:
        assert await found_by_pyhanko(authority, signed.document) == (True, int(level == B_LTA))


async def test_pyhanko_s_long_term_algorithm_believes_it_when_certificates_have_ended(
    desk: Desk, authority: RunningAuthority
) -> None:
    signed = await desk.sign(await desk.make_seal(), plain(), level=B_LTA)
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=roots_of(authority)),
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
    )
    spec = PdfSignatureValidationSpec(
        SignatureValidationSpec(
            cert_validation_policy=policy,
            revinfo_gathering_policy=RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY),
        )
    )
    (signature,) = PdfFileReader(BytesIO(signed.document)).embedded_regular_signatures

    at_once = await ades_lta_validation(signature, spec)
    later = await simulate_future_ades_lta_validation(signature, spec, desk.clock() + timedelta(days=500))

    assert (at_once.ades_subindic, later.ades_subindic) == (AdESPassed.OK, AdESPassed.OK)


async def test_a_seal_whose_certificate_names_nobody_keeps_the_list_that_others_look_for(
    desk: Desk, authority: RunningAuthority
) -> None:
    desk.authority = SealAuthority(authority.seal_ca.certificate, authority.seal_ca.key)
    signed = await desk.sign(await desk.make_seal(), plain(), level=B_LT)

    kept = DocumentSecurityStore.read_dss(PdfFileReader(BytesIO(signed.document)))

    assert (len(kept.ocsps), len(kept.crls)) == (2, 1)
    assert await found_by_pyhanko(authority, signed.document) == (True, 0)


async def test_pyhanko_refuses_what_the_authority_has_revoked(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    signed = await desk.sign(await desk.make_seal(), plain(), level=B_T)
    certificate = await certificate_of(desk)
    stamper = x509.load_pem_x509_certificate((authority.folder / "time.crt").read_bytes())

    async def believed(**sources: bool) -> bool:
        """By what the authority says now, and nothing else."""
        statuses = authority.statuses(**sources)
        said = [await statuses.standing(one) for one in (certificate, stamper.public_bytes(Encoding.DER))]
        context = ValidationContext(
            ocsps=[asn1_ocsp.OCSPResponse.load(one.ocsp) for one in said if one.ocsp],
            crls=[asn1_crl.CertificateList.load(one.crl) for one in said if one.crl],
            **believing(authority),
        )
        return await believed_by_pyhanko(signed.document, context)

    assert await believed(crl=False)
    assert await believed(ocsp=False)
    authority.revoke(certificate, clock() - timedelta(minutes=10))
    assert not await believed(crl=False)
    assert not await believed(ocsp=False)


async def test_a_second_seal_leaves_the_first_and_its_proofs_as_they_were(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    once = await desk.sign(seal_id, plain(), level=B_LTA)
    twice = await desk.sign(seal_id, once.document, place=pb.SealPlace(x_mm=60, y_mm=60), level=B_LTA)

    answer = await desk.verify(twice.document)

    assert twice.document.startswith(once.document)
    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID, answer.summary_en
    assert [found.level for found in answer.seals] == [B_LTA, B_LTA]


async def test_years_later_the_file_proves_itself_without_our_record_or_any_source(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal()
    plainly = await desk.sign(seal_id, plain(), level=B_B)
    lasting = await desk.sign(seal_id, plain(), level=B_LTA)
    await desk.execute("DELETE FROM signature")
    authority.down = True
    clock.advance(timedelta(days=500))

    assert (await desk.verify(plainly.document)).verdict == pb.DOCUMENT_VERDICT_INVALID
    answer = await desk.verify(lasting.document)
    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID, answer.summary_en
    assert answer.seals[0].level == B_LTA


async def test_the_seal_says_the_least_level(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    await desk.execute("UPDATE seal SET least_level = 2")

    signed = await desk.sign(seal_id, plain(), level=B_B)

    assert (await desk.verify(signed.document)).seals[0].level == B_T


async def test_without_an_authority_nothing_is_sealed_and_never_at_a_lower_level(
    desk: Desk, authority: RunningAuthority
) -> None:
    seal_id = await desk.make_seal()
    authority.no_stamps = True

    for level in (B_T, B_LT, B_LTA):
        assert await refused(desk, seal_id, plain(), level=level) == "TIMESTAMP_UNAVAILABLE"
    await desk.settled()

    kinds = [(entry.kind, entry.outcome) for entry in desk.ledger.entries]
    assert kinds.count((EntryKind.OUTCOME, Outcome.ABORTED)) == 3
    assert kinds.count((EntryKind.OUTCOME, Outcome.COMPLETED)) == 0
    authority.no_stamps = False
    assert (await desk.sign(seal_id, plain(), level=B_T)).document


@pytest.mark.parametrize("off", [-16, 16])
async def test_a_clock_that_is_off_seals_nothing(desk: Desk, authority: RunningAuthority, off: int) -> None:
    seal_id = await desk.make_seal()
    authority.off = timedelta(minutes=off)

    assert await refused(desk, seal_id, plain(), level=B_T) == "TIME_NOT_PROVED"


async def test_a_certified_document_takes_nothing_more(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    certified = await desk.sign(seal_id, plain(), certify=True, level=B_LTA)
    answer = await desk.verify(certified.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID, answer.summary_en
    assert answer.seals[0].certifies
    assert await refused(desk, seal_id, certified.document) == "DOCUMENT_LOCKED"
    sealed = await desk.sign(seal_id, plain())
    assert await refused(desk, seal_id, sealed.document, certify=True) == "CERTIFICATION_NOT_FIRST"


async def test_an_ofd_has_a_timestamp_at_most(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)
    package = b"PK\x03\x04"

    assert await refused(desk, seal_id, package, level=B_LT) == "LEVEL_NOT_FOR_FORMAT"
    assert await refused(desk, seal_id, package, certify=True) == "LEVEL_NOT_FOR_FORMAT"


async def test_a_revoked_certificate_seals_nothing_and_what_it_sealed_before_is_told(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal()
    stamped = await desk.sign(seal_id, plain(), level=B_T)
    clock.advance(timedelta(hours=1))
    authority.revoke(await certificate_of(desk), clock())
    clock.advance(timedelta(hours=1))

    assert await refused(desk, seal_id, plain()) == "CERTIFICATE_REVOKED"
    (found,) = (await desk.verify(stamped.document)).seals
    assert found.revocation == "revoked_since"
    assert found.HasField("revoked_at")
    assert not found.revoked


async def test_what_was_put_after_the_revocation_is_invalid(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    signed = await desk.sign(await desk.make_seal(), plain(), level=B_T)
    authority.revoke(await certificate_of(desk), clock() - timedelta(minutes=10))
    clock.advance(timedelta(hours=1))

    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].revocation == "revoked"
    assert answer.seals[0].revoked
    assert "签章证书已被吊销" in answer.summary_zh


async def test_when_nobody_says_whether_it_was_revoked_nothing_is_sealed_or_believed(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal()
    signed = await desk.sign(seal_id, plain())
    clock.advance(timedelta(hours=1))
    authority.down = True

    assert await refused(desk, seal_id, plain()) == "REVOCATION_UNKNOWN"
    answer = await desk.verify(signed.document)
    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].revocation == "unknown"
