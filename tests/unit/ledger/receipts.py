"""Makes receipts of a small log, without ledger."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.merkle import leaf_hash
from core.note import VerifierKey
from core.receipt import commitment
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import TreeHead
from services.ledger.merkle import Tree

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
KEY = VerifierKey("onestop.example/ledger", PRIVATE.public_key().public_bytes_raw())
SALT = b"\x05" * 32


def a_receipt(answered: bytes | None, *, index: int = 5, size: int = 11) -> dict[str, Any]:
    """The public receipt of an entry that commits to these bytes, in a log of `size` entries."""
    entry: dict[str, Any] = {
        "version": 1,
        "id": "6f0f3f0a-9d1c-4b6e-8a55-0f3f5a1b2c3d",
        "time": "2026-03-02T10:00:00.000005Z",
        "kind": "disclosure",
        "method": "licence.search",
        "caller": "approval-platform",
        "recorder": "licence",
        "field_names": ["name"],
        "records": [],
        "outcome": "released",
        "commitments": {},
    }
    if answered is not None:
        entry["commitments"]["answer"] = encoded(commitment(SALT, answered))
    leaf = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    leaves = [leaf if place == index else b"entry %d" % place for place in range(size)]
    tree, _ = Tree(0, {}).grow(leaf_hash(one) for one in leaves)
    return {
        "id": entry["id"],
        "entry": entry,
        "index": index,
        "tree_size": size,
        "hashes": [encoded(one) for one in tree.inclusion(index)],
        "checkpoint": CheckpointNotary(KEY, PRIVATE).sign(TreeHead(size, tree.root())),
        "answer_salt": encoded(SALT),
    }


def encoded(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()
