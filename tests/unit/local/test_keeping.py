"""Logs are kept for as long as the law asks, compressed, and then no longer."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.errors import GroundError
from deploy.local.files import piece_of
from deploy.local.keeping import LEAST_DAYS, USUAL_DAYS, tidy
from deploy.local.settings import read_settings

NOW = datetime(2026, 11, 28, 4, 0, tzinfo=UTC)


def piece(folder: Path, days: float) -> Path:
    """A piece that ended so many days ago; its file is new, as after a copy."""
    path = piece_of(folder / "gateway.log", NOW - timedelta(days=days))
    path.write_text(f"{days} days\n" * 100)
    return path


def test_pieces_are_compressed_and_deleted_when_their_time_has_come(tmp_path: Path) -> None:
    current = tmp_path / "gateway.log"
    current.write_text("now\n")
    young, old, older = (piece(tmp_path, days) for days in (1, 183.9, 184.1))

    kept = tidy(tmp_path, LEAST_DAYS, NOW)

    assert kept.deleted == 1
    assert current.read_text() == "now\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [current.name, f"{young.name}.gz", f"{old.name}.gz"]
    )
    assert not older.exists()
    packed = tmp_path / f"{old.name}.gz"
    assert gzip.decompress(packed.read_bytes()).decode() == "183.9 days\n" * 100
    assert packed.stat().st_mode & 0o777 == 0o600
    assert kept.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert tidy(tmp_path, LEAST_DAYS, NOW + timedelta(days=0.2)).deleted == 1


def test_tidying_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = piece(tmp_path, 2)
    whole = path.read_bytes()
    (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(whole))
    (tmp_path / f".{path.name}.gz").write_bytes(b"half")

    tidy(tmp_path, LEAST_DAYS, NOW)

    assert gzip.decompress((tmp_path / f"{path.name}.gz").read_bytes()) == whole
    assert not path.exists()
    assert not (tmp_path / f".{path.name}.gz").exists()


def test_pieces_of_an_older_version_keep_the_time_of_their_file(tmp_path: Path) -> None:
    for name, days in (("gateway.log.1", 10), ("gateway.log.2", 300)):
        (tmp_path / name).write_text(name)
        ended = (NOW - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (ended, ended))

    assert tidy(tmp_path, LEAST_DAYS, NOW).deleted == 1

    (left,) = tmp_path.iterdir()
    assert gzip.decompress(left.read_bytes()) == b"gateway.log.1"


def test_fewer_days_than_the_law_asks_for_are_refused() -> None:
    assert read_settings({}).log_days == USUAL_DAYS >= LEAST_DAYS
    assert read_settings({"ONESTOP_LOG_DAYS": "184"}).log_days == LEAST_DAYS
    with pytest.raises(GroundError, match="the law asks for six months"):
        read_settings({"ONESTOP_LOG_DAYS": "183"})
