"""Attacks on sealed OFDs, and what other programs do not look at: a check tells each, and sealing refuses."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from asn1crypto import x509

from services.eseal.gm import sm2_certificate
from services.eseal.ofd.document import Ofd
from services.eseal.refusals import DocumentLockedError, DocumentMalformedError
from services.eseal.verifying.verdict import Fault, Verdict, report_on
from tests.unit.eseal.ofds import (
    DAY,
    NOW,
    Sealer,
    inspected,
    package,
    plain_ofd,
    plain_parts,
    sealer,
    unpacked,
)

FIRST = "Doc_0/Signs/Sign_0/"
LIST = "Doc_0/Signs/Signatures.xml"
FILE, VALUE, SEAL = FIRST + "Signature.xml", FIRST + "SignedValue.dat", FIRST + "Seal.esl"
Parts = dict[str, bytes]


@pytest.fixture(scope="module")
def one() -> Sealer:
    return sealer()


def faults(document: bytes, *believed: Sealer) -> list[set[Fault]]:
    """What speaks against each seal of a document that is not valid."""
    report = report_on(inspected(document, believed), seals={}, signing_times={}, document_sha256="")
    assert report.verdict is Verdict.INVALID
    return [set(seal.faults) for seal in report.seals]


def _value(parts: Parts) -> None:
    parts[VALUE] = parts[VALUE][:-1] + bytes((parts[VALUE][-1] ^ 1,))


def _moved_picture(parts: Parts) -> None:
    parts[FILE] = parts[FILE].replace(b'Boundary="153.00', b'Boundary="053.00')


def _lost_value(parts: Parts) -> None:
    del parts[VALUE]


def _lost_file(parts: Parts) -> None:
    del parts[FILE]


def _nothing_covered(parts: Parts) -> None:
    parts[FILE] = re.sub(rb"<ofd:Reference .*?</ofd:Reference>", b"", parts[FILE])


def _parts_outside(parts: Parts) -> None:
    parts[FILE] = parts[FILE].replace(b'FileRef="/Doc_0/', b'FileRef="../../../../etc/')


def _value_outside(parts: Parts) -> None:
    parts[FILE] = parts[FILE].replace(b"/Doc_0/Signs/Sign_0/SignedValue", b"/../../Sign_0/SignedValue")


def _page(parts: Parts) -> None:
    parts["Doc_0/Pages/Page_0/Content.xml"] += b"<!-- -->"


def _other_kind(parts: Parts) -> None:
    parts[LIST] = parts[LIST].replace(b'Type="Seal"', b'Type="Sign"')


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_value, Fault.FORGED),
        (_moved_picture, Fault.CHANGED),
        (_lost_value, Fault.FORGED),
        (_lost_file, Fault.FORGED),
        (_nothing_covered, Fault.CHANGED),
        (_parts_outside, Fault.FORGED),
        (_value_outside, Fault.FORGED),
        (_page, Fault.CHANGED),
        (_other_kind, Fault.FORGED),
    ],
)
async def test_a_seal_that_does_not_hold_is_told_and_takes_no_further_seal(
    one: Sealer, change: Callable[[Parts], None], fault: Fault
) -> None:
    parts = unpacked(await one.put(plain_ofd()))
    change(parts)
    broken = package(parts)

    assert fault in faults(broken, one)[0]
    with pytest.raises(DocumentLockedError, match="no longer holds"):
        await one.put(broken)


async def test_a_document_beside_the_sealed_one_is_not_covered(one: Sealer) -> None:
    """A second body in the package: some readers show it first."""
    parts = unpacked(await one.put(plain_ofd()))
    body = b"<ofd:DocBody><ofd:DocRoot>Doc_1/Document.xml</ofd:DocRoot></ofd:DocBody>"
    parts["OFD.xml"] = parts["OFD.xml"].replace(b"</ofd:OFD>", body + b"</ofd:OFD>")
    parts |= {n.replace("Doc_0", "Doc_1"): c.encode() for n, c in plain_parts().items() if n != "OFD.xml"}

    assert faults(package(parts), one) == [{Fault.CHANGED, Fault.UNCOVERED}]


async def test_a_part_that_no_seal_covers_is_told_and_takes_no_further_seal(one: Sealer) -> None:
    """A further seal would cover it, and lend its word to what somebody put there."""
    parts = unpacked(await one.put(plain_ofd()))
    added = package({**parts, "Doc_0/Attachs/more.xml": b"<a/>"})

    assert faults(added, one) == [{Fault.UNCOVERED}]
    with pytest.raises(DocumentLockedError, match="does not cover"):
        await one.put(added)


async def test_a_seal_listed_twice_does_not_count_as_two(one: Sealer) -> None:
    """The list is covered by no seal, so that others can follow: anybody can write it anew."""
    parts = unpacked(await one.put(plain_ofd()))
    parts[LIST] = re.sub(rb'(<ofd:Signature ID=")1("[^>]*>)', rb"\g<1>1\2\g<1>2\2", parts[LIST])
    assert parts[LIST].count(b"<ofd:Signature ID") == 2

    with pytest.raises(DocumentMalformedError, match="twice"):
        inspected(package(parts), [one])


async def test_a_seal_signed_in_the_future_is_not_believed_for_it(one: Sealer) -> None:
    """A certificate that will be good when the signer claims to have signed is not good now."""
    early = sealer(one.authority, certified=(NOW + DAY, NOW + 2 * DAY), valid=(NOW + DAY, NOW + 2 * DAY))

    found = faults(await early.put(plain_ofd(), moment=NOW + timedelta(hours=30)), early)

    assert found == [{Fault.UNTRUSTED, Fault.NOT_GENUINE}]


async def test_a_seal_dated_before_its_certificate_or_in_the_future_is_told(one: Sealer) -> None:
    for moment in (NOW - 3650 * DAY, NOW + 9 * DAY):
        assert faults(await one.put(plain_ofd(), moment=moment), one) == [{Fault.TIME}]


async def test_a_maker_whose_certificate_ran_out_makes_no_genuine_seal(one: Sealer) -> None:
    """The seal's own dates are good, and its signer's certificate: the maker's is what others do not ask."""
    late = sealer(one.authority, certified=(NOW - 9 * DAY, NOW - 8 * DAY), authorised=one.certificate)

    assert faults(await one.put(plain_ofd(), seal=late.seal), one) == [{Fault.NOT_GENUINE}]


@pytest.mark.parametrize("usage", [{"key_cert_sign", "crl_sign"}, {"key_agreement"}])
async def test_whose_key_is_for_something_else_neither_signs_nor_makes_seals(
    one: Sealer, monkeypatch: pytest.MonkeyPatch, usage: set[str]
) -> None:
    _certify_for(monkeypatch, usage)
    wrong = sealer(one.authority)
    maker = sealer(one.authority, authorised=one.certificate)

    assert faults(await wrong.put(plain_ofd()), one) == [{Fault.UNTRUSTED, Fault.NOT_GENUINE}]
    assert faults(await one.put(plain_ofd(), seal=maker.seal), one) == [{Fault.NOT_GENUINE}]


async def test_a_seal_whose_maker_vouches_for_himself_is_not_genuine(one: Sealer) -> None:
    alone = sealer(authorised=one.certificate)

    assert faults(await one.put(plain_ofd(), seal=alone.seal), one) == [{Fault.NOT_GENUINE}]


async def test_a_part_with_a_second_name_or_that_is_a_link_is_refused(one: Sealer) -> None:
    """No signature covers what the package says of its parts: readers that obey it show another page."""
    parts = unpacked(await one.put(plain_ofd(2)))
    page = "Doc_0/Pages/Page_0/Content.xml"
    other = page.replace("Page_0", "Page_1").encode()
    said = struct.pack("<BI", 1, zlib.crc32(page.encode())) + other
    named = _zipped(parts, page, extra=struct.pack("<2H", 0x7075, len(said)) + said)
    linked = _zipped(parts, page, mode=0o120777)

    for document, told in ((named, "two names"), (linked, "link")):
        with pytest.raises(DocumentMalformedError, match=told):
            inspected(document, [one])
    plain = _zipped(parts, page, extra=struct.pack("<2HI", 0x5455, 4, 0), mode=0o100644)
    assert [it.intact for it in inspected(plain, [one])] == [True]


@pytest.mark.parametrize("name", ["iso-8859-5", "koi8-r", "windows-1252", "gb2312", "US-ASCII", "utf-7"])
def test_xml_in_an_encoding_that_readers_may_take_differently_is_refused(name: str) -> None:
    parts = plain_parts()
    declared = f'<?xml version="1.0" encoding="{name}"?>'

    with pytest.raises(DocumentMalformedError, match="encoding"):
        Ofd(package({**parts, "OFD.xml": declared + parts["OFD.xml"]}))
    for good in (
        b'<?xml version="1.0" encoding="utf-8"?>',
        b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>",
    ):
        assert Ofd(package({**parts, "OFD.xml": good + parts["OFD.xml"].encode()})).bodies
    wide = ('<?xml version="1.0" encoding="UTF-16"?>' + parts["OFD.xml"]).encode("utf-16")
    assert Ofd(package({**parts, "OFD.xml": wide})).bodies


def _zipped(parts: Parts, which: str, *, extra: bytes = b"", mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            if name == which:
                entry.extra, entry.external_attr = extra, mode << 16
            made.writestr(entry, content)
    return out.getvalue()


def _certify_for(monkeypatch: pytest.MonkeyPatch, usage: set[str]) -> None:
    """Certificates are issued for another use from now on."""
    proper = sm2_certificate._extension

    def other(name: str, value: object, *, critical: bool = False) -> x509.Extension:
        return proper(name, usage if name == "key_usage" else value, critical=critical)

    monkeypatch.setattr(sm2_certificate, "_extension", other)
