"""Hashing and proof checking of RFC 6962 Merkle trees (SHA-256); standard library only."""

from collections.abc import Sequence
from hashlib import sha256

HASH_LENGTH = 32
# MTH of the empty list, RFC 6962 section 2.1.
EMPTY_ROOT = sha256(b"").digest()
NODE_PREFIX = b"\x01"
"""What an inner node's hash begins with."""


class VerificationError(Exception):
    """Something that was to be proved is not proved; the message says what, in plain words."""

    stage = ""
    """Which of a receipt's checks it was, by the names of core/receipt.py; empty outside of them."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || entry), RFC 6962 section 2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right), RFC 6962 section 2.1."""
    return sha256(NODE_PREFIX + left + right).digest()


def root_from_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2).

    Takes the leaf's hash, its index from 0, the tree's size and the proof from the leaf upwards.
    Raises VerificationError where the proof has the wrong shape for this index and size.
    """
    if not 0 <= index < size:
        raise VerificationError(f"leaf {index} cannot be in a tree of {size}")
    _check_lengths(hashes)
    node, last, root = index, size - 1, leaf
    for sibling in hashes:
        if last == 0:
            raise VerificationError("the inclusion proof is longer than the tree is high")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("the inclusion proof is shorter than the tree is high")
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, hashes: Sequence[bytes], root: bytes) -> None:
    """Raises VerificationError unless `leaf` is the leaf hash at `index` of the tree (size, root)."""
    if root_from_inclusion(leaf, index, size, hashes) != root:
        raise VerificationError("the inclusion proof does not lead from this entry to the checkpoint's root")


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, hashes: Sequence[bytes]
) -> None:
    """Raises VerificationError unless the tree (size, root) extends (old_size, old_root).

    The proof is that of RFC 6962 section 2.1.2, checked as in RFC 9162 section 2.1.4.2. A tree is
    consistent with itself and with the empty tree by an empty proof.
    """
    if not 0 <= old_size <= size:
        raise VerificationError(f"a tree of {size} cannot extend one of {old_size}")
    _check_lengths(hashes)
    if old_size in (0, size):
        wrong_root = old_root != (EMPTY_ROOT if old_size == 0 else root)
        if hashes or wrong_root:
            raise VerificationError("the trees are not consistent")
        return
    # Where the old size is a power of two its root is the first node of the path, and is left out.
    path = list(hashes) if old_size & (old_size - 1) else [old_root, *hashes]
    if not path:
        raise VerificationError("the consistency proof is empty")
    node, last = old_size - 1, size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_seen = new_seen = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise VerificationError("the consistency proof is longer than the tree is high")
        if node & 1 or node == last:
            old_seen = node_hash(sibling, old_seen)
            new_seen = node_hash(sibling, new_seen)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_seen = node_hash(new_seen, sibling)
        node >>= 1
        last >>= 1
    if last != 0 or old_seen != old_root or new_seen != root:
        raise VerificationError("the trees are not consistent")


def _check_lengths(hashes: Sequence[bytes]) -> None:
    if any(len(one) != HASH_LENGTH for one in hashes):
        raise VerificationError(f"a hash of the proof is not {HASH_LENGTH} bytes long")
