"""Finds a page of a PDF of ordinary form, and what is seen of it (ISO 32000-2 7.7.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.eseal.domain import Box
from services.eseal.pdf.crossref import Objects
from services.eseal.pdf.syntax import Dictionary, OddError, numbers_of, reference_of, references_of
from services.eseal.sheet import Sheet, rectangle, seen_part

DEEPEST = 32
MOST_BRANCHES = 256
"""Children that are looked at one by one, where a node holds more than leaves."""


@dataclass(frozen=True)
class Page:
    """A page of a file."""

    number: int
    """Of its object."""
    node: Dictionary
    sheet: Sheet


def find_page(objects: Objects, root: Dictionary, wanted: int) -> Page:
    """The page asked for: 1 is the first, 0 the last. Raises OddError where it is not plainly there."""
    if root.value(b"/Type") != b"/Catalog":
        raise OddError("a catalogue")
    number = root.reference(b"/Pages")
    node = objects.dictionary(number)
    count = node.whole_number(b"/Count")
    if not 1 <= (wanted or count) <= count:
        raise OddError("no such page")
    left = (wanted or count) - 1
    path = [node]
    for _ in range(DEEPEST):
        if node.value(b"/Type") != b"/Pages":
            raise OddError("a page tree")
        parent, (number, node, left) = number, _child(objects, node, left)
        if node.reference(b"/Parent") != parent:
            raise OddError("a page of another's")
        path.append(node)
        if node.value(b"/Type") == b"/Page":
            return Page(number, node, _sheet(objects, path[::-1]))
    raise OddError("a deep page tree")


def _child(objects: Objects, node: Dictionary, left: int) -> tuple[int, Dictionary, int]:
    """The child that the page is, or is in; and how many pages come before it there."""
    kids, count = references_of(node.value(b"/Kids")), node.whole_number(b"/Count")
    if count == len(kids):
        found = objects.dictionary(kids[left])
        if found.value(b"/Type") != b"/Page":
            raise OddError("a branch for one page")
        return kids[left], found, 0
    if not len(kids) < count or len(kids) > MOST_BRANCHES:
        raise OddError("a page tree's count")
    branches = [objects.dictionary(kid) for kid in kids]
    sizes = [1 if it.value(b"/Type") == b"/Page" else it.whole_number(b"/Count") for it in branches]
    if sum(sizes) != count:
        raise OddError("a page tree's count")
    for kid, branch, size in zip(kids, branches, sizes, strict=True):
        if left < size:
            return kid, branch, left
        left -= size
    raise OddError("a page tree's count")


def _sheet(objects: Objects, path: Sequence[Dictionary]) -> Sheet:
    """What is seen of a page. Its attributes may stand on the nodes above it (ISO 32000-2 7.7.3.4)."""
    media = _box(objects, path, b"/MediaBox")
    if media is None:
        raise OddError("a page without a box")
    seen = seen_part(media, _box(objects, path, b"/CropBox") or media)
    turn = _inherited(path, b"/Rotate") or b"0"
    unit = path[0].value(b"/UserUnit") if b"/UserUnit" in path[0] else b"1"
    try:
        return Sheet(seen, int(turn) % 360, float(unit))
    except ValueError:
        raise OddError("a page's attributes") from None


def _box(objects: Objects, path: Sequence[Dictionary], name: bytes) -> Box | None:
    value = _inherited(path, name)
    if value is None:
        return None
    return rectangle(numbers_of(value if value.startswith(b"[") else objects.array(reference_of(value))))


def _inherited(path: Sequence[Dictionary], name: bytes) -> bytes | None:
    return next((node.value(name) for node in path if name in node), None)
