"""Paths of tiles: C2SP tlog-tiles."""

from __future__ import annotations

import pytest

from gateway.tiles import tile_at


@pytest.mark.parametrize(
    ("level", "index", "number", "width"),
    [
        ("0", "000", 0, 256),
        ("0", "999", 999, 256),
        ("7", "x001/000", 1000, 256),
        ("63", "x001/x234/067", 1234067, 256),
        ("2", "x001/x234/067.p/1", 1234067, 1),
        ("0", "273.p/112", 273, 112),
        ("0", "000.p/255", 0, 255),
        ("0", "x009/x223/x372/x036/x854/x775/807", (1 << 63) - 1, 256),
    ],
)
def test_path_names_a_tile(level: str, index: str, number: int, width: int) -> None:
    tile = tile_at(level, index)

    assert tile is not None
    assert (tile.level, tile.index, tile.width) == (int(level), number, width)


@pytest.mark.parametrize(
    ("level", "index"),
    [
        ("64", "000"),
        ("00", "000"),
        ("-1", "000"),
        ("", "000"),
        ("entries", "000"),
        ("٣", "000"),
        ("0", ""),
        ("0", "0"),
        ("0", "0000"),
        ("0", "x000/000"),
        ("0", "001/000"),
        ("0", "x001"),
        ("0", "x001/"),
        ("0", "X001/000"),
        ("0", "٠٠٠"),
        ("0", "000.p"),
        ("0", "000.p/"),
        ("0", "000.p/0"),
        ("0", "000.p/01"),
        ("0", "000.p/256"),
        ("0", "000.p/999"),
        ("0", "000.p/1/2"),
        ("0", "000\n"),
        ("0", "x009/x223/x372/x036/x854/x775/808"),
        ("0", "x999/x999/x999/x999/x999/x999/x999/999"),
    ],
)
def test_other_paths_name_none(level: str, index: str) -> None:
    assert tile_at(level, index) is None
