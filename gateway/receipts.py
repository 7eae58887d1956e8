"""A receipt in the header beside a file."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from onestop.common.v1 import receipt_pb2

from core.receipt_json import receipt_json


def receipt_header(receipt: receipt_pb2.Receipt) -> str:
    """The same for the header `Receipt`: base64url of the JSON, without padding."""
    return urlsafe_b64encode(receipt_json(receipt)).rstrip(b"=").decode()
