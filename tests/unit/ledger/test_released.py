"""The file of the last released checkpoint survives being cut off at any moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services.ledger.domain import CustodyError, StoreLostError
from services.ledger.released import SLOT_BYTES, LastReleasedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger-last-checkpoint"


def test_nothing_was_kept_where_there_is_no_file(path: Path) -> None:
    assert asyncio.run(LastReleasedFile(path).read()) is None


def test_newest_checkpoint_is_read_by_the_next_process(path: Path) -> None:
    for number in range(5):
        file = LastReleasedFile(path)
        for step in range(number + 1):
            asyncio.run(file.keep(f"checkpoint {number}.{step}\n\n— log signature\n"))

        assert (
            asyncio.run(LastReleasedFile(path).read()) == f"checkpoint {number}.{number}\n\n— log signature\n"
        )

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 2 * SLOT_BYTES


@pytest.mark.parametrize("cut", [0, 1, 40, 90, 100, 120])
def test_cut_off_write_leaves_the_checkpoint_before(path: Path, cut: int) -> None:
    file = LastReleasedFile(path)
    asyncio.run(file.keep("first\n" * 10))
    asyncio.run(file.keep("second\n" * 10))
    before = path.read_bytes()
    asyncio.run(file.keep("third\n" * 10))
    after = path.read_bytes()
    (changed,) = [at for at in (0, SLOT_BYTES) if before[at : at + SLOT_BYTES] != after[at : at + SLOT_BYTES]]

    path.write_bytes(before[:changed] + after[changed : changed + cut] + before[changed + cut :])

    assert asyncio.run(LastReleasedFile(path).read()) == "second\n" * 10


@pytest.mark.parametrize("content", [b"", b"anything", b"\x00" * 2 * SLOT_BYTES, b"1 2 3\nab"])
def test_file_without_checkpoint_is_not_taken_for_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(CustodyError, match="holds no checkpoint"):
        asyncio.run(LastReleasedFile(path).read())


def test_what_cannot_be_read_or_written_is_said(path: Path) -> None:
    path.mkdir()

    with pytest.raises(StoreLostError, match="cannot be read"):
        asyncio.run(LastReleasedFile(path).read())
    with pytest.raises(StoreLostError, match="cannot be written"):
        asyncio.run(LastReleasedFile(path / "missing" / "file").keep("note"))


def test_file_belongs_to_one_process(path: Path) -> None:
    first, second = LastReleasedFile(path), LastReleasedFile(path)

    assert first.lock()
    assert not second.lock()
    assert path.with_name(f".{path.name}.lock").stat().st_mode & 0o777 == 0o600
