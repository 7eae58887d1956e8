"""Files that stay where they are are asked about by their digests."""

from __future__ import annotations

from typing import Any

import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from core.errors import Kind, ServiceError
from core.status import to_status
from tests.component.gateway.conftest import CASE, Gateway

PATH = "/approval/v1/documents:verify_digests"
ONE, OTHER = "0a" * 32, "0b" * 32


class NotRecordedError(ServiceError):
    kind = Kind.NOT_FOUND
    reason = "DOCUMENT_NOT_RECORDED"


async def test_each_digest_is_answered_as_its_file_would_be_or_by_why_not(gateway: Gateway) -> None:
    platform = await gateway.machine()
    receipt = gateway.behind.receipt()
    assert receipt is not None
    answer = pb.VerifyDocumentAnswer(verdict=pb.DOCUMENT_VERDICT_VALID, document_sha256=ONE)
    gateway.behind.answers["verify_digests"] = pb.BatchVerifyDigestsResponse(
        results=[
            pb.VerifyDigestResult(answer=answer, receipt=receipt),
            pb.VerifyDigestResult(error=to_status(NotRecordedError("send the file itself"))),
        ]
    )

    said = (await platform.post(PATH, json={"case": CASE, "sha256": [ONE, OTHER]})).json()

    known, unknown = said["results"]
    assert (known["verdict"], known["document_sha256"], known["receipt"]["id"]) == ("valid", ONE, receipt.id)
    assert unknown["document_sha256"] == OTHER
    assert (unknown["error"]["status"], unknown["error"]["reason"]) == (404, "DOCUMENT_NOT_RECORDED")


async def test_an_answer_without_a_receipt_does_not_leave(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.answers["verify_digests"] = pb.BatchVerifyDigestsResponse(
        results=[pb.VerifyDigestResult(answer=pb.VerifyDocumentAnswer(document_sha256=ONE))]
    )

    answer = await platform.post(PATH, json={"case": CASE, "sha256": [ONE]})

    assert answer.status_code == 500
    assert ONE not in answer.text


async def test_a_key_is_made_each_files_own(gateway: Gateway) -> None:
    platform = await gateway.machine()

    for digests in ([ONE, OTHER], [ONE, OTHER], [ONE]):
        body = {"case": CASE, "sha256": digests}
        await platform.post(PATH, json=body, headers={"Idempotency-Key": "check-1"})

    first, again, fewer = (
        [item.context.request_id for item in request.items]
        for request in gateway.behind.asked["verify_digests"]
    )
    assert first == again
    assert len(set(first)) == 2
    assert fewer == first[:1]
    assert {item.context.basis.case_number for item in gateway.behind.asked["verify_digests"][0].items} == {
        CASE["case_number"]
    }


@pytest.mark.parametrize(
    ("digests", "field"),
    [
        ([], "sha256"),
        (None, "sha256"),
        ("0a" * 32, "sha256"),
        ([ONE.upper()], "sha256[0]"),
        ([ONE[:-1]], "sha256[0]"),
        ([ONE, ONE], "sha256"),
        ([f"{number:064x}" for number in range(257)], "sha256"),
    ],
)
async def test_digests_out_of_form_are_refused_together(gateway: Gateway, digests: Any, field: str) -> None:
    platform = await gateway.machine()

    answer = await platform.post(PATH, json={"case": CASE, "sha256": digests})

    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert not gateway.behind.asked["verify_digests"]
