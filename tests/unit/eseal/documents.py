"""PDFs for the tests, good and hostile, and a seal to put on them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from io import BytesIO
from unittest.mock import patch

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from fpdf import FPDF
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, pdf_signer

from services.eseal.domain import Picture, Place
from services.eseal.envelope import _KeystoreSigner, pades_envelope
from services.eseal.keys.signers import VaultSigner
from services.eseal.pdf.sealing import prepare
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.ports import Signer as KeySigner
from services.eseal.sealing.prepared import Imprint
from services.eseal.trust.authority import SealAuthority

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
OFFICE = "武江区市场监督管理局"
OFFICE_CODE = "11440299MB2L000380"
KIND = "行政审批专用章"


def pdf_of(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """A PDF of the given objects, numbered from 1; the first is the catalogue."""
    out, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d /Root 1 0 R %b>>\n" % (len(objects) + 1, trailer)
    return out + b"startxref\n%d\n%%%%EOF\n" % start


def stream_of(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<</Length %d %b>>\nstream\n%b\nendstream" % (len(content), entries, content)


def plain(pages: int = 1, *, page_entries: bytes = b"/MediaBox [0 0 595 842]") -> bytes:
    """A small PDF of blank pages."""
    kids = b" ".join(b"%d 0 R" % (3 + index) for index in range(pages))
    page = b"<</Type /Page /Parent 2 0 R /Resources <<>> %b>>" % page_entries
    tree = b"<</Type /Pages /Kids [%b] /Count %d>>" % (kids, pages)
    return pdf_of([b"<</Type /Catalog /Pages 2 0 R>>", tree, *[page] * pages])


def encrypted() -> bytes:
    """A PDF that needs a password."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user")
    return bytes(pdf.output())


HEAD = b"<</Type /Catalog /Pages 2 0 R>>"
PAGE = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources <<>>>>"
TREE = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"


def _self_referring_xref() -> bytes:
    """Its table of contents names itself as the one before."""
    plainly = plain()
    start = plainly.rindex(b"xref\n0")
    return plainly.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)


def hybrid() -> bytes:
    """A file with two tables of contents, for old and for new readers, which may differ."""
    rows = b"\x00\x00\x00\x00\xff"
    body = stream_of(rows, b"/Type /XRef /W [1 3 1] /Index [0 1] /Size 5 /Root 1 0 R")
    objects = [HEAD, TREE, PAGE, body]
    at = pdf_of(objects).index(b"4 0 obj")
    return pdf_of(objects, trailer=b"/XRefStm %d" % at)


def _bomb() -> bytes:
    """An object stream that unpacks to a gigabyte, stacked twice."""
    inner = zlib.compress(b"0" * 50_000_000, 9)
    packed = zlib.compress(inner * 20, 9)
    objects = [HEAD, TREE, PAGE]
    entries = b"/Type /ObjStm /N 1 /First 4 /Filter [/FlateDecode /FlateDecode]"
    base = pdf_of([*objects, stream_of(packed, entries)])
    # A cross-reference stream that puts the catalogue into the bomb.
    xref_at = len(base)
    rows = b"\x02\x00\x00\x04\x00" + b"\x01\x00\x00\x0f\x00"
    body = stream_of(rows, b"/Type /XRef /W [1 3 1] /Index [1 1 5 1] /Size 6 /Root 1 0 R")
    return base + b"5 0 obj\n%b\nendobj\nstartxref\n%d\n%%%%EOF\n" % (body, xref_at)


def hostile() -> dict[str, bytes]:
    """Files that no reader should accept, by what is wrong with them."""
    whole = plain(3)
    deep = b"[" * 200_000
    return {
        "not a pdf": b"PK\x03\x04 this is an archive, perhaps" * 10,
        "one byte": b"%",
        "only a header": b"%PDF-1.7\n",
        "truncated": whole[: len(whole) // 2],
        "without a trailer": whole[: whole.rindex(b"trailer")],
        "xref loop": _self_referring_xref(),
        "xref points outside": whole[: whole.rindex(b"startxref")] + b"startxref\n99999999\n%%EOF\n",
        "page tree loop": pdf_of([HEAD, b"<</Type /Pages /Kids [2 0 R] /Count 1>>"]),
        "page tree counts too many": pdf_of([HEAD, TREE.replace(b"/Count 1", b"/Count 999999999"), PAGE]),
        "no page": pdf_of([HEAD, b"<</Type /Pages /Kids [] /Count 0>>"]),
        "page without a box": plain(page_entries=b""),
        "box that is no box": plain(page_entries=b"/MediaBox [0 0 (wide) 842]"),
        "box without end": plain(page_entries=b"/MediaBox [0 0 1e300 842]"),
        "turned askew": plain(page_entries=b"/MediaBox [0 0 595 842] /Rotate 45"),
        "catalogue refers to itself": pdf_of([b"1 0 R"]),
        "nested without end": pdf_of([HEAD, TREE, b"<</Type /Page /Parent 2 0 R /A %b>>" % deep]),
        "unpacks to a gigabyte": _bomb(),
        "hybrid": hybrid(),
        "garbage": b"%PDF-1.7\n" + bytes(range(256)) * 400,
    }


@dataclass(frozen=True)
class SealKit:
    """A seal with its authority, without a database."""

    authority: SealAuthority
    root: bytes
    signer: KeySigner
    picture: Picture

    async def seal(self, document: bytes, *, field: str = "seal-1", place: Placing = Place()) -> bytes:  # noqa: B008  # frozen
        """The document with one more seal."""
        imprint = Imprint(self.picture, field_name=field, signer_name=OFFICE + KIND, moment=NOW)
        prepared = prepare(document, place, imprint)
        return prepared.filled(await pades_envelope(self.signer, prepared.digest))

    def certified(self, document: bytes, permission: MDPPerm) -> bytes:
        """The document certified by pyHanko itself with the same key."""
        meta = PdfSignatureMetadata(
            field_name="certification",
            certify=True,
            docmdp_permissions=permission,
            subfilter=SigSeedSubFilter.PADES,
            md_algorithm="sha256",
        )
        writer = IncrementalPdfFileWriter(BytesIO(document))
        with dated():
            signed = PdfSigner(meta, _KeystoreSigner(self.signer)).sign_pdf(writer, bytes_reserved=8192)
        result: bytes = signed.getvalue()
        return result


class _Then(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Then:
        return cls.fromtimestamp(NOW.timestamp(), tz or UTC)


def dated() -> AbstractContextManager[object]:
    """What pyHanko signs meanwhile is of NOW; it takes no other clock than the machine's."""
    return patch.object(pdf_signer, "datetime", _Then)


def make_kit(name: str = "test seal authority") -> SealKit:
    """A new authority and a seal under it, in force from a day before NOW for a year."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    root = _root(name, ca_key)
    authority = SealAuthority(root, ca_key)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue(
        key.public_key(),
        seal_name=OFFICE + KIND,
        owner_code=OFFICE_CODE,
        owner_name=OFFICE,
        valid_from=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=365),
    )
    picture = draw_round_seal(OFFICE, bottom_text=KIND, code="4402990000004")
    return SealKit(authority, root.public_bytes(Encoding.DER), VaultSigner(key, certificate), picture)


def _root(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=2))
        .not_valid_after(NOW + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def parsed(der: bytes) -> asn1_x509.Certificate:
    """A certificate as pyHanko takes it."""
    return asn1_x509.Certificate.load(der)
