"""A receipt as callers get it: what `onestop verify` checks."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

from onestop.common.v1 import receipt_pb2

from core.public_json import Json


def render_receipt(receipt: receipt_pb2.Receipt) -> Json:
    """The public JSON of a receipt; `entry` is the entry itself, whose RFC 8785 form is the leaf."""
    return {
        "id": receipt.id,
        "entry": json.loads(receipt.entry),
        "index": receipt.index,
        "tree_size": receipt.tree_size,
        "hashes": [b64encode(one).decode() for one in receipt.hashes],
        "checkpoint": receipt.checkpoint,
        "answer_salt": b64encode(receipt.answer_salt).decode(),
    }


def receipt_header(receipt: receipt_pb2.Receipt) -> str:
    """The same for the header `Receipt`: base64url of the JSON, without padding."""
    text = json.dumps(render_receipt(receipt), separators=(",", ":"), ensure_ascii=True)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
