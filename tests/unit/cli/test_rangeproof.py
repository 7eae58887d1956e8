"""A run of leaves with its proof leads to the root, and to no other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.export.rangeproof import outer_ranges, root_of_run
from core.merkle import VerificationError, leaf_hash
from services.ledger.merkle import Tree

LEAVES = [leaf_hash(str(index).encode()) for index in range(700)]


def tree_of(size: int) -> Tree:
    """All nodes of a tree, also of its full tiles."""
    return Tree(0, {}).grow(LEAVES[:size])[0]


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, int, int]:
    """A tree's size and a run in it."""
    size = draw(st.integers(0, len(LEAVES)))
    first = draw(st.integers(0, size))
    return size, first, draw(st.integers(first, size))


@settings(max_examples=150, deadline=None)
@given(runs())
def test_every_run_leads_to_the_root(run: tuple[int, int, int]) -> None:
    size, first, end = run
    tree = tree_of(size)
    outer = tree.hashes(outer_ranges(size, first, end))

    assert root_of_run(size, first, end, iter(LEAVES[first:end]), iter(outer)) == tree.root()
    assert len(outer) <= 2 * max(1, size.bit_length())


@pytest.mark.parametrize(
    "spoil", ["entry", "order", "lost", "more", "hash", "lost hash", "more hashes", "place"]
)
def test_nothing_can_be_changed_left_out_or_added(spoil: str) -> None:
    size, first, end = 300, 40, 290
    tree = tree_of(size)
    leaves, outer = LEAVES[first:end], list(tree.hashes(outer_ranges(size, first, end)))
    if spoil == "entry":
        leaves[7] = LEAVES[0]
    elif spoil == "order":
        leaves[7], leaves[8] = leaves[8], leaves[7]
    elif spoil == "lost":
        leaves.pop()
    elif spoil == "more":
        leaves.append(LEAVES[290])
    elif spoil == "hash":
        outer[0] = LEAVES[0]
    elif spoil == "lost hash":
        outer.pop()
    elif spoil == "more hashes":
        outer.append(LEAVES[0])
    else:
        first, end = first + 1, end + 1

    try:
        root = root_of_run(size, first, end, iter(leaves), iter(outer))
    except VerificationError:
        return
    assert spoil in {"entry", "order", "hash", "place"}
    assert root != tree.root()


def test_a_run_outside_the_tree_is_refused() -> None:
    with pytest.raises(VerificationError, match="cannot be in a tree"):
        root_of_run(3, 2, 4, iter(LEAVES[:2]), iter(LEAVES[:2]))
