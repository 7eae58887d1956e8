"""Lays out one more seal in an OFD document (GB/T 33190-2016 chapter 18). Runs in a confined worker only.

Every part that was there stays as it is packed, but for the list of signatures and, at the first seal,
OFD.xml, which then names that list. The list stays out of what a seal covers, so that others can follow.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from xml.etree.ElementTree import Element

from services.eseal.digests import SM3
from services.eseal.gm.sm2 import Sm2, sm3
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3
from services.eseal.ofd import xml
from services.eseal.ofd.digests import covers_the_list
from services.eseal.ofd.document import MOST_SEALS, ROOT, SEAL, Body, Ofd
from services.eseal.ofd.inspection import is_whole, left_out, read_put
from services.eseal.ofd.package import malformed
from services.eseal.ofd.stamps import stamps_of
from services.eseal.refusals import DocumentLockedError
from services.eseal.sealing.packing import Written
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.prepared_ofd import PreparedOfd

PROVIDER = {"ProviderName": "onestop", "Company": "onestop", "Version": "1.0"}
CHINA = timezone(timedelta(hours=8))


def prepare(
    document: bytes, place: Placing, *, sm2: Sm2, seal: bytes, size_mm: tuple[float, float], moment: datetime
) -> PreparedOfd:
    """The document with one more seal (SESeal, DER), all but its signature value.

    Errors: DOCUMENT_MALFORMED, DOCUMENT_LOCKED, DOCUMENT_TOO_LARGE, PAGE_NOT_FOUND, PLACE_NOT_FOR_FORMAT,
    TOO_MANY_PLACES.
    """
    ofd = Ofd(document)
    if len(ofd.bodies) != 1:
        raise malformed("the OFD holds several documents; seal them one by one")
    (body,) = ofd.bodies
    stamps = stamps_of(ofd, body, place, size_mm)
    listed = ofd.listed(body)
    _require_room(ofd, body, sm2)
    folder = _free_folder(ofd, body)
    list_path = body.signatures or f"{body.folder}/Signs/Signatures.xml".lstrip("/")
    signs = ofd.signature_list(body) if listed or ofd.package.name_of(list_path) else xml.new("Signatures")
    number = _next_number(signs)
    path = f"{folder}/Signature.xml"
    xml.new("Signature", signs, ID=str(number), Type=SEAL, BaseLoc=f"/{path}")
    renewed = {list_path: xml.written(_with_highest(signs, number))}
    if not body.signatures:
        renewed[ROOT] = xml.written(_naming(ofd.root, list_path))
    fresh = {f"{folder}/Seal.esl": seal}
    contents = {name: ofd.package.read(name) for name in ofd.package.parts if name not in renewed}
    contents |= {name: content for name, content in renewed.items() if name != list_path} | fresh
    said = _signature_file(contents, folder, stamps, moment)
    written = Written()
    for part in ofd.package.parts.values():
        if part.name not in renewed:
            written = written.with_kept(part)
    for name, content in {**renewed, **fresh, path: said}.items():
        written = written.with_new(name, content, moment)
    return PreparedOfd(
        original=document,
        written=written,
        path=f"/{path}",
        value_path=f"{folder}/SignedValue.dat",
        data_hash=sm3(said),
        moment=moment,
        is_first=not listed,
    )


def _require_room(ofd: Ofd, body: Body, sm2: Sm2) -> None:
    """Refuses where an earlier signature allows no further seal, or does not hold any more."""
    listed = ofd.listed(body)
    if len(listed) >= MOST_SEALS:
        raise DocumentLockedError(f"the document bears {MOST_SEALS} signatures already")
    puts = [read_put(ofd, signature) for signature in listed]
    for put in puts:
        if put.file is not None and covers_the_list(put.file, body):
            raise DocumentLockedError("an earlier signature in the document allows no further seal")
        if not is_whole(ofd, put, sm2):
            raise DocumentLockedError("an earlier signature in the document no longer holds")
        if left_out(ofd, body, put, puts):
            raise DocumentLockedError("the document has parts that an earlier signature does not cover")


def _free_folder(ofd: Ofd, body: Body) -> str:
    """A folder for the new signature that nothing lies in yet."""
    # The path is signed as an IA5String, which holds ASCII alone.
    base = f"{body.folder}/Signs".lstrip("/") if body.folder.isascii() else "Signs"
    taken = {name.casefold() for name in ofd.package.parts}
    for number in range(len(taken) + 1):
        folder = f"{base}/Sign_{number}"
        if not any(name.startswith(f"{folder}/".casefold()) for name in taken):
            return folder
    raise AssertionError("one more number than parts is always free")


def _next_number(signs: Element) -> int:
    """One more than every number used: ids are numbers, with letters before them in some makers' files."""
    said = [xml.text(signs, "MaxSignId"), *(it.get("ID", "") for it in xml.children(signs, "Signature"))]
    return max((int(digits) for it in said for digits in re.findall(r"[0-9]{1,9}", it)), default=0) + 1


def _with_highest(signs: Element, number: int) -> Element:
    """The list with its highest id, which stands first."""
    highest = xml.child(signs, "MaxSignId")
    if highest is None:
        highest = xml.new("MaxSignId", signs)
        signs.remove(highest)
        signs.insert(0, highest)
    highest.text = str(number)
    return signs


def _naming(root: Element, list_path: str) -> Element:
    """OFD.xml, naming the list of signatures behind the document's other members."""
    body = xml.child(root, "DocBody")
    assert body is not None
    empty = xml.child(body, "Signatures")
    if empty is not None:
        body.remove(empty)
    xml.new("Signatures", body, list_path)
    return root


def _signature_file(
    contents: dict[str, bytes], folder: str, stamps: Sequence[Mapping[str, str]], moment: datetime
) -> bytes:
    """Signature.xml: what the seal covers and where its pictures stand."""
    signature = xml.new("Signature")
    said = xml.new("SignedInfo", signature)
    xml.new("Provider", said, **PROVIDER)
    xml.new("SignatureMethod", said, SM2_WITH_SM3)
    xml.new("SignatureDateTime", said, moment.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S"))
    references = xml.new("References", said, CheckMethod=SM3)
    for name, content in contents.items():
        reference = xml.new("Reference", references, FileRef=f"/{name}")
        xml.new("CheckValue", reference, base64.b64encode(sm3(content)).decode("ascii"))
    for number, stamp in enumerate(stamps, start=1):
        xml.new("StampAnnot", said, ID=str(number), **stamp)
    xml.new("BaseLoc", xml.new("Seal", said), f"/{folder}/Seal.esl")
    xml.new("SignedValue", signature, f"/{folder}/SignedValue.dat")
    return xml.written(signature)
