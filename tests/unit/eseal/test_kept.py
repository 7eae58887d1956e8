"""What a retried sealing is answered from what was kept of the first."""

from __future__ import annotations

import pytest
from onestop.common.v1 import receipt_pb2
from onestop.eseal.v1 import eseal_pb2 as pb

from services.eseal.rpc import whole

ORIGINAL = b"%PDF-1.7 ... %%EOF\n"
UPDATE = b"7 0 obj ... %%EOF\n"


@pytest.mark.parametrize(
    "kept", [UPDATE, ORIGINAL + UPDATE], ids=["update", "whole-file-of-earlier-versions"]
)
def test_a_retry_gets_thewhole_file_once(kept: bytes) -> None:
    receipt = receipt_pb2.Receipt(id="r")

    answer = whole(ORIGINAL, pb.SignDocumentResponse(document=kept, signature_id="s"), receipt)

    assert answer.document == ORIGINAL + UPDATE
    assert answer.receipt.id == "r"
