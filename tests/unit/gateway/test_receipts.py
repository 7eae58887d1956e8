"""A receipt in its public form proves what it should."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import rfc8785
from onestop.common.v1 import receipt_pb2

from core.receipt_json import receipt_json, with_receipt
from gateway.receipts import receipt_header

ENTRY: dict[str, Any] = {"id": "e-1", "version": 1, "field_names": ["姓名"]}
RECEIPT = receipt_pb2.Receipt(
    id="e-1",
    entry=rfc8785.dumps(ENTRY),
    index=3,
    tree_size=9,
    hashes=[b"\x01" * 32, b"\x02" * 32],
    checkpoint="origin\n9\nAAA=\n\n— origin sig\n",
    answer_salt=b"\x03" * 32,
)


def test_entry_is_shown_as_itself_and_gives_back_the_leaf() -> None:
    shown = json.loads(receipt_json(RECEIPT))

    assert shown["entry"] == ENTRY
    assert rfc8785.dumps(shown["entry"]) == RECEIPT.entry
    assert [base64.b64decode(one) for one in shown["hashes"]] == list(RECEIPT.hashes)
    assert base64.b64decode(shown["answer_salt"]) == RECEIPT.answer_salt
    assert (shown["index"], shown["tree_size"]) == (3, 9)


def test_header_form_is_ascii_and_gives_back_the_same() -> None:
    header = receipt_header(RECEIPT)

    assert header.isascii()
    assert not set(header) & set("+/=\r\n ")
    assert json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))) == json.loads(
        receipt_json(RECEIPT)
    )


@pytest.mark.parametrize("answer", [{}, {"a": "姓名", "b": [1]}])
def test_an_answer_keeps_its_own_bytes_beside_the_receipt(answer: dict[str, Any]) -> None:
    said = rfc8785.dumps(answer)

    whole = with_receipt(said, RECEIPT)

    assert whole.startswith(said[:-1])
    assert json.loads(whole) == {**answer, "receipt": json.loads(receipt_json(RECEIPT))}


def test_receipt_says_that_its_opening_was_destroyed_and_otherwise_nothing() -> None:
    closed = receipt_pb2.Receipt()
    closed.CopyFrom(RECEIPT)
    closed.opening_destroyed = True

    assert json.loads(receipt_json(closed))["opening_destroyed"] is True
    assert "opening_destroyed" not in json.loads(receipt_json(RECEIPT))
