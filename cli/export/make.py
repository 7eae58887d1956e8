"""Makes an export: a whole file under its name after the ledger has recorded it, or none."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psycopg
from joserfc.jwk import ECKey

from cli.backup.logproof import newest_checkpoint, opened
from cli.export import archive
from cli.export.openings import OPENINGS_A_READ, Opened, sealed_lines
from cli.export.rangeproof import outer_ranges
from cli.recording import recorder
from cli.showing import step
from core.entries import Entry, EntryKind, Outcome, Receipt, RecordRef
from core.keyring import Keyring
from core.ledger import receipt_to_pb
from core.merkle import leaf_hash
from core.receipt import commitment
from core.receipt_json import receipt_json
from core.vault import SealBrokenError, Vault
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.pki import EXPORTER
from deploy.local.settings import Settings
from services.ledger.entry import LEDGER_ENTRIES
from services.ledger.merkle import TILE_HEIGHT, TileId, Tree, tiles_of
from services.ledger.service import SEALED

ROWS_A_READ = 2000
SALT_BYTES = 32

Rows = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Wish:
    """Which period (in UTC or any zone), to which file, for whom and why, by whose hand; `key` encrypts what
    opens the entries, None leaves that out."""

    period_from: datetime
    period_until: datetime
    to: Path
    auditor: str
    operator: str
    reason: str
    key: ECKey | None


def make(settings: Settings, dsn: str, wish: Wish) -> archive.ExportManifest:
    """Writes the archive, has the ledger record it, and gives it its name. Raises GroundError."""
    os.umask(0o077)
    if wish.to.exists():
        raise GroundError(f"{wish.to} is there already.", "name a file that does not exist.")
    fresh = wish.to.with_name(f"{wish.to.name}.unfinished")
    fresh.unlink(missing_ok=True)
    try:
        manifest = _write(settings, dsn, wish, fresh)
        files.sync(fresh)
        fresh.rename(wish.to)
        files.sync(wish.to.absolute().parent)
    finally:
        fresh.unlink(missing_ok=True)
    return manifest


def _write(settings: Settings, dsn: str, wish: Wish, fresh: Path) -> archive.ExportManifest:
    keys = (settings.keys / "ledger.vkey").read_text(encoding="utf-8")
    with psycopg.connect(dsn, autocommit=True) as connection, archive.writing(fresh) as packed:
        note = newest_checkpoint(connection)
        if not note:
            raise GroundError("The log has not begun.", "start the city first.")
        head = opened(note, keys, "the newest checkpoint in the database")
        first, end = _places(connection, wish, head.size)
        with step("writing the entries") as told, packed.member(archive.ENTRIES) as stream:
            for index, leaf in _leaves(connection, first, end):
                stream.write(leaf + b"\n")
                told(index - first, end - first)
        outer = _outer_hashes(connection, head.size, first, end)
        packed.whole(archive.PROOF, json.dumps({"outer": [one.hex() for one in outer]}).encode())
        packed.whole(archive.CHECKPOINT, note.encode())
        packed.whole(archive.KEYS, keys.encode())
        openings = None
        if wish.key is not None:
            vault = asyncio.run(_vault(settings))
            with step("encrypting what opens them") as told, packed.member(archive.OPENINGS) as stream:
                count = 0
                for some in _openings(connection, vault, first, end):
                    for line in sealed_lines(some, wish.key):
                        stream.write(line)
                    count += len(some)
                    told(some[-1].index - first, end - first)
            openings = archive.Openings(key_id=wish.key.thumbprint(), count=count)
        manifest = archive.ExportManifest(
            format="onestop-export/1",
            made_at=datetime.now(UTC),
            auditor=wish.auditor,
            reason=wish.reason,
            period_from=wish.period_from,
            period_until=wish.period_until,
            first=first,
            end=end,
            size=head.size,
            openings=openings,
            files=packed.sums,
        )
        text = manifest.model_dump_json(indent=2).encode()
        packed.whole(archive.MANIFEST, text)
        receipt = asyncio.run(_record(settings, wish, manifest, text))
        packed.whole(archive.RECEIPT, receipt_json(receipt_to_pb(receipt)))
    return manifest


def _places(connection: Rows, wish: Wish, size: int) -> tuple[int, int]:
    """The entries of the period, as a run: from the first that was appended in it to the last."""
    row = connection.execute(
        "SELECT min(idx), max(idx) + 1 FROM ledger.entry"
        " WHERE appended_at >= %s AND appended_at < %s AND idx < %s",
        (wish.period_from, wish.period_until, size),
    ).fetchone()
    if row is None or row[0] is None:
        raise GroundError("No entry was appended in this period.", "name another one by --from and --until.")
    return int(str(row[0])), int(str(row[1]))


def _leaves(connection: Rows, first: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of every entry of a run. Raises GroundError where one is missing."""
    expected = first
    with connection.transaction(), connection.cursor(name="leaves") as cursor:
        cursor.itersize = ROWS_A_READ
        cursor.execute(
            "SELECT idx, leaf FROM ledger.entry WHERE idx >= %s AND idx < %s ORDER BY idx", (first, end)
        )
        for index, leaf in cursor:
            if index != expected or not isinstance(leaf, bytes):
                break
            yield expected, leaf
            expected += 1
    if expected != end:
        raise GroundError(f"The ledger's entry {expected} is missing.", "the database was altered: audit it.")


def _openings(connection: Rows, vault: Vault, first: int, end: int) -> Iterator[list[Opened]]:
    """What opens the run's entries, as far as it has not been destroyed, some hundred at a time."""
    with connection.transaction(), connection.cursor(name="openings") as cursor:
        cursor.itersize = ROWS_A_READ
        cursor.execute(
            "SELECT e.idx, e.item_id, o.sealed FROM ledger.entry AS e"
            " JOIN ledger.opening AS o ON o.item_id = e.item_id"
            " WHERE e.idx >= %s AND e.idx < %s ORDER BY e.idx",
            (first, end),
        )
        while rows := cursor.fetchmany(OPENINGS_A_READ):
            some = []
            for index, item_id, sealed in rows:
                assert isinstance(index, int)
                assert isinstance(item_id, uuid.UUID)
                assert isinstance(sealed, bytes)
                try:
                    some.append(Opened(index, vault.unseal(sealed, row=item_id, column=SEALED)))
                except SealBrokenError:
                    raise GroundError(
                        f"What opens entry {index} does not open with the ledger's keyring.",
                        "if keys are being rotated, try again; else audit the database.",
                    ) from None
            yield some


async def _vault(settings: Settings) -> Vault:
    """The ledger's vault, as its own role sees it."""
    dsn = (settings.keys / "ledger.dsn").read_text(encoding="utf-8").strip()
    connection = await asyncpg.connect(dsn)
    try:
        return await Vault.open(connection, Keyring.load(settings.keys / "ledger-keyring.json"))
    finally:
        await connection.close()


def _outer_hashes(connection: Rows, size: int, first: int, end: int) -> tuple[bytes, ...]:
    """The hashes of the subtrees beside the run, from the log's tiles."""
    ranges = outer_ranges(size, first, end)
    tiles = {tile: _tile(connection, tile, size) for tile in tiles_of(ranges)}
    return Tree.load(size, tiles).hashes(ranges)


def _tile(connection: Rows, tile: TileId, size: int) -> bytes:
    """A tile's hashes; one that is not full is made from what lies below."""
    row = connection.execute(
        "SELECT hashes FROM ledger.tile WHERE level = %s AND idx = %s", (tile.level, tile.index)
    ).fetchone()
    if row is not None and isinstance(row[0], bytes):
        return row[0]
    low = tile.index << TILE_HEIGHT
    high = low + tile.width(size)
    if tile.level == 0:
        return b"".join(leaf_hash(leaf) for _, leaf in _leaves(connection, low, high))
    roots = connection.execute(
        "SELECT root FROM ledger.tile WHERE level = %s AND idx >= %s AND idx < %s ORDER BY idx",
        (tile.level - 1, low, high),
    ).fetchall()
    return b"".join(root for (root,) in roots if isinstance(root, bytes))


async def _record(settings: Settings, wish: Wish, manifest: archive.ExportManifest, text: bytes) -> Receipt:
    """The ledger's receipt for this disclosure. Raises GroundError where it cannot record it."""
    salt = secrets.token_bytes(SALT_BYTES)
    entry = Entry(
        item_id=uuid.uuid4(),
        kind=EntryKind.DISCLOSURE,
        method="ledger.export",
        caller=wish.auditor,
        office="",
        basis=None,
        purpose=wish.reason,
        operator=wish.operator,
        subject=None,
        field_names=("entries", *(("operator", "purpose", "salts", "subject") if manifest.openings else ())),
        records=(RecordRef(LEDGER_ENTRIES, f"{manifest.first}-{manifest.end}"),),
        outcome=Outcome.RELEASED,
        answer_commitment=commitment(salt, text),
        answer_salt=salt,
    )
    async with recorder(settings, EXPORTER) as client:
        return await client.append(entry)
