"""A receipt in the header beside a file."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

from onestop.common.v1 import receipt_pb2

from core.receipt_json import render_receipt


def receipt_header(receipt: receipt_pb2.Receipt) -> str:
    """The same for the header `Receipt`: base64url of the JSON, without padding."""
    text = json.dumps(render_receipt(receipt), separators=(",", ":"), ensure_ascii=True)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
