"""What pyHanko passes over when it says what came after a signature in a PDF. Runs in a confined worker.

Its rules let an update change the document's title and other metadata, whether viewers draw the pictures of
fields anew, and by which fonts. None of that is validation data, and a reader sees all of it. What programs
write of themselves when they add a seal or such data is left to them: when and by what it was changed last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

from pyhanko.pdf_utils.decode_limits import DecodePurpose
from pyhanko.pdf_utils.generic import BooleanObject, DictionaryObject, IndirectObject, StreamObject
from pyhanko.pdf_utils.metadata.model import NS, RDF_ABOUT, XMP_MODDATE, ExpandedName
from pyhanko.pdf_utils.metadata.xmp_xml import XmpXmlProcessingError, parse_xmp
from pyhanko.pdf_utils.misc import PdfError, PdfReadError
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader

_OF_PROGRAMS = frozenset({"/ModDate", "/Producer"})
"""Entries of the information dictionary (ISO 32000-2 14.3.3)."""
_OF_PROGRAMS_IN_XMP = frozenset(
    {
        RDF_ABOUT,
        XMP_MODDATE,
        ExpandedName(ns=NS["xmp"], local_name="MetadataDate"),
        ExpandedName(ns=NS["pdf"], local_name="Producer"),
        ExpandedName(ns="http://ns.adobe.com/xap/1.0/mm/", local_name="InstanceID"),
    }
)
_DRAWN_BY = ("/DA", "/DR", "/Q")
"""Entries of a form by which viewers draw the fields that have no picture (ISO 32000-2 12.7.3)."""


def rest_is_kept(reader: PdfFileReader, revision: int) -> bool:
    """Whether what pyHanko's rules do not look into is as it was in a revision of the file, ever since."""
    old = reader.get_historical_resolver(revision)
    later = range(revision + 1, reader.xrefs.total_revisions)
    return all(_is_kept(old, reader.get_historical_resolver(one)) for one in later)


def _is_kept(old: HistoricalResolver, new: HistoricalResolver) -> bool:
    return (
        _same(old.root, new.root, "/MarkInfo")
        and _form_is_kept(old, new)
        and _information_is_kept(old, new)
        and _metadata_are_kept(old, new)
    )


def _form_is_kept(old: HistoricalResolver, new: HistoricalResolver) -> bool:
    """A form may be given what it lacked to draw fields by, as long as no viewer is told to draw them."""
    before, after = _dictionary(old.root, "/AcroForm"), _dictionary(new.root, "/AcroForm")
    is_drawn = _is_drawn(after)
    if is_drawn and not _is_drawn(before):
        return False
    return all(_same(before, after, name) or (name not in before and not is_drawn) for name in _DRAWN_BY)


def _is_drawn(form: DictionaryObject) -> bool:
    name = "/NeedAppearances"
    return name in form and not (isinstance(form[name], BooleanObject) and form[name].value is False)


def _information_is_kept(old: HistoricalResolver, new: HistoricalResolver) -> bool:
    before, after = _dictionary(old.trailer_view, "/Info"), _dictionary(new.trailer_view, "/Info")
    return all(_same(before, after, name) for name in (before.keys() | after.keys()) - _OF_PROGRAMS)


def _metadata_are_kept(old: HistoricalResolver, new: HistoricalResolver) -> bool:
    try:
        before, after = _metadata(old.root), _metadata(new.root)
        return before == after or _properties(before) == _properties(after)
    except (PdfError, XmpXmlProcessingError, UnicodeDecodeError):
        return False


def _metadata(root: DictionaryObject) -> bytes:
    """The metadata stream (XMP, ISO 16684-1); empty where there is none."""
    if "/Metadata" not in root:
        return b""
    # By its reference: read by its name it is of a class of its own, which no earlier revision can hold.
    named = root.raw_get("/Metadata")
    stream = named.get_object() if isinstance(named, IndirectObject) else None
    if not isinstance(stream, StreamObject):
        raise PdfReadError("metadata that are no stream")
    return bytes(stream.read_data(DecodePurpose.XMP_METADATA))


def _properties(metadata: bytes) -> Mapping[ExpandedName, Sequence[object]]:
    """What it says besides what programs say of themselves."""
    said: dict[ExpandedName, list[object]] = {}
    for part in parse_xmp(BytesIO(metadata)) if metadata else ():
        for name, value in part:
            if name not in _OF_PROGRAMS_IN_XMP:
                said.setdefault(name, []).append(value)
    return said


def _dictionary(within: DictionaryObject, name: str) -> DictionaryObject:
    """The dictionary under a name; an empty one where there is none."""
    if name not in within:
        return DictionaryObject()
    found = within[name]
    return found if isinstance(found, DictionaryObject) else DictionaryObject()


def _same(before: DictionaryObject, after: DictionaryObject, name: str) -> bool:
    """Whether two dictionaries say the same under a name, there or by a reference. What that refers to in its
    turn has rules of its own: nothing may be written over it."""
    return _written(before, name) == _written(after, name)


def _written(within: DictionaryObject, name: str) -> bytes:
    if name not in within:
        return b""
    out = BytesIO()
    # What stands there in this revision: by its reference alone, one written over it would be the same.
    within[name].write_to_stream(out, None)
    return out.getvalue()
