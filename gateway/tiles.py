"""Paths of tiles (C2SP tlog-tiles, "Merkle Tree")."""

from __future__ import annotations

import re

from onestop.ledger.v1 import ledger_pb2 as pb

from core.errors import Kind, ServiceError

TILE_WIDTH = 256

_LEVEL = re.compile(r"0|[1-9]|[1-5][0-9]|6[0-3]")
_INDEX = re.compile(r"((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileNotFoundError(ServiceError):
    """The path is none of a tile."""

    kind = Kind.NOT_FOUND
    reason = "TILE_NOT_FOUND"


def tile_at(level: str, index: str) -> pb.GetTileRequest | None:
    """The tile that a path names, `<L>/<N>[.p/<W>]`; None where it names none.

    Each tile has one path alone: indexes have no more groups of digits than they need.
    """
    found = _INDEX.fullmatch(index)
    if not _LEVEL.fullmatch(level) or found is None:
        return None
    groups, width = found[1], int(found[2] or TILE_WIDTH)
    if groups.startswith("x000/") or (found[2] and width >= TILE_WIDTH):
        return None
    number = int(groups.replace("x", "").replace("/", ""))
    if number >= 1 << 63:
        return None
    return pb.GetTileRequest(level=int(level), index=number, width=width)
