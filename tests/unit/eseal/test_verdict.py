from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from services.eseal.domain import Algorithm, Seal, SealState
from services.eseal.verifying.finding import Finding, Modification, may_be_true, unreadable
from services.eseal.verifying.standing import Standing, State
from services.eseal.verifying.verdict import DocumentReport, Fault, Verdict, report_on
from tests.unit.eseal.documents import NOW, OFFICE_CODE

CERTIFICATE = "ab" * 32
GOOD = Finding(
    field_name="seal-1",
    signer="CN=somebody",
    certificate_sha256=CERTIFICATE,
    cms_sha256=b"c" * 32,
    signed_at=NOW,
    intact=True,
    valid=True,
    trusted_now=True,
    trusted_then=True,
    permitted=True,
    covers_whole_document=True,
    modification=Modification.NONE,
    algorithm="sha256_ecdsa_p256",
)
EARLIER = replace(GOOD, covers_whole_document=False, modification=Modification.FORM_FILLING)
OURS = Seal(
    id=uuid4(),
    name="武江区市场监督管理局行政审批专用章",
    owner_code=OFFICE_CODE,
    owner_name="武江区市场监督管理局",
    standing=SealState.IN_FORCE,
    valid_from=NOW - timedelta(days=1),
    valid_until=NOW + timedelta(days=1),
    key_id=uuid4(),
    algorithm=Algorithm.ECDSA_P256_SHA256,
    certificate_sha256=CERTIFICATE,
)


def report(*findings: Finding, standing: SealState = SealState.IN_FORCE) -> DocumentReport:
    seals = {CERTIFICATE: replace(OURS, standing=standing)}
    return report_on(findings, seals=seals, signing_times={}, document_sha256="00" * 32)


def test_no_seal_proves_nothing() -> None:
    told = report()

    assert told.verdict is Verdict.UNSEALED
    assert "不能证明" in told.summary_zh
    assert "proves nothing" in told.summary_en


def test_a_sound_seal_of_ours_is_named() -> None:
    told = report(GOOD)

    assert told.verdict is Verdict.VALID
    assert told.seals[0].seal_id == OURS.id
    assert OURS.name in told.summary_zh
    assert OURS.name in told.summary_en
    assert "1枚" in told.summary_zh


def test_a_seal_that_a_later_seal_follows_stays_sound() -> None:
    told = report(EARLIER, GOOD)

    assert told.verdict is Verdict.VALID
    assert "2枚" in told.summary_zh


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"intact": False}, Fault.CHANGED),
        ({"valid": False}, Fault.FORGED),
        ({"permitted": False}, Fault.ADDED),
        ({"covers_whole_document": False}, Fault.ADDED),
        ({"covers_whole_document": False, "modification": Modification.FORM_FILLING}, Fault.ADDED),
        ({"covers_whole_document": False, "modification": Modification.ANNOTATIONS}, Fault.ADDED),
        ({"covers_whole_document": False, "modification": Modification.OTHER}, Fault.ADDED),
        ({"trusted_now": False, "trusted_then": False}, Fault.UNTRUSTED),
        ({"trusted_now": False}, Fault.UNTRUSTED),
    ],
)
def test_each_fault_makes_the_document_invalid_and_is_told(change: dict[str, object], fault: Fault) -> None:
    told = report(replace(GOOD, **change))  # type: ignore[arg-type]  # the table's values fit their fields

    assert told.verdict is Verdict.INVALID
    assert told.seals[0].faults == (fault,)
    assert fault.value[0] in told.summary_zh
    assert fault.value[1] in told.summary_en


@pytest.mark.parametrize("standing", [SealState.SUSPENDED, SealState.REVOKED])
def test_a_seal_revoked_or_suspended_since_makes_it_invalid(standing: SealState) -> None:
    told = report(GOOD, standing=standing)

    assert told.verdict is Verdict.INVALID
    assert told.seals[0].revoked
    assert told.seals[0].faults == (Fault.REVOKED,)


def test_a_revoked_certificate_is_not_said_of_the_seal() -> None:
    """The seal may be in force, and have another certificate by now."""
    told = report_on(
        [GOOD],
        seals={CERTIFICATE: OURS},
        signing_times={},
        document_sha256="",
        standings=[Standing(State.REVOKED, revoked_at=NOW)],
    )

    assert told.seals[0].faults == (Fault.WITHDRAWN,)
    assert told.seals[0].revoked
    assert "签章证书已被吊销" in told.summary_zh
    assert "its certificate has been revoked" in told.summary_en


def test_what_only_the_file_says_of_revocation_is_told_as_of_then() -> None:
    """Its authority may have said something else since, and be down now."""
    told = report_on(
        [GOOD],
        seals={},
        signing_times={},
        document_sha256="",
        standings=[Standing(State.GOOD, of_file=True)],
    )

    assert told.verdict is Verdict.VALID
    assert "证书当时未被吊销，此后未知" in told.seals[0].summary_zh
    assert "its certificate had not been revoked then" in told.seals[0].summary_en


def test_a_time_that_cannot_be_true_is_a_fault_of_a_seal_that_is_believed() -> None:
    told = report(replace(GOOD, may_be_true=False))

    assert told.verdict is Verdict.INVALID
    assert told.seals[0].faults == (Fault.TIME,)


@pytest.mark.parametrize(
    ("claimed", "may_be"),
    [
        (timedelta(0), True),
        (timedelta(minutes=4), True),
        (timedelta(minutes=6), False),
        (timedelta(days=-1), True),
        (timedelta(days=-1, minutes=-6), False),
    ],
)
def test_nobody_signs_before_the_certificate_began_or_after_the_check(
    claimed: timedelta, may_be: bool
) -> None:
    assert may_be_true(NOW + claimed, NOW - timedelta(days=1), NOW) is may_be


def test_of_a_signature_that_cannot_be_read_nothing_else_is_said() -> None:
    """That its content was changed, for one, nobody knows."""
    told = report(unreadable("seal-1"))

    assert told.verdict is Verdict.INVALID
    for words in (told.summary_en, told.seals[0].summary_en):
        assert "it proves nothing" in words
        assert "changed" not in words
    assert "不能证明" in told.summary_zh


def test_one_bad_seal_among_good_ones_makes_it_invalid() -> None:
    told = report(EARLIER, replace(GOOD, intact=False))

    assert told.verdict is Verdict.INVALID
    assert told.seals[0].faults == ()


def test_validation_data_added_after_the_last_seal_is_no_change() -> None:
    later = replace(GOOD, covers_whole_document=False, modification=Modification.LTV_UPDATES)

    assert report(later).verdict is Verdict.VALID


def test_annotations_before_a_later_seal_are_changes_all_the_same() -> None:
    told = report(replace(EARLIER, modification=Modification.ANNOTATIONS), GOOD)

    assert told.seals[0].faults == (Fault.ADDED,)


def test_an_expired_certificate_is_believed_where_our_own_record_bears_out_the_time() -> None:
    late = replace(GOOD, trusted_now=False)

    def verdict(recorded: timedelta) -> Verdict:
        times = {late.cms_sha256: NOW + recorded}
        return report_on([late], seals={}, signing_times=times, document_sha256="").verdict

    assert verdict(timedelta(0)) is Verdict.VALID
    assert verdict(timedelta(seconds=1)) is Verdict.VALID
    assert verdict(timedelta(days=1)) is Verdict.INVALID


def test_a_stranger_is_called_by_its_certificate() -> None:
    told = report_on([GOOD], seals={}, signing_times={}, document_sha256="")

    assert told.seals[0].seal_id is None
    assert "CN=somebody" in told.summary_en
