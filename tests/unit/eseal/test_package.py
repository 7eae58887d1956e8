from __future__ import annotations

import random
import struct
import zipfile
import zlib
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ServiceError
from services.eseal.ofd import package
from services.eseal.ofd.package import Package, resolve
from services.eseal.refusals import DocumentMalformedError, DocumentTooLargeError
from services.eseal.sealing.packing import Written
from services.eseal.splice import MARK, Piece, Splice
from tests.unit.eseal.ofds import package as zipped
from tests.unit.eseal.ofds import unpacked

PARTS: dict[str, bytes | str] = {"a.xml": b"<a/>" * 50, "b/c.dat": bytes(range(256)), "文档/正文.xml": b"x"}
MOMENT = datetime(2026, 3, 2, 1, 30, 4, tzinfo=UTC)


def streamed() -> bytes:
    """As a program writes it that does not know a part's length beforehand: it describes it behind."""

    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in PARTS.items():
            made.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("data", [zipped(PARTS), zipped(PARTS, stored=True), streamed()])
def test_a_package_is_read_as_it_was_written(data: bytes) -> None:
    read = Package(data)

    assert {name: read.read(name) for name in read.parts} == PARTS


def test_a_package_is_written_anew_with_its_parts_as_they_were_packed() -> None:
    data = streamed()
    written = Written()
    for part in Package(data).parts.values():
        written = written.with_kept(part)
    written = written.with_new("new.xml", b"<n/>" * 9, MOMENT).with_new("raw.dat", b"r", MOMENT, packed=False)

    splice = Splice.decoded(written.finished().encoded())
    again = splice.applied_to(data)

    assert len(again) == splice.length_over(len(data))
    assert unpacked(again) == {**PARTS, "new.xml": b"<n/>" * 9, "raw.dat": b"r"}
    assert {name: Package(again).read(name) for name in PARTS} == PARTS
    with zipfile.ZipFile(BytesIO(again)) as made:
        assert made.getinfo("new.xml").date_time == (2026, 3, 2, 9, 30, 4)
    start = Package(data).parts["b/c.dat"]
    assert data[start.start : start.end] in again


def test_names_as_chinese_systems_write_them_are_read() -> None:
    raw = "正文.xml".encode("gb18030")
    data = zipped({"x" * len(raw): b"content"}).replace(b"x" * len(raw), raw)

    assert Package(data).read("正文.xml") == b"content"


def test_a_path_is_found_whatever_its_case() -> None:
    read = Package(zipped({"Doc_0/Tpls/a.xml": b"x"}))

    assert read.name_of("Doc_0/TPLS/a.xml") == "Doc_0/Tpls/a.xml"
    assert read.name_of("Doc_0/Tpls") is None


def refusal(data: bytes) -> str:
    """Why a package is refused, when it is opened or when a part is read."""
    with pytest.raises((DocumentMalformedError, DocumentTooLargeError)) as refused:
        _read_all(data)
    return refused.value.message


def _read_all(data: bytes) -> None:
    read = Package(data)
    for name in read.parts:
        read.read(name)


@pytest.mark.parametrize(
    "name",
    [
        "../a.xml",
        "/a.xml",
        "a/../b.xml",
        "a//b.xml",
        "./a.xml",
        "a\\b.xml",
        "C:a.xml",
        "a.xml.",
        "a.xml ",
        "b /a.xml",
        "a\x07.xml",
        "a\x00b",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    stand_in = "x" * len(name)
    data = zipped({stand_in: b"content"}).replace(stand_in.encode(), name.encode())

    assert "path" in refusal(data)


def test_a_name_twice_with_its_accent_written_otherwise_is_refused() -> None:
    assert "same name" in refusal(zipped({"caf\u00e9.xml": b"one", "cafe\u0301.xml": b"two"}))


@pytest.mark.parametrize("other", ["a.xml", "A.XML", "a.xml/b"])
def test_a_name_twice_is_refused(other: str) -> None:
    stand_in = "z" * len(other)
    data = zipped({"a.xml": b"one", stand_in: b"two", "A/": b""}).replace(stand_in.encode(), other.encode())

    if other == "a.xml/b":
        assert Package(data).read("a.xml/b") == b"two"
    else:
        assert "same name" in refusal(data)


def test_bytes_that_belong_to_no_part_are_refused() -> None:
    data = zipped(PARTS)
    directory = data.index(b"PK\x01\x02")
    size, start, comment = struct.unpack_from("<2IH", data, len(data) - 10)

    def with_end(body: bytes, at: int, note: bytes = b"") -> bytes:
        return body[:-10] + struct.pack("<2IH", size, at, len(note)) + note

    assert "no part" in refusal(with_end(data[:directory] + b"hidden" + data[directory:], start + 6))
    assert "ZIP" in refusal(b"MZ" + data)
    assert "behind" in refusal(data + b"x")
    assert "one piece" in refusal(with_end(data, start, b"PK\x05\x06" + bytes(18)))
    assert "behind" in refusal(with_end(data, start, b"PK and so on"))
    assert "behind" in refusal(with_end(data, start, b"n" * 65))
    assert Package(with_end(data, start, b"KRC")).read("a.xml") == PARTS["a.xml"]
    assert comment == 0


def test_a_part_that_the_directory_leaves_out_is_refused() -> None:
    """A reader that goes from part to part would show it, one that goes by the directory would not."""
    both = zipped({"a.xml": b"one", "b.xml": b"two"})
    at = both.index(b"PK\x01\x02")
    second = both.index(b"PK\x01\x02", at + 1)
    size, start, _ = struct.unpack_from("<2IH", both, len(both) - 10)
    cut = second - at
    end = both[len(both) - 22 : len(both) - 14] + struct.pack("<2H2IH", 1, 1, size - cut, start, 0)

    assert "no part" in refusal(both[:at] + both[second:-22] + end)


def test_two_directories_that_contradict_each_other_are_refused() -> None:
    data = bytearray(zipped({"a.xml": b"one"}))
    data[data.index(b"PK\x01\x02") + 46] = ord("b")

    assert "contradicts" in refusal(bytes(data))


def test_an_encrypted_part_is_refused() -> None:
    data = bytearray(zipped({"a.xml": b"one"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1

    assert "encrypted" in refusal(bytes(data))


def test_a_part_that_lies_about_its_length_or_content_is_refused() -> None:
    longer = zipped({"a.xml": b"<a/>" * 1000})
    said = struct.pack("<I", 4000)

    assert "says" in refusal(longer.replace(said, struct.pack("<I", 3999)))
    assert "says" in refusal(longer.replace(said, struct.pack("<I", 4001)))
    crc = struct.pack("<I", zlib.crc32(b"<a/>" * 1000))
    assert "checksum" in refusal(longer.replace(crc, b"\x00" * 4))


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped({f"{index}.xml": bytes(1 << 20) for index in range(4)})
    monkeypatch.setattr(package, "MOST_IN_PART", 1 << 20)
    monkeypatch.setattr(package, "MOST_IN_ALL", 3 << 20)

    assert "unpacks to more" in refusal(bomb)
    monkeypatch.setattr(package, "MOST_IN_PART", (1 << 20) - 1)
    assert "unpacks to more" in refusal(bomb)
    monkeypatch.setattr(package, "MOST_PARTS", 3)
    assert "more than 3 parts" in refusal(bomb)


def test_a_bomb_that_says_it_is_small_is_stopped_at_what_it_says() -> None:
    bomb = zipped({"a.xml": bytes(30 << 20)}).replace(struct.pack("<I", 30 << 20), struct.pack("<I", 10))

    assert "longer or shorter" in refusal(bomb)


@pytest.mark.parametrize(
    ("folder", "location", "path"),
    [
        ("Doc_0", "Pages/a.xml", "Doc_0/Pages/a.xml"),
        ("Doc_0/Signs", "../Res/a.png", "Doc_0/Res/a.png"),
        ("Doc_0", "/OFD.xml", "OFD.xml"),
        ("", "./OFD.xml", "OFD.xml"),
    ],
)
def test_locations_are_paths_in_the_package(folder: str, location: str, path: str) -> None:
    assert resolve(folder, location) == path


@pytest.mark.parametrize("location", ["../../x", "/../x", "a/../../../x"])
def test_a_location_out_of_the_package_is_refused(location: str) -> None:
    with pytest.raises(DocumentMalformedError, match="leads out"):
        resolve("Doc_0", location)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_package_is_refused_or_read_and_nothing_else_happens(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(zipped(PARTS) if seed % 2 else streamed())
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data))
        if chance.random() < 0.6:
            data[at] = chance.randrange(256)
        else:
            del data[at : at + chance.randrange(1, 30)]
    try:
        read = Package(bytes(data))
        for name in read.parts:
            assert len(read.read(name)) == read.parts[name].size
    except ServiceError:
        pass


@pytest.mark.parametrize("data", [b"", b"\x89SPLICE1", Splice((Piece(b"ab", 0, 3),)).encoded()[:-1]])
def test_a_splice_that_was_cut_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="splice"):
        Splice.decoded(data)


def test_a_splice_takes_nothing_from_outside_the_file() -> None:
    for piece in (Piece(b"", 0, 4), Piece(b"", 2, 1)):
        with pytest.raises(ValueError, match="outside"):
            Splice((piece,)).applied_to(b"abc")
    assert Splice((Piece(b"x", 1, 3), Piece(b"y"))).applied_to(b"abc") == b"xbcy"


@pytest.mark.parametrize("size", [1, 1 << 40, (1 << 64) - 1])
def test_a_splice_that_says_more_than_there_is_is_none(size: int) -> None:
    with pytest.raises(ValueError, match="splice"):
        Splice.decoded(MARK + struct.pack(">Q3Q", 2, size, 0, 0))
