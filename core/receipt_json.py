"""A receipt as callers get it: what `onestop verify` checks."""

from __future__ import annotations

from binascii import b2a_base64

import orjson
from onestop.common.v1 import receipt_pb2


def receipt_json(receipt: receipt_pb2.Receipt) -> bytes:
    """The public JSON of a receipt; `entry` is the leaf as it is, which is JSON already."""
    document: dict[str, object] = {
        "id": receipt.id,
        "entry": orjson.Fragment(receipt.entry),
        "index": receipt.index,
        "tree_size": receipt.tree_size,
        "hashes": [_base64(one) for one in receipt.hashes],
        "checkpoint": receipt.checkpoint,
        "answer_salt": _base64(receipt.answer_salt),
    }
    if receipt.opening_destroyed:
        document["opening_destroyed"] = True
    return orjson.dumps(document)


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def with_receipt(answer: bytes, receipt: receipt_pb2.Receipt) -> bytes:
    """A JSON object, as bytes, with the member `receipt` beside what it has."""
    comma = b"," if len(answer) > len(b"{}") else b""
    return b"".join((answer[:-1], comma, b'"receipt":', receipt_json(receipt), b"}"))
