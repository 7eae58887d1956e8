"""The parts of an OFD document that sealing and checking need (GB/T 33190-2016)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from services.eseal.ofd import xml
from services.eseal.ofd.package import Package, folder_of, malformed, resolve
from services.eseal.refusals import DocumentTooLargeError

ROOT = "OFD.xml"
MOST_PAGES = 10_000
MOST_SEALS = 64
"""More signatures than this in one file are not checked but refused."""
SEAL, PLAIN = "Seal", "Sign"
"""Kinds of a signature (table: Signature @Type): with a seal (GB/T 38540), or without (GB/T 35275)."""


@dataclass(frozen=True)
class Body:
    """A document of the package (DocBody): its root, and where its signatures are listed, if anywhere."""

    root: str
    signatures: str

    @property
    def folder(self) -> str:
        """The folder that the document lies in."""
        return folder_of(self.root)


@dataclass(frozen=True)
class Page:
    """A page: its id and its part, and the box that pages have unless they say another."""

    id: str
    path: str
    usual_box: str


@dataclass(frozen=True)
class Listed:
    """A signature as the list has it."""

    id: str
    kind: str
    path: str


@dataclass(frozen=True)
class SignatureFile:
    """What a Signature.xml says. Paths are from the package's root."""

    path: str
    kind: str
    method: str
    check_method: str
    references: tuple[tuple[str, bytes], ...]
    """Each part that the signature covers, and its digest."""
    value_path: str
    seal_path: str


class Ofd:
    """An OFD package. Whatever is out of form raises DOCUMENT_MALFORMED."""

    def __init__(self, document: bytes) -> None:
        self.package = Package(document)
        if self.package.name_of(ROOT) is None:
            raise malformed("the file is no OFD: it has no OFD.xml")
        self.root = xml.parse(self.read(ROOT), "OFD")
        self.bodies = [self._body(element) for element in xml.children(self.root, "DocBody")]
        if not self.bodies:
            raise malformed("the OFD holds no document")

    def read(self, path: str) -> bytes:
        """A part's content."""
        name = self.package.name_of(path)
        if name is None:
            raise malformed("the OFD lacks a part that it names")
        return self.package.read(name)

    def pages(self, body: Body) -> list[Page]:
        """The pages of a document, in order."""
        document = xml.parse(self.read(body.root), "Document")
        usual = xml.text(document, "CommonData", "PageArea", "PhysicalBox")
        pages = xml.child(document, "Pages")
        found = list(xml.children(pages, "Page")) if pages is not None else []
        if len(found) > MOST_PAGES:
            raise DocumentTooLargeError(f"the document has more than {MOST_PAGES} pages")
        return [self._page(body, element, usual) for element in found]

    def size(self, page: Page) -> tuple[float, float]:
        """Width and height of a page in mm, by its own box or the document's."""
        own = xml.text(xml.parse(self.read(page.path), "Page"), "Area", "PhysicalBox")
        _, _, width, height = xml.numbers(own or page.usual_box, 4)
        if width <= 0 or height <= 0:
            raise malformed("a page of the document has no size")
        return width, height

    def listed(self, body: Body) -> list[Listed]:
        """The signatures of a document, as they are listed. Empty where there is no list."""
        if not body.signatures or self.package.name_of(body.signatures) is None:
            return []
        found = list(xml.children(self.signature_list(body), "Signature"))
        if len(found) > MOST_SEALS:
            raise DocumentTooLargeError(f"the document bears more than {MOST_SEALS} signatures")
        folder = folder_of(body.signatures)
        listed = [
            Listed(
                element.get("ID", ""),
                element.get("Type", SEAL),
                self._own(resolve(folder, element.get("BaseLoc", ""))),
            )
            for element in found
        ]
        if len({one.path for one in listed}) < len(listed):
            raise malformed("a signature of the OFD is listed twice")
        return listed

    def signature_list(self, body: Body) -> Element:
        """The list itself."""
        return xml.parse(self.read(body.signatures), "Signatures")

    def signature(self, listed: Listed) -> SignatureFile:
        """What one signature says."""
        element = xml.parse(self.read(listed.path), "Signature")
        folder = folder_of(listed.path)
        said = xml.child(element, "SignedInfo")
        references = xml.child(said, "References") if said is not None else None
        if said is None or references is None:
            raise malformed("a signature in the OFD covers nothing")
        seal = xml.text(said, "Seal", "BaseLoc")
        return SignatureFile(
            path=listed.path,
            kind=listed.kind,
            method=xml.text(said, "SignatureMethod"),
            check_method=references.get("CheckMethod", "MD5"),
            references=tuple(self._reference(folder, it) for it in xml.children(references, "Reference")),
            value_path=self._own(resolve(folder, xml.text(element, "SignedValue"))),
            seal_path=self._own(resolve(folder, seal)) if seal else "",
        )

    def _body(self, element: Element) -> Body:
        root, signatures = xml.text(element, "DocRoot"), xml.text(element, "Signatures")
        if not root:
            raise malformed("the OFD holds a document without a root")
        return Body(self._own(resolve("", root)), self._own(resolve("", signatures)) if signatures else "")

    def _page(self, body: Body, element: Element, usual: str) -> Page:
        path = self._own(resolve(body.folder, element.get("BaseLoc", "")))
        return Page(element.get("ID", ""), path, usual)

    def _reference(self, folder: str, element: Element) -> tuple[str, bytes]:
        try:
            digest = base64.b64decode(xml.text(element, "CheckValue"), validate=True)
        except (ValueError, binascii.Error):
            digest = b""
        return self._own(resolve(folder, element.get("FileRef", ""))), digest

    def _own(self, path: str) -> str:
        """The part's own name, where it is there."""
        return self.package.name_of(path) or path
