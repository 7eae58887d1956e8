"""Finds where a text stands on a PDF's pages, with PDFium. Runs in a confined worker only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium

from services.eseal.refusals import DocumentMalformedError


@dataclass(frozen=True)
class Occurrence:
    """Where the text stands: the page from 0, its middle in the page's own coordinates."""

    page: int
    centre: tuple[float, float]


def find(document: bytes, keyword: str, *, page: int | None) -> Iterator[Occurrence]:
    """Each place where the text stands, in the order of the pages; on one page from 0, or on all.

    Capitals count. Raises DocumentMalformedError where PDFium cannot read the file.
    """
    try:
        opened = pdfium.PdfDocument(document)
        for index in range(len(opened)) if page is None else [page]:
            text = opened[index].get_textpage()
            search = text.search(keyword, match_case=True)
            while (found := search.get_next()) is not None:
                yield Occurrence(index, _middle(text, *found))
            text.close()
    except pdfium.PdfiumError as failure:
        raise DocumentMalformedError("the text of the PDF cannot be read") from failure


def _middle(text: pdfium.PdfTextPage, first: int, count: int) -> tuple[float, float]:
    boxes = [text.get_charbox(index) for index in range(first, first + count)]
    left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
    bottom, top = min(box[1] for box in boxes), max(box[3] for box in boxes)
    return (left + right) / 2, (bottom + top) / 2
