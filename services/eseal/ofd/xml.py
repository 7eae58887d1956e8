"""Reads the XML of an OFD package: without document types, entities or anything to fetch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, SubElement, register_namespace, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from services.eseal.ofd.package import malformed

NAMESPACE = "http://www.ofdspec.org/2016"
EARLIER_NAMESPACE = "http://www.ofdspec.org"
"""What some makers still write."""
MOST_BYTES = 8 * 1024 * 1024
"""Bytes of one XML part that is read."""
_DEEPEST = 64
_DECLARED = re.compile(rb"\s*(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']*)[\"']")
_ENCODINGS = frozenset((b"UTF-8", b"UTF-16"))
_LEADS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")

register_namespace("ofd", NAMESPACE)


def parse(data: bytes, root: str) -> Element:
    """The root element of an XML part, whose name must be `root`. Raises DOCUMENT_MALFORMED."""
    if len(data) > MOST_BYTES or not data.lstrip().startswith(_LEADS):
        raise malformed("a part of the document is no XML, or too long")
    said = _DECLARED.match(data)
    if said is not None and said[1].upper() not in _ENCODINGS:
        raise malformed("the document's XML is in another encoding than UTF-8 or UTF-16")
    try:
        element = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise malformed("the document's XML is not well-formed, or has a document type") from None
    if not isinstance(element, Element) or element.tag not in (tag(root), tag(root, EARLIER_NAMESPACE)):
        raise malformed(f"a part of the document is no {root}")
    if _depth(element) > _DEEPEST:
        raise malformed("the document's XML is nested too deep")
    return element


def tag(name: str, namespace: str = NAMESPACE) -> str:
    """The name of an element of OFD."""
    return f"{{{namespace}}}{name}"


def child(element: Element, *names: str) -> Element | None:
    """The element found by going down these names; the only one of its name on each step.

    Raises DOCUMENT_MALFORMED where there are several: readers could take either.
    """
    found: Element | None = element
    for name in names:
        if found is None:
            return None
        same = found.findall(tag(name, _namespace(found)))
        if len(same) > 1:
            raise malformed(f"the document has several {name} where one belongs")
        found = same[0] if same else None
    return found


def text(element: Element, *names: str) -> str:
    """The text of the element found by going down these names; empty where it is not there."""
    found = child(element, *names)
    return (found.text or "").strip() if found is not None else ""


def children(element: Element, name: str) -> Iterator[Element]:
    """The elements of this name just below."""
    return iter(element.findall(tag(name, _namespace(element))))


def numbers(value: str, count: int) -> list[float]:
    """So many numbers, parted by blanks (ST_Array). Raises DOCUMENT_MALFORMED."""
    try:
        found = [float(part) for part in value.split()]
    except ValueError:
        found = []
    if len(found) != count or not all(abs(number) < 1e6 for number in found):
        raise malformed("the document has a box that is no box")
    return found


def new(name: str, parent: Element | None = None, content: str = "", **attributes: str) -> Element:
    """A new element of OFD, in its parent's namespace."""
    if parent is None:
        made = Element(tag(name), attributes)
    else:
        made = SubElement(parent, tag(name, _namespace(parent)), attributes)
    if content:
        made.text = content
    return made


def written(element: Element) -> bytes:
    """The element as an XML part."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(tostring(element, encoding="utf-8"))


def _namespace(element: Element) -> str:
    return element.tag[1:].partition("}")[0]


def _depth(element: Element) -> int:
    level, deepest = [element], 0
    while level and deepest <= _DEEPEST:
        level = [below for one in level for below in one]
        deepest += 1
    return deepest
