"""What opens entries is for the auditor's key alone, however much of it there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.export.openings import BYTES_A_LINE, Opened, make_key, opened_line, read_key, sealed_lines
from core.merkle import VerificationError
from deploy.local.errors import GroundError


def test_openings_of_any_number_and_size_come_back(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    make_key(private, public)
    sizes = [10] * 700 + [BYTES_A_LINE - 1, BYTES_A_LINE, 600_000, 5]
    given = [Opened(index, json.dumps({"purpose": "x" * size}).encode()) for index, size in enumerate(sizes)]

    lines = list(sealed_lines(given, read_key(public, private=False)))

    key = read_key(private, private=True)
    assert [one for line in lines for one in opened_line(line[:-1], key)] == given
    assert len(lines) < 10
    assert not any(b"x" * 12 in line for line in lines)  # Fewer come about by chance.


def test_another_key_or_another_line_opens_nothing(tmp_path: Path) -> None:
    make_key(tmp_path / "a", tmp_path / "a.pub")
    make_key(tmp_path / "b", tmp_path / "b.pub")
    (line,) = sealed_lines([Opened(1, b'{"purpose":"x"}')], read_key(tmp_path / "a.pub", private=False))

    with pytest.raises(VerificationError):
        list(opened_line(line[:-1], read_key(tmp_path / "b", private=True)))
    changed = line[:-6] + (b"A" if line[-6:-5] != b"A" else b"B") + line[-5:-1]
    with pytest.raises(VerificationError):
        list(opened_line(changed, read_key(tmp_path / "a", private=True)))


def test_a_file_that_is_no_such_key_is_named(tmp_path: Path) -> None:
    make_key(tmp_path / "a", tmp_path / "a.pub")
    (tmp_path / "text").write_text("no key")

    for path, private in (("a.pub", True), ("text", False), ("nothing", False)):
        with pytest.raises(GroundError, match="is no"):
            read_key(tmp_path / path, private=private)
    with pytest.raises(GroundError, match="is there already"):
        make_key(tmp_path / "a", tmp_path / "c.pub")
