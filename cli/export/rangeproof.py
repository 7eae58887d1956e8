"""Proves a run of leaves at once: with the hashes of the subtrees beside it, they lead to the root.

The tree is that of RFC 6962. Whoever has all leaves from `first` up to, without, `end` can hash them anew;
of the rest only the largest subtrees that lie wholly outside are needed, at most two for each height. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.merkle import EMPTY_ROOT, VerificationError, node_hash

Range = tuple[int, int]


def outer_ranges(size: int, first: int, end: int) -> list[Range]:
    """The subtrees outside the run, from left to right, whose hashes the proof holds."""
    found: list[Range] = []

    def walk(low: int, high: int) -> None:
        if high <= first or low >= end:
            found.append((low, high))
        elif not (first <= low and high <= end) and high - low > 1:
            middle = low + split(high - low)
            walk(low, middle)
            walk(middle, high)

    if size and first < end:
        walk(0, size)
    elif size:
        found.append((0, size))
    return found


def root_of_run(size: int, first: int, end: int, leaves: Iterator[bytes], outer: Iterator[bytes]) -> bytes:
    """The root that leaf hashes and the proof's hashes lead to; both are read in order, one at a time.

    Raises VerificationError where either ends too early or is not used up.
    """
    if not 0 <= first <= end <= size:
        raise VerificationError(f"entries {first} to {end} cannot be in a tree of {size}")

    def walk(low: int, high: int) -> bytes:
        if high <= first or low >= end:
            return _next(outer, "a hash beside the entries")
        if high - low == 1:
            return _next(leaves, "an entry")
        middle = low + split(high - low)
        left = walk(low, middle)
        return node_hash(left, walk(middle, high))

    root = EMPTY_ROOT
    if size:
        root = walk(0, size) if first < end else _next(outer, "a hash beside the entries")
    if next(leaves, None) is not None or next(outer, None) is not None:
        raise VerificationError("there are more entries or hashes than the tree has places for")
    return root


def split(count: int) -> int:
    """The largest power of two smaller than `count`, which is at least 2 (RFC 6962 2.1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _next(source: Iterator[bytes], what: str) -> bytes:
    found = next(source, None)
    if found is None:
        raise VerificationError(f"{what} is missing")
    return found
