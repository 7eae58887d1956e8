from __future__ import annotations

import base64
import re
from datetime import timedelta
from xml.etree.ElementTree import fromstring

import pytest
from asn1crypto import core, x509

from core.errors import ServiceError
from services.eseal.der import OCTETS, SEQUENCE, SET, TAGGED_0, der, integer
from services.eseal.domain import Place
from services.eseal.gm.ses import read_seal
from services.eseal.gm.ses_making import seal_of, seal_signature
from services.eseal.gm.signed import DATA, SIGNED_DATA
from services.eseal.gm.sm2 import load_sm2, sm3
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3, Sm2Authority
from services.eseal.ofd import sealing
from services.eseal.ofd.document import Ofd
from services.eseal.refusals import (
    DocumentLockedError,
    DocumentMalformedError,
    PageNotFoundError,
    PlaceNotForFormatError,
    TooManyPlacesError,
)
from services.eseal.sealing.placing import AtKeyword, InField, OnPages, OverEdges, Placing
from services.eseal.verifying.finding import Modification
from services.eseal.verifying.verdict import report_on
from tests.unit.eseal.ofds import (
    DAY,
    NOW,
    Sealer,
    inspected,
    letter_ofd,
    package,
    plain_ofd,
    plain_parts,
    sealer,
    unpacked,
)

FIRST, SECOND = "Doc_0/Signs/Sign_0/", "Doc_0/Signs/Sign_1/"
PAGE = "Doc_0/Pages/Page_0/Content.xml"


@pytest.fixture(scope="module")
def one() -> Sealer:
    return sealer()


@pytest.fixture(scope="module")
def other() -> Sealer:
    return sealer(name="另一枚印章")


def stamps(document: bytes) -> list[tuple[str, str, str]]:
    """Page, box and clip of each picture of the first seal."""
    root = fromstring(unpacked(document)[FIRST + "Signature.xml"])
    found = root.iter("{http://www.ofdspec.org/2016}StampAnnot")
    return [(it.get("PageRef", ""), it.get("Boundary", ""), it.get("Clip", "")) for it in found]


async def changed(document: bytes, **parts: bytes | None) -> bytes:
    """The document with these parts replaced, added, or (None) left out; `__` stands for a slash."""
    kept = unpacked(document)
    for name, content in parts.items():
        path = name.replace("__", "/").replace("_dot_", ".")
        if content is None:
            del kept[path]
        else:
            kept[path] = content
    return package(kept)


async def test_a_sealed_letter_is_whole_and_its_seal_covers_all_of_it(one: Sealer) -> None:
    sealed = await one.put(letter_ofd())

    (found,) = inspected(sealed, [one])

    assert (found.intact, found.valid, found.trusted_now, found.genuine_now) == (True,) * 4
    assert found.permitted
    assert found.covers_whole_document
    assert found.modification is Modification.NONE
    assert (found.altered_parts, found.uncovered_parts) == ((), ())
    assert (found.algorithm, found.structure, found.signed_at) == ("sm3_sm2", "GB/T 38540-2020", NOW)
    assert "CN=武江区市场监督管理局行政审批专用章" in found.signer
    before, after = unpacked(letter_ofd()), unpacked(sealed)
    assert {name: after[name] for name in before if name != "OFD.xml"} == {
        name: content for name, content in before.items() if name != "OFD.xml"
    }
    assert after[FIRST + "Seal.esl"] == one.seal


async def test_the_first_seal_names_the_list_in_the_root_and_the_second_leaves_the_root_alone(
    one: Sealer, other: Sealer
) -> None:
    once = await one.put(plain_ofd())
    twice = await other.put(once, moment=NOW + timedelta(minutes=1))

    first, second = unpacked(once), unpacked(twice)
    assert b"<ofd:Signatures>Doc_0/Signs/Signatures.xml</ofd:Signatures>" in first["OFD.xml"]
    assert {name for name in first if first[name] != second[name]} == {"Doc_0/Signs/Signatures.xml"}
    assert set(second) - set(first) == {
        SECOND + it for it in ("Seal.esl", "Signature.xml", "SignedValue.dat")
    }
    listed = second["Doc_0/Signs/Signatures.xml"].decode()
    assert re.findall(r'ID="(\d+)"', listed) == ["1", "2"]
    assert "<ofd:MaxSignId>2</ofd:MaxSignId>" in listed


async def test_a_second_seal_does_not_break_the_first(one: Sealer, other: Sealer) -> None:
    twice = await other.put(await one.put(letter_ofd()), moment=NOW + timedelta(minutes=1))

    first, second = inspected(twice, [one, other], moment=NOW + DAY)

    for found in (first, second):
        assert (found.intact, found.valid, found.trusted_now, found.genuine_now) == (True,) * 4
        assert found.permitted
        assert found.uncovered_parts == ()
    assert (first.modification, first.covers_whole_document) == (Modification.FORM_FILLING, False)
    assert (second.modification, second.covers_whole_document) == (Modification.NONE, True)


@pytest.mark.parametrize(
    ("place", "box"),
    [
        (Place(1, 60, 200), "39.00 76.00 42.00 42.00"),
        (Place(0, 0, 0), "153.00 240.00 42.00 42.00"),
    ],
)
async def test_the_stamp_stands_where_it_is_asked_for(one: Sealer, place: Place, box: str) -> None:
    sealed = await one.put(plain_ofd(2), place)

    said = unpacked(sealed)[FIRST + "Signature.xml"].decode()
    page = 10 if place.page == 1 else 11
    assert f'<ofd:StampAnnot ID="1" PageRef="{page}" Boundary="{box}" />' in said


async def test_a_seal_stands_on_several_pages_and_signs_once(one: Sealer) -> None:
    sealed = await one.put(plain_ofd(3), OnPages((1, 3), 60, 200))
    everywhere = await one.put(plain_ofd(3), OnPages((), 60, 200))

    assert stamps(sealed) == [("10", "39.00 76.00 42.00 42.00", ""), ("12", "39.00 76.00 42.00 42.00", "")]
    assert [page for page, _, _ in stamps(everywhere)] == ["10", "11", "12"]
    (found,) = inspected(sealed, [one])
    assert (found.intact, found.valid) == (True, True)


async def test_a_seal_over_the_edges_shows_a_strip_on_each_page(one: Sealer) -> None:
    """The strips together are the whole picture, each at its page's right edge (210 mm)."""
    found = stamps(await one.put(plain_ofd(3), OverEdges(100)))

    assert [page for page, _, _ in found] == ["10", "11", "12"]
    for order, (_, box, clip) in enumerate(found):
        x, y, width, height = map(float, box.split())
        left, top, wide, tall = map(float, clip.split())
        assert (width, height, y, top, tall, wide) == (42, 42, 176, 0, 42, 14)
        assert left == 14 * order
        assert x + left + wide == pytest.approx(210)


@pytest.mark.parametrize("place", [AtKeyword("盖章处"), InField("seal")])
async def test_a_way_of_placing_that_is_for_pdf_alone_is_refused(one: Sealer, place: Placing) -> None:
    with pytest.raises(PlaceNotForFormatError):
        await one.put(plain_ofd(), place)


async def test_too_many_pictures_are_refused(one: Sealer) -> None:
    with pytest.raises(TooManyPlacesError):
        await one.put(plain_ofd(257), OnPages(()))


@pytest.mark.parametrize("place", [Place(3, 60, 60), Place(1, 211, 60), Place(1, 60, 298)])
async def test_a_place_that_is_not_there_is_refused(one: Sealer, place: Place) -> None:
    with pytest.raises(PageNotFoundError):
        await one.put(plain_ofd(2), place)


async def test_every_part_altered_or_missing_is_told(one: Sealer) -> None:
    sealed = await one.put(letter_ofd())

    for name in unpacked(letter_ofd()):
        if name in ("OFD.xml", "Doc_0/Document.xml"):
            continue
        content = unpacked(sealed)[name] + b" "
        (found,) = inspected(await changed(sealed, **{name.replace("/", "__"): content}), [one])
        assert (found.intact, found.altered_parts) == (False, (name,))
    (found,) = inspected(await changed(sealed, Doc_0__Res__font_dot_otf=None), [one])
    assert (found.intact, found.altered_parts) == (False, ("Doc_0/Res/font.otf",))
    assert found.valid


async def test_a_part_added_afterwards_is_told_as_not_covered(
    one: Sealer, other: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = await changed(await one.put(plain_ofd()), Doc_0__Annots__Annotations_dot_xml=b"<a/>")

    (found,) = inspected(sealed, [one])

    assert found.uncovered_parts == ("Doc_0/Annots/Annotations.xml",)
    assert (found.intact, found.permitted, found.covers_whole_document) == (True, False, False)
    assert found.modification is Modification.OTHER
    # A further seal that covers it, by a program that does not look, does not cure the earlier one.
    with pytest.raises(DocumentLockedError, match="does not cover"):
        await other.put(sealed)
    monkeypatch.setattr(sealing, "_require_room", lambda *_: None)
    first, second = inspected(await other.put(sealed), [one, other])
    assert (first.permitted, second.permitted) == (False, True)


async def test_a_page_does_not_pass_for_a_part_of_another_seal(one: Sealer, other: Sealer) -> None:
    """Else whoever holds any seal could add what an earlier seal does not cover, as its own."""
    parts = unpacked(await other.put(await one.put(plain_ofd())))
    parts["Doc_0/extra.xml"] = b"<extra/>"
    path = SECOND + "Signature.xml"
    parts[path] = parts[path].replace(
        b"/Doc_0/Signs/Sign_1/Seal.esl</ofd:BaseLoc>", b"/Doc_0/extra.xml</ofd:BaseLoc>"
    )

    first, second = inspected(package(parts), [one, other])

    assert "Doc_0/extra.xml" in first.uncovered_parts
    assert not second.genuine_now


async def test_an_altered_signature_file_or_value_proves_nothing(one: Sealer) -> None:
    sealed = await one.put(plain_ofd())
    said = unpacked(sealed)[FIRST + "Signature.xml"]
    value = bytearray(unpacked(sealed)[FIRST + "SignedValue.dat"])

    (moved,) = inspected(
        await changed(sealed, Doc_0__Signs__Sign_0__Signature_dot_xml=said.replace(b"153.00", b"053.00")),
        [one],
    )
    assert (moved.intact, moved.valid) == (False, True)
    value[-1] ^= 1
    (forged,) = inspected(
        await changed(sealed, Doc_0__Signs__Sign_0__SignedValue_dot_dat=bytes(value)), [one]
    )
    assert not forged.valid
    (cut,) = inspected(
        await changed(sealed, Doc_0__Signs__Sign_0__SignedValue_dot_dat=bytes(value[:-5])), [one]
    )
    assert (cut.intact, cut.valid, cut.permitted, cut.trusted_now) == (False,) * 4
    (lost,) = inspected(await changed(sealed, Doc_0__Signs__Sign_0__SignedValue_dot_dat=None), [one])
    assert (lost.intact, lost.valid, lost.permitted) == (False,) * 3


async def test_a_signature_moved_into_another_document_is_found_out(one: Sealer) -> None:
    sealed = unpacked(await one.put(plain_ofd()))
    elsewhere = unpacked(await one.put(plain_ofd(2)))
    moved = {**elsewhere, **{name: sealed[name] for name in sealed if name.startswith(FIRST)}}

    (found,) = inspected(package(moved), [one])

    assert found.valid
    assert not found.intact
    assert "Doc_0/Pages/Page_1/Content.xml" in found.uncovered_parts


async def plainly_signed(by: Sealer, document: bytes, *, attributes: bytes = b"") -> bytes:
    """The document with a signature of GB/T 35275 in the place of the one with a seal."""
    parts = unpacked(document)
    parts["Doc_0/Signs/Signatures.xml"] = parts["Doc_0/Signs/Signatures.xml"].replace(b'"Seal"', b'"Sign"')
    digest = sm3(parts[FIRST + "Signature.xml"])
    certificate = x509.Certificate.load(by.certificate)
    names = [
        der(SEQUENCE, core.ObjectIdentifier(oid).dump()) for oid in ("1.2.156.10197.1.401", SM2_WITH_SM3)
    ]
    content = der(SEQUENCE, core.ObjectIdentifier(DATA).dump(), der(TAGGED_0, der(OCTETS, digest)))
    number = core.Integer(certificate.serial_number).dump()
    signer = der(
        SEQUENCE,
        integer(1),
        der(SEQUENCE, certificate.issuer.dump(), number),
        names[0],
        attributes,
        names[1],
        der(OCTETS, by.key.sign(digest)),
    )
    signed = der(
        SEQUENCE, integer(1), der(SET, names[0]), content, der(TAGGED_0, by.certificate), der(SET, signer)
    )
    parts[FIRST + "SignedValue.dat"] = der(
        SEQUENCE, core.ObjectIdentifier(SIGNED_DATA).dump(), der(TAGGED_0, signed)
    )
    return package(parts)


async def test_a_signature_without_a_seal_is_checked_too(one: Sealer, other: Sealer) -> None:
    """GB/T 35275: a person's signature beside an office's seal."""
    signed = await plainly_signed(one, await one.put(plain_ofd()))
    both = await other.put(signed)

    (alone,) = inspected(signed, [one])
    first, second = inspected(both, [one, other])

    assert (alone.structure, alone.bears_seal, alone.signed_at) == ("GB/T 35275-2017", False, None)
    assert (alone.intact, alone.valid, alone.trusted_now, alone.permitted) == (True,) * 4
    assert alone.uncovered_parts == ()
    assert (first.intact, first.valid, second.intact, second.valid) == (True,) * 4
    assert not inspected(signed, [other])[0].trusted_now
    told = report_on([alone], seals={}, signing_times={}, document_sha256="")
    assert "个电子签名" in told.summary_zh
    assert "its signature (" in told.summary_en
    page = PAGE.replace("/", "__").replace(".xml", "_dot_xml")
    (altered,) = inspected(await changed(signed, **{page: b"<a/>"}), [one])
    assert (altered.intact, altered.altered_parts) == (False, (PAGE,))


async def test_a_signature_without_a_seal_that_is_not_read_proves_nothing(one: Sealer) -> None:
    sealed = await one.put(plain_ofd())
    attributes = der(TAGGED_0, der(SEQUENCE, core.ObjectIdentifier("1.2.3").dump(), der(SET, integer(1))))
    bare = unpacked(sealed)
    bare["Doc_0/Signs/Signatures.xml"] = bare["Doc_0/Signs/Signatures.xml"].replace(b'"Seal"', b'"Sign"')

    for document in (await plainly_signed(one, sealed, attributes=attributes), package(bare)):
        (found,) = inspected(document, [one])
        assert (found.intact, found.valid, found.trusted_now, found.bears_seal) == (False,) * 4


async def test_weak_digests_prove_nothing(one: Sealer) -> None:
    """A maker may have signed them rightly; that the parts are the same does not follow."""
    document = await one.put(plain_ofd())
    parts = unpacked(document)
    for method in (b'CheckMethod="MD5"', b""):
        weak = re.sub(rb'CheckMethod="[0-9.]+"', method, parts[FIRST + "Signature.xml"])
        (found,) = inspected(await changed(document, Doc_0__Signs__Sign_0__Signature_dot_xml=weak), [one])
        assert not found.intact
        assert PAGE in found.altered_parts
        assert found.weaknesses == ("md5",)
    (sound,) = inspected(document, [one])
    assert sound.weaknesses == ()
    assert sound.chain == (sound.signer, "CN=a seal authority")
    assert len(sound.certificates) == 2


async def test_a_maker_s_certificate_of_any_size_is_not_passed_on(one: Sealer) -> None:
    info = read_seal(one.seal).maker.content
    for size, passed in ((100, 2), (20_000, 0)):
        seal = seal_of(info, maker_certificate=b"x" * size, signature=one.maker_key.sign(info))
        (found,) = inspected(await one.put(plain_ofd(), seal=seal), [one])
        assert not found.genuine_now
        assert len(found.certificates) == passed


async def test_trust_is_in_the_configured_authorities_alone(one: Sealer, other: Sealer) -> None:
    sealed = await one.put(plain_ofd())

    (found,) = inspected(sealed, [other])
    assert (found.intact, found.valid) == (True, True)
    assert (found.trusted_now, found.trusted_then, found.genuine_now, found.genuine_then) == (False,) * 4
    (found,) = inspected(sealed, [])
    assert not found.trusted_now


async def test_a_certificate_that_ran_out_since_was_good_at_the_time_that_is_claimed(one: Sealer) -> None:
    sealed = await one.put(plain_ofd())

    (found,) = inspected(sealed, [one], moment=NOW + 400 * DAY)

    assert (found.trusted_now, found.trusted_then) == (False, True)
    assert (found.genuine_now, found.genuine_then) == (False, True)
    (early,) = inspected(sealed, [one], moment=NOW - 2 * DAY)
    assert (early.trusted_now, early.trusted_then, early.genuine_then) == (False,) * 3


async def test_a_seal_out_of_its_own_validity_is_not_genuine() -> None:
    """The certificate may live longer than the seal: the gap that others leave."""
    short = sealer(valid=(NOW - DAY, NOW - timedelta(hours=1)))

    (found,) = inspected(await short.put(plain_ofd()), [short])

    assert found.trusted_now
    assert (found.genuine_now, found.genuine_then) == (False, False)


async def test_a_seal_of_somebody_else_is_not_genuine(one: Sealer) -> None:
    """The signer's certificate must be one that the seal names."""
    thief = sealer(one.authority)
    (found,) = inspected(await thief.put(plain_ofd(), seal=one.seal), [one])

    assert (found.valid, found.trusted_now, found.genuine_now) == (True, True, False)


async def test_a_seal_made_by_nobody_trusted_is_not_genuine(one: Sealer) -> None:
    """The signer is trusted; the maker's certificate is of an authority that is not."""
    foreign = Sm2Authority.make(load_sm2(), "nobody", valid_from=NOW - DAY, valid_until=NOW + 99 * DAY)
    homemade = sealer(foreign, authorised=one.certificate)

    (found,) = inspected(await one.put(plain_ofd(), seal=homemade.seal), [one])

    assert (found.valid, found.trusted_now, found.genuine_now) == (True, True, False)


async def test_a_picture_swapped_in_the_seal_is_found_out(one: Sealer) -> None:
    parts = unpacked(await one.put(plain_ofd()))
    swapped = one.seal.replace(b"not much", b"not MUCH")

    for path in (FIRST + "Seal.esl", FIRST + "SignedValue.dat"):
        altered = {**parts, path: parts[path].replace(b"not much", b"not MUCH")}
        (found,) = inspected(package(altered), [one])
        assert not found.genuine_now
    (found,) = inspected(await one.put(plain_ofd(), seal=swapped), [one])
    assert (found.valid, found.genuine_now) == (True, False)


async def test_a_seal_on_which_the_list_is_closed_takes_no_further_one(one: Sealer, other: Sealer) -> None:
    """A signature that covers Signatures.xml allows none after it (GB/T 33190)."""
    parts = unpacked(await one.put(plain_ofd()))
    digest = base64.b64encode(sm3(parts["Doc_0/Signs/Signatures.xml"])).decode()
    path = FIRST + "Signature.xml"
    reference = (
        f'<ofd:Reference FileRef="/Doc_0/Signs/Signatures.xml"><ofd:CheckValue>{digest}</ofd:CheckValue>'
    )
    parts[path] = parts[path].replace(
        b"</ofd:References>", f"{reference}</ofd:Reference></ofd:References>".encode()
    )
    parts[FIRST + "SignedValue.dat"] = await seal_signature(
        one, seal=one.seal, data_hash=sm3(parts[path]), path=f"/{path}", moment=NOW
    )
    closed = package(parts)
    (found,) = inspected(closed, [one])
    assert (found.intact, found.valid, found.permitted) == (True, True, True)

    with pytest.raises(DocumentLockedError, match="allows no further"):
        await other.put(closed)


async def test_a_broken_document_takes_no_further_seal(one: Sealer, other: Sealer) -> None:
    sealed = await one.put(plain_ofd())
    content = unpacked(sealed)[PAGE] + b"\n"
    broken = await changed(sealed, **{PAGE.replace("/", "__").replace(".xml", "_dot_xml"): content})

    with pytest.raises(DocumentLockedError, match="no longer holds"):
        await other.put(broken)


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("OFD.xml", b"<a/>", "no OFD"),
        ("OFD.xml", b"not xml", "XML"),
        ("OFD.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        ("OFD.xml", '<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>'.encode("utf-16"), "document type"),
        ("OFD.xml", b'<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"/>', "no document"),
        ("Doc_0/Document.xml", b"<a" + b">" + b"<a>" * 100 + b"</a>" * 101, "no Document"),
        ("Doc_0/Document.xml", b"", "XML"),
        (PAGE, b"<a/>", "no Page"),
    ],
)
def test_a_document_out_of_form_is_refused(part: str, content: bytes, said: str) -> None:
    import asyncio

    made = sealer()
    with pytest.raises(DocumentMalformedError, match=said):
        asyncio.run(made.put(package({**plain_parts(), part: content})))


def test_deep_xml_is_refused() -> None:
    parts = plain_parts()
    deep = parts["OFD.xml"].replace("<ofd:DocID>1", "<ofd:DocID>" + "<a>" * 200 + "</a>" * 200)

    with pytest.raises(DocumentMalformedError, match="too deep"):
        Ofd(package({**parts, "OFD.xml": deep}))


def test_paths_out_of_the_package_are_refused() -> None:
    parts = plain_parts()
    parts["OFD.xml"] = parts["OFD.xml"].replace("Doc_0/Document.xml", "../../etc/passwd")

    with pytest.raises(DocumentMalformedError, match="leads out"):
        Ofd(package(parts))


async def test_a_document_without_a_page_or_with_two_bodies_takes_no_seal(one: Sealer) -> None:
    parts = plain_parts()
    body = parts["OFD.xml"].split(">", 1)[1].removesuffix("</ofd:OFD>")

    with pytest.raises(DocumentMalformedError, match="several documents"):
        await one.put(
            package({**parts, "OFD.xml": parts["OFD.xml"].replace("</ofd:OFD>", body + "</ofd:OFD>")})
        )
    with pytest.raises(DocumentMalformedError, match="no page"):
        await one.put(plain_ofd(0))


async def test_a_folder_with_a_chinese_name_is_sealed_all_the_same(one: Sealer) -> None:
    parts = {
        name.replace("Doc_0", "文档"): content.replace("Doc_0", "文档")
        for name, content in plain_parts().items()
    }

    (found,) = inspected(await one.put(package(parts)), [one])

    assert (found.intact, found.valid, found.covers_whole_document) == (True, True, True)


async def test_a_damaged_sealed_document_is_never_found_good(one: Sealer) -> None:
    """Whatever one byte becomes, in whatever part: refused, or told as not holding."""
    import random

    sealed, chance = await one.put(plain_ofd()), random.Random(3)
    free = {"Doc_0/Signs/Signatures.xml"}
    for _ in range(150):
        parts = unpacked(sealed)
        name = chance.choice([it for it in parts if it not in free])
        content = bytearray(parts[name])
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        try:
            found = inspected(package({**parts, name: bytes(content)}), [one])
        except ServiceError:
            continue
        # Without a seal it proves nothing either.
        held = [it.intact and it.valid and it.genuine_now and it.permitted for it in found]
        assert not held or not all(held), name
