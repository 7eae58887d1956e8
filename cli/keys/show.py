"""What `keys show` prints: versions, processes and what is left under old keys. Never a key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cli.keys.indexes import IndexRows
from cli.keys.part import DataKey, Part
from cli.keys.tables import SealedRows

HEADINGS = ("part", "key-encryption key", "data key", "index key", "processes", "under old keys")


async def describe(part: Part) -> tuple[str, ...]:
    """A part's line."""
    ring, keys, holders = part.ring(), await part.data_keys(), await part.holders()
    fingerprint = ring.fingerprint
    behind = sum(holder.keyring != fingerprint for holder in holders)
    processes = str(len(holders)) + (f" ({behind} with another key file)" if behind else "")
    return (
        part.name,
        _versions(ring.kek, ring.current_kek),
        _data_versions(keys),
        _versions(ring.index, ring.current_index),
        processes,
        ", ".join([*await _old_sealed(part, keys), *await _old_indexed(part, ring.current_index)]) or "-",
    )


async def _old_sealed(part: Part, keys: Sequence[DataKey]) -> list[str]:
    current = max((key.version for key in keys if key.active_at is not None), default=0)
    if len(keys) < 2:
        return []
    counts = [(table.table, await SealedRows(part, table).count_old(current)) for table in part.listed.sealed]
    return [f"{count:,} in {table} (data key)" for table, count in counts if count]


async def _old_indexed(part: Part, current: int) -> list[str]:
    counts = [(table.table, await IndexRows(part, table).count_old(current)) for table in part.listed.indexes]
    return [f"{count:,} in {table} (index key)" for table, count in counts if count]


def _versions(versions: Iterable[int], current: int) -> str:
    """`1, 2 (current)`: what is current is named where there is a choice."""
    listed = sorted(versions)
    if listed == [current]:
        return str(current)
    return ", ".join(f"{version} (current)" if version == current else str(version) for version in listed)


def _data_versions(keys: Sequence[DataKey]) -> str:
    if not keys:
        return "none yet"
    current = max((key.version for key in keys if key.active_at is not None), default=0)
    states = {
        key.version: "announced"
        if key.active_at is None
        else "current"
        if key.version == current
        else "retired"
        if key.retired_at
        else "going out of use"
        for key in keys
    }
    if len(keys) == 1:
        return str(keys[0].version)
    return ", ".join(f"{version} ({state})" for version, state in states.items())


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their headings, in columns."""
    lines = [HEADINGS, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
