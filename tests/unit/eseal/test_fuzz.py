"""The readers on bytes that lie: the short form of `make fuzz-eseal`, and what its long form has found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import __main__ as long_form
from tests.fuzz.targets import TARGETS

MOST_FILES, LONGEST_FILE = 60, 32 * 1024
CORPUS = {name: sorted((long_form.CORPUS / name).iterdir()) for name in TARGETS}
QUICK = [name for name in TARGETS if name not in {"layout", "inspected", "keywords"}]
"""Those whose reading is ours alone."""


def damaged(data: bytes, seed: int) -> bytes:
    """The bytes with a few of them changed, left out, doubled or moved."""
    chance, out = random.Random(seed), bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at, length = chance.randrange(len(out) + 1), chance.choice((1, 2, 4, 16, 64))
        kind = chance.randrange(5)
        if kind == 0:
            out[at : at + 1] = bytes((chance.randrange(256),))
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length]
        elif kind == 3:
            out[at:at] = chance.choice((b"0", b"9" * length, b"<<", b"[" * length, b"\x30\x80", b"\xff" * 8))
        else:
            other = chance.randrange(len(out) + 1)
            out[at : at + length] = out[other : other + length]
    return bytes(out)


@pytest.mark.parametrize("name", TARGETS)
def test_each_reader_answers_or_refuses_whatever_was_found_before(name: str) -> None:
    files = CORPUS[name]

    assert 0 < len(files) <= MOST_FILES
    for path in files:
        content = path.read_bytes()
        assert len(content) <= LONGEST_FILE, path.name
        TARGETS[name](content)


@pytest.mark.parametrize("name", QUICK)
def test_each_reader_answers_or_refuses_whatever_is_damaged(name: str) -> None:
    seeds = [path.read_bytes() for path in CORPUS[name]]

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(seeds), st.integers(0, 2**32))
    def tried(content: bytes, seed: int) -> None:
        TARGETS[name](damaged(content, seed))

    tried()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["syntax", "seals", "xml_parts", "splices", "encodings", "packages"]),
    st.binary(max_size=200),
)
def test_each_reader_answers_or_refuses_any_bytes(name: str, content: bytes) -> None:
    TARGETS[name](content)


def test_the_corpus_has_a_folder_for_each_reader_and_no_other() -> None:
    assert {path.name for path in Path(long_form.CORPUS).iterdir()} == set(TARGETS)
