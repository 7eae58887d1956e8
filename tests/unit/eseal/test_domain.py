from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from services.eseal.domain import (
    MAX_DOCUMENT,
    Algorithm,
    Box,
    Place,
    Seal,
    SealState,
    SealUser,
    box_of,
    require_allowed,
    require_size,
)
from services.eseal.refusals import (
    DocumentMalformedError,
    DocumentTooLargeError,
    PageNotFoundError,
    SealNotAllowedError,
    SealNotInForceError,
)
from services.eseal.sealing.prepared import PreparedDocument
from tests.unit.eseal.documents import NOW, OFFICE_CODE

A4 = Box(0, 0, 595.28, 841.89)
SEAL = Seal(
    id=uuid4(),
    name="章",
    owner_code=OFFICE_CODE,
    owner_name="局",
    standing=SealState.IN_FORCE,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=1),
    key_id=uuid4(),
    algorithm=Algorithm.ECDSA_P256_SHA256,
    certificate_sha256="00" * 32,
)


def test_a_seal_is_in_force_from_its_first_moment_until_just_before_its_last() -> None:
    assert SEAL.state_at(NOW) is SealState.IN_FORCE
    assert SEAL.state_at(NOW + timedelta(days=1) - timedelta(microseconds=1)) is SealState.IN_FORCE
    assert SEAL.state_at(NOW + timedelta(days=1)) is SealState.EXPIRED
    assert SEAL.state_at(NOW - timedelta(microseconds=1)) is SealState.SUSPENDED


@pytest.mark.parametrize("standing", [SealState.SUSPENDED, SealState.REVOKED])
def test_what_its_keepers_decided_outweighs_time(standing: SealState) -> None:
    seal = replace(SEAL, standing=standing)

    assert seal.state_at(NOW) is standing
    assert seal.state_at(NOW + timedelta(days=9)) is standing
    with pytest.raises(SealNotInForceError, match=standing.name.lower()):
        seal.require_in_force(NOW)


def test_a_permission_covers_its_office_and_its_matter_only() -> None:
    every, one = SealUser(SEAL.id, OFFICE_CODE), SealUser(SEAL.id, OFFICE_CODE, "company-change")

    require_allowed([every], office=OFFICE_CODE, matter_code="anything-at-all")
    require_allowed([one], office=OFFICE_CODE, matter_code="company-change")
    with pytest.raises(SealNotAllowedError, match="not for this matter"):
        require_allowed([one], office=OFFICE_CODE, matter_code="residence-permit")
    with pytest.raises(SealNotAllowedError, match="no permission"):
        require_allowed([every, one], office="11440299MB2L000118", matter_code="company-change")
    with pytest.raises(SealNotAllowedError):
        require_allowed([], office=OFFICE_CODE, matter_code="company-change")


def test_a_seal_without_a_place_stands_at_the_lower_right() -> None:
    box = box_of(Place(), (119.06, 119.06), A4)

    assert box.right == pytest.approx(A4.right - 15 * 72 / 25.4)
    assert box.bottom == pytest.approx(15 * 72 / 25.4)


def test_a_place_is_the_pictures_centre_in_millimetres() -> None:
    box = box_of(Place(1, 105, 148.5), (100, 60), A4)

    assert (box.left + box.right) / 2 == pytest.approx(105 * 72 / 25.4)
    assert (box.bottom + box.top) / 2 == pytest.approx(148.5 * 72 / 25.4)
    assert box.right - box.left == pytest.approx(100)
    assert box.top - box.bottom == pytest.approx(60)


@pytest.mark.parametrize("place", [Place(1, 211, 10), Place(1, 10, 298), Place(1, 5000, 5000)])
def test_a_place_off_the_page_is_refused(place: Place) -> None:
    with pytest.raises(PageNotFoundError) as refusal:
        box_of(place, (119, 119), A4)

    assert refusal.value.faults[0].field == "place"


def test_on_a_page_smaller_than_the_seal_it_stands_in_the_middle() -> None:
    box = box_of(Place(), (119, 119), Box(0, 0, 80, 80))

    assert ((box.left + box.right) / 2, (box.bottom + box.top) / 2) == (40, 40)


def test_size_limits() -> None:
    require_size(b"x")
    require_size(bytes(MAX_DOCUMENT))
    with pytest.raises(DocumentMalformedError) as empty:
        require_size(b"")
    assert [(fault.field, fault.rule) for fault in empty.value.faults] == [("document", "pdf")]
    with pytest.raises(DocumentTooLargeError):
        require_size(bytes(MAX_DOCUMENT + 1))


def test_the_gap_takes_the_signature_and_nothing_else_moves() -> None:
    prepared = PreparedDocument(b"before", b"more<000000000000>after", 10, 24)

    assert prepared.document == b"beforemore<000000000000>after"
    assert prepared.filled(b"\xab\xcd") == b"beforemore<abcd00000000>after"
    assert prepared.filled_update(b"\xab\xcd") == b"more<abcd00000000>after"
    with pytest.raises(ValueError, match="outgrew"):
        prepared.filled(bytes(7))


def test_the_digest_is_of_everything_but_the_gap_whoever_took_in_the_file_before() -> None:
    prepared = PreparedDocument(b"before", b"more<000000000000>after", 10, 24)

    assert prepared.digest == sha256(b"beforemoreafter").digest()
    assert prepared.digest_after(sha256(b"before")) == prepared.digest


@pytest.mark.parametrize(("start", "end"), [(0, 14), (9, 24), (10, 23), (10, 11), (24, 10), (10, 99)])
def test_a_gap_elsewhere_than_among_what_is_appended_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="gap"):
        PreparedDocument(b"before", b"more<000000000000>after", start, end)
