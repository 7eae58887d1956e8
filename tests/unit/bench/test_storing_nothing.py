"""The ledger that stores nothing answers like ours, so that a bench compares what is alike."""

from __future__ import annotations

import json
from typing import Any

from onestop.ledger.v1 import ledger_pb2 as pb

from core.ledger import item_of
from core.receipt_json import receipt_json
from tests.bench.appender import entry
from tests.bench.storing_nothing import HEIGHT, StoringNothing
from tests.unit.ledger.receipts import a_receipt


class Called:
    """What a servicer asks of a call: who calls."""

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_subject_alternative_name": [b"licence"]}


async def test_receipts_have_the_form_of_real_ones_and_their_own_ids() -> None:
    ledger = StoringNothing()  # type: ignore[abstract]
    items = [item_of(entry()) for _ in range(3)]
    context: Any = Called()

    answer = await ledger.AppendBatch(pb.AppendBatchRequest(items=items), context)

    real = a_receipt(b"file")
    for item, result in zip(items, answer.results, strict=True):
        shown = json.loads(receipt_json(result.receipt))
        assert shown.keys() == real.keys()
        assert shown["entry"]["id"] == shown["id"] == item.item_id
        assert len(shown["hashes"]) == HEIGHT
        assert shown["checkpoint"].count("\n") == real["checkpoint"].count("\n")
