"""What became of certificates, where the usual way to learn it is barred; and all of it for OFD."""

from __future__ import annotations

from datetime import timedelta

import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from deploy.authority.issuers import SM2_ROOT
from tests.component.eseal.authority import RunningAuthority
from tests.component.eseal.harness import Desk, certificate_of, refused
from tests.fakes import FakeClock
from tests.unit.eseal.documents import plain
from tests.unit.eseal.ofds import letter_ofd, package, unpacked

VALUE = "Doc_0/Signs/Sign_0/SignedValue.dat"


@pytest.fixture
def desk(lasting_desk: Desk) -> Desk:
    return lasting_desk


async def test_the_list_tells_where_nobody_answers(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal()
    authority.no_ocsp = True

    signed = await desk.sign(seal_id, plain(), level=pb.SEAL_LEVEL_B_LT)
    (before,) = (await desk.verify(signed.document)).seals
    clock.advance(timedelta(hours=1))
    authority.revoke(await certificate_of(desk), clock())
    clock.advance(timedelta(hours=1))
    (after,) = (await desk.verify(signed.document)).seals

    assert "/crl/seal-ca.crl" in authority.asked
    assert (before.revocation, before.level) == ("good", pb.SEAL_LEVEL_B_LT)
    assert after.revocation == "revoked_since"
    assert await refused(desk, seal_id, plain()) == "CERTIFICATE_REVOKED"


async def test_while_an_answer_counts_nobody_is_asked_again(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal()
    await desk.sign(seal_id, plain())
    authority.asked.clear()

    await desk.sign(seal_id, plain())
    meanwhile = list(authority.asked)
    clock.advance(timedelta(hours=1))
    await desk.sign(seal_id, plain())

    assert "/ocsp" not in meanwhile
    assert "/ocsp" in authority.asked


async def test_a_timestamp_that_is_not_granted_seals_nothing(desk: Desk, authority: RunningAuthority) -> None:
    seal_id, national = await desk.make_seal(), await desk.make_seal(sm2=True)
    authority.rejecting = True

    assert await refused(desk, seal_id, plain(), level=pb.SEAL_LEVEL_B_T) == "TIMESTAMP_UNAVAILABLE"
    assert await refused(desk, national, letter_ofd(), level=pb.SEAL_LEVEL_B_T) == "TIMESTAMP_UNAVAILABLE"


async def test_of_an_ofd_the_report_says_what_it_says_of_a_pdf(desk: Desk) -> None:
    signed = await desk.sign(await desk.make_seal(sm2=True), letter_ofd())

    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID, answer.summary_en
    (found,) = answer.seals
    assert (found.revocation, found.time_proof) == ("good", "record")
    assert list(found.weaknesses) == []
    assert len(found.chain) == 2
    assert found.chain[1] == "CN=Onestop development SM2 seal CA"
    assert "由本系统签章记录证明" in found.summary_zh
    assert "之后无改动；证书未被吊销；有效。" in found.summary_zh
    assert found.summary_en.endswith("nothing came after it; its certificate has not been revoked; valid.")


async def test_a_revoked_certificate_puts_no_seal_on_an_ofd_and_is_told(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal(sm2=True)
    signed = await desk.sign(seal_id, letter_ofd())
    clock.advance(timedelta(hours=1))
    authority.revoke(await certificate_of(desk), clock(), SM2_ROOT)
    clock.advance(timedelta(hours=1))

    (since,) = (await desk.verify(signed.document)).seals
    await desk.execute("DELETE FROM signature")
    unproved = await desk.verify(signed.document)

    assert await refused(desk, seal_id, letter_ofd()) == "CERTIFICATE_REVOKED"
    assert (since.revocation, since.revoked) == ("revoked_since", False)
    assert unproved.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert unproved.seals[0].revocation == "revoked"
    assert "签章证书已被吊销" in unproved.summary_zh
    assert "印章已被撤销" not in unproved.summary_zh


async def test_a_seal_whose_maker_was_revoked_is_told(
    desk: Desk, authority: RunningAuthority, clock: FakeClock
) -> None:
    signed = await desk.sign(await desk.make_seal(sm2=True), letter_ofd())
    authority.revoke(desk.maker.certificate, clock() - timedelta(minutes=10), SM2_ROOT)
    clock.advance(timedelta(hours=1))

    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].revocation == "revoked"


@pytest.mark.parametrize("by", ["list", "nobody"])
async def test_where_nobody_answers_an_ofd_is_as_a_pdf(
    desk: Desk, authority: RunningAuthority, clock: FakeClock, by: str
) -> None:
    seal_id = await desk.make_seal(sm2=True)
    signed = await desk.sign(seal_id, letter_ofd())
    clock.advance(timedelta(hours=1))
    authority.no_ocsp, authority.down = True, by == "nobody"

    answer = await desk.verify(signed.document)

    if by == "list":
        assert answer.seals[0].revocation == "good"
        assert (await desk.sign(seal_id, letter_ofd())).document
    else:
        assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
        assert answer.seals[0].revocation == "unknown"
        assert await refused(desk, seal_id, letter_ofd()) == "REVOCATION_UNKNOWN"


async def test_an_ofd_with_a_timestamp_proves_its_time_when_certificates_have_ended(
    desk: Desk, clock: FakeClock
) -> None:
    seal_id = await desk.make_seal(sm2=True)
    plainly = await desk.sign(seal_id, letter_ofd())
    stamped = await desk.sign(seal_id, letter_ofd(), level=pb.SEAL_LEVEL_B_T)
    spoilt = unpacked(stamped.document)
    spoilt[VALUE] = spoilt[VALUE][:-20] + bytes([spoilt[VALUE][-20] ^ 1]) + spoilt[VALUE][-19:]
    await desk.execute("DELETE FROM signature")

    (now,) = (await desk.verify(stamped.document)).seals
    (unproved,) = (await desk.verify(package(spoilt))).seals
    clock.advance(timedelta(days=500))
    later = await desk.verify(stamped.document)

    assert (now.time_proof, now.timestamp_authority) == ("timestamp", "CN=Onestop development time")
    assert now.timestamp_at == stamped.signed_at
    assert unproved.time_proof == "claim"
    assert (await desk.verify(plainly.document)).verdict == pb.DOCUMENT_VERDICT_INVALID
    assert later.verdict == pb.DOCUMENT_VERDICT_VALID, later.summary_en
    assert later.seals[0].seal_genuine
    assert "由时间戳证明" in later.seals[0].summary_zh
