"""What a file needs to be a PDF/A-3 (ISO 19005-3), level U, besides its fonts: metadata and colour."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from xml.sax.saxutils import escape

from PIL import ImageCms

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"\
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>3</pdfaid:part>
<pdfaid:conformance>U</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<xmp:CreateDate>{moment}</xmp:CreateDate>
<xmp:CreatorTool>onestop</xmp:CreatorTool>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""
_PROFILE_VERSION = slice(8, 10)
_MOST = b"\x04\x20"
"""ICC 4.2, the newest that PDF 1.7 knows (ISO 32000-1 table 66)."""


@lru_cache(maxsize=64)
def metadata(title: str, moment: datetime) -> bytes:
    """The XMP packet (clause 6.6.2): the standard that the file keeps, its title, when it was made: the same
    for all documents of one template and second."""
    made = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _XMP.format(title=escape(title), moment=made).encode("utf-8")


@lru_cache(maxsize=1)
def colour_profile() -> bytes:
    """sRGB as an ICC profile, for the output intent (clause 6.2.3)."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[_PROFILE_VERSION] = min(bytes(made[_PROFILE_VERSION]), _MOST)
    return bytes(made)
