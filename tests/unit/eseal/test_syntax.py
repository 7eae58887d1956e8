"""Reading a file's objects as they stand, and its tables of contents."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.eseal.pdf.crossref import Objects
from services.eseal.pdf.syntax import (
    DEEPEST,
    OddError,
    numbers_of,
    read_array,
    read_dictionary,
    references_of,
    whole_numbers_of,
    with_element,
)
from services.eseal.pdf.unpacking import LARGEST, read_stream
from tests.unit.eseal.documents import HEAD, PAGE, TREE, pdf_of, stream_of

TEXT = b"<</A(x(y)\\)z)/B<</C[1 2 0 R(a)/x]/D null>>/E 1 0 R % >> a remark\n/#46 true/G<aF 0>>>"


def test_a_dictionary_knows_its_values_as_they_are_written() -> None:
    read = read_dictionary(b" \n" + TEXT + b" endobj", 0)

    assert {name: read.value(name) for name in read.entries} == {
        b"/A": b"(x(y)\\)z)",
        b"/B": b"<</C[1 2 0 R(a)/x]/D null>>",
        b"/E": b"1 0 R",
        b"/F": b"true",
        b"/G": b"<aF 0>",
    }
    assert read.end == 2 + len(TEXT)
    assert read.reference(b"/E") == 1


def test_an_entry_is_changed_added_or_taken_out_and_all_else_stays() -> None:
    changed = read_dictionary(TEXT, 0).changed({b"/B": b"7", b"/E": None, b"/H": b"[8]"})

    read = read_dictionary(changed, 0)
    assert changed.startswith(b"<</A(x(y)\\)z)/B 7")
    assert [read.value(name) for name in (b"/A", b"/B", b"/F", b"/H")] == [
        b"(x(y)\\)z)",
        b"7",
        b"true",
        b"[8]",
    ]
    assert b"/E" not in read


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"<</A>>",
        b"<<1 2>>",
        b"<</A 1/A 2>>",
        b"<</A 1/#41 2>>",
        b"<</A [>>",
        b"<</A <<]>>",
        b"<</A 1 2>>",
        b"<</A (>>",
        b"<</A <0g>>>",
        b"<</A 0 0 R>>",
        b"<</A 1e5>>",
        b"<</A nil>>",
        b"<</A {}>>",
        b"<</A 1 >",
        b"<</A " * (DEEPEST + 1) + b"1" + b">>" * (DEEPEST + 1),
        b"<</A " * 100_000,
    ],
)
def test_what_is_no_dictionary_is_odd(text: bytes) -> None:
    with pytest.raises(OddError):
        read_dictionary(text, 0)


def test_arrays() -> None:
    assert read_array(b" [1 [2] (]) <</A[]>>] 3", 0) == (b"[1 [2] (]) <</A[]>>]", 21)
    assert references_of(b"[ 1 0 R\n22 0 R ]") == [1, 22]
    assert references_of(b"[]") == []
    assert numbers_of(b"[0 -1.5 .5 +3.]") == [0, -1.5, 0.5, 3]
    assert with_element(b"[1 0 R % one\n]", b"2 0 R") == b"[1 0 R % one\n 2 0 R]"
    for text in (b"[1 R]", b"[1 1 R]", b"[1 0 R 2]", b"1 0 R"):
        with pytest.raises(OddError):
            references_of(text)
    assert whole_numbers_of(b"[ 1 22\n3]") == [1, 22, 3]
    for text in (b"[-1]", b"[1.0]", b"[%b]" % (b"9" * 5_000), b"[1 0 R]"):
        with pytest.raises(OddError):
            whole_numbers_of(text)
    for text in (b"[1 x]", b"[1 0 R]", b"[--1]", b"1"):
        with pytest.raises(OddError):
            numbers_of(text)


@settings(max_examples=300)
@given(st.binary(max_size=60).map(lambda tail: b"<</A " + tail))
def test_whatever_follows_reading_ends_in_a_dictionary_or_as_odd(text: bytes) -> None:
    try:
        read = read_dictionary(text, 0)
    except OddError:
        return
    assert text[: read.end] == read.text
    assert read_dictionary(read.changed({b"/Z": b"1"}), 0).value(b"/Z") == b"1"


def test_a_stream_that_unpacks_to_more_than_may_be_is_odd() -> None:
    small, large = (zlib.compress(bytes(size)) for size in (LARGEST - 1, LARGEST + 1))

    assert len(read_stream(_stream(small), 0)[1]) == LARGEST - 1
    with pytest.raises(OddError):
        read_stream(_stream(large), 0)


@pytest.mark.parametrize(
    "body",
    [
        stream_of(b"x", b"/Filter /LZWDecode"),
        stream_of(b"x", b"/Filter /FlateDecode"),
        stream_of(zlib.compress(b"x")[:-1], b"/Filter /FlateDecode"),
        stream_of(zlib.compress(b"x") + b"y", b"/Filter /FlateDecode"),
        stream_of(zlib.compress(b"xyz"), b"/Filter /FlateDecode /DecodeParms <</Predictor 12 /Columns 2>>"),
        stream_of(zlib.compress(b"\1x"), b"/Filter /FlateDecode /DecodeParms <</Predictor 12 /Columns 1>>"),
        stream_of(zlib.compress(b"\2x"), b"/Filter /FlateDecode /DecodeParms <</Predictor 2 /Columns 1>>"),
        stream_of(b"x").replace(b"/Length 1", b"/Length 3"),
        stream_of(b"x").replace(b"/Length 1", b"/Length 1 0 R"),
    ],
)
def test_a_stream_of_another_make_is_odd(body: bytes) -> None:
    with pytest.raises(OddError):
        read_stream(body + b"\nendobj\n", 0)


def test_every_object_of_a_file_is_found_by_its_number_and_none_by_another() -> None:
    objects = Objects(pdf_of([HEAD, TREE, PAGE, b"[1 0 R]"]))

    assert objects.dictionary(1).text == HEAD
    assert objects.array(4) == b"[1 0 R]"
    for number in (0, 5, 4):
        with pytest.raises(OddError):
            objects.dictionary(number)


def _stream(packed: bytes) -> bytes:
    return stream_of(packed, b"/Filter /FlateDecode") + b"\nendobj\n"
