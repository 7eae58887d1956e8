"""Appends to a sealed PDF what it is checked by in years to come (PAdES B-LT, B-LTA).

Runs in a confined worker only.

The document security store of EN 319 142-1 clause 5.4.2, and the document timestamp of clause 5.4.3, each an
incremental update. Whatever goes into them was fetched elsewhere and is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from asn1crypto import crl, ocsp, x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigFieldSpec
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, PreparedByteRangeDigest
from pyhanko.sign.validation.dss import DocumentSecurityStore

from services.eseal.pdf.sealing import malformed, open_reader
from services.eseal.pdf.signatures import signature_fields
from services.eseal.refusals import DocumentError
from services.eseal.sealing.prepared import STAMPED_HEX


def prolong(
    document: bytes,
    *,
    field_name: str,
    certificates: Sequence[bytes],
    crls: Sequence[bytes],
    ocsps: Sequence[bytes],
    timestamp_field: str = "",
) -> tuple[bytes, tuple[int, int] | None]:
    """What is appended to a document whose signature stands in this field; and with a `timestamp_field` also
    where the gap for the document timestamp is. Raises DOCUMENT_MALFORMED."""
    reader = open_reader(document)
    try:
        contents = _contents(reader, field_name)
        output = BytesIO(document)
        DocumentSecurityStore.add_dss(
            output,
            contents,
            certs=[x509.Certificate.load(one) for one in certificates],
            crls=[crl.CertificateList.load(one) for one in crls],
            ocsps=[ocsp.OCSPResponse.load(one) for one in ocsps],
        )
        gap = None
        if timestamp_field:
            output, gap = _with_timestamp(output, timestamp_field)
    except DocumentError:
        raise
    except Exception as fault:  # a reader may raise anything at all on a file that lies about itself
        raise malformed() from fault
    prolonged = output.getvalue()
    if not prolonged.startswith(document):
        raise malformed()
    return prolonged[len(document) :], gap


def _contents(reader: PdfFileReader, field_name: str) -> bytes:
    """The signature's value with its padding, as the store names what belongs to it."""
    for name, field in signature_fields(reader):
        if name == field_name:
            value = field["/V"].raw_get("/Contents")
            return bytes(value).hex().encode("ascii")
    raise malformed()


def _with_timestamp(document: BytesIO, name: str) -> tuple[BytesIO, tuple[int, int]]:
    """The document with an empty timestamp that nobody sees, and where its value goes."""
    writer = IncrementalPdfFileWriter(document)
    embedder = PdfCMSEmbedder(new_field_spec=SigFieldSpec(name)).write_cms(field_name=name, writer=writer)
    next(embedder)
    embedder.send(SigObjSetup(sig_placeholder=DocumentTimestamp(bytes_reserved=STAMPED_HEX)))
    gap: PreparedByteRangeDigest
    gap, output = embedder.send(SigIOSetup(md_algorithm="sha256", output=BytesIO()))
    return output, (gap.reserved_region_start, gap.reserved_region_end)
