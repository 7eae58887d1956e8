"""The three rotations of one part's keys.

Each is a row of small steps, and where it stands can be read from the key file and the database alone: more
than one version means that a rotation is under way. So it may be broken off after any step; run again, it
goes on from there, and begins a new one only where none was under way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from psycopg import sql

from cli.keys.fences import INDEXED, SEALED, WRAPPED, Fence, indexed_since, sealed_since
from cli.keys.indexes import IndexRows
from cli.keys.part import DataKey, KeysError, Part, Q
from cli.keys.tables import SealedRows
from core.vault import wrap

PROOFS = 5
TELL_SECONDS = 5.0


async def rotate_kek(part: Part) -> None:
    """A new key-encryption key in the key file; the data keys wrapped with it; the old one dropped."""
    ring = part.ring()
    if len(ring.kek) == 1:
        ring = ring.with_new_kek()
        await part.save(ring)
        part.say(f"key-encryption key {ring.current_kek} is in the key file")
    else:
        part.say(f"going on with key-encryption key {ring.current_kek}")
    await _every_process_has_the_file(part, settle=False)
    fence = Fence(
        part,
        "data_key",
        WRAPPED,
        ring.current_kek,
        sql.SQL("kek_version >= {}").format(sql.Literal(ring.current_kek)),
    )
    async with part.brief_lock():
        await part.run(Q.lock_data_keys)
        again = [key for key in await part.data_keys() if key.kek_version != ring.current_kek]
        for key in again:
            wrapped = wrap(ring, key.version, part.unwrapped(ring, key))
            await part.run(
                Q.rewrap_data_key, version=key.version, wrapped=wrapped, kek_version=ring.current_kek
            )
            await part.step("a data key is wrapped anew")
    await part.step("the data keys are wrapped anew")
    part.say(f"{_count(len(again), 'data key')} wrapped with key-encryption key {ring.current_kek}")
    await fence.put_up()
    if not await fence.prove():
        raise KeysError("a data key is still wrapped with the old key-encryption key; run the command again")
    await part.rewrite_data_keys()
    await part.save(ring.without_old_keks())
    part.say("the old key-encryption key is dropped")
    await _every_process_has_the_file(part, settle=False)


async def rotate_data(part: Part) -> None:
    """A new data key; every value sealed with it; the old one deleted."""
    await _refuse_unlisted(part)
    ring = part.ring()
    keys = await part.data_keys()
    if not keys:
        part.say("nothing has been sealed yet; there is no data key")
        return
    if len(keys) == 1:
        new = keys[0].version + 1
        wrapped = wrap(ring, new, secrets.token_bytes(32))
        await part.run(Q.announce_data_key, version=new, wrapped=wrapped, kek_version=ring.current_kek)
        await part.step("the data key is announced")
        part.say(f"data key {new} is made")
    else:
        new = keys[-1].version
        part.say(f"going on with data key {new}")
    await _put_to_use(part, new)
    await _seal_anew(part, new)
    for name, seconds in part.listed.outside.items():
        (row,) = await part.rows(Q.seconds_since_retired, version=new)
        life = part.life(name, timedelta(seconds=seconds)).total_seconds()
        await part.expired(name, life - row["seconds"])
    # What was read before it was sealed anew may still be about to be opened.
    await part.every_process(lambda holder: holder.seals >= new, f"data key {new} in use")
    await part.run(Q.drop_data_keys, version=new)
    await part.step("the old data key is deleted")
    await part.rewrite_data_keys()
    part.say("the old data key is deleted")
    await part.every_process(
        lambda holder: min(holder.data_keys) >= new, "forgotten the old data key", settle=False
    )


async def rotate_index(part: Part) -> None:
    """A new blind-index key; every number indexed with it; the old one dropped."""
    await _refuse_unlisted(part)
    ring = part.ring()
    if len(ring.index) == 1:
        ring = ring.with_announced_index()
        await part.save(ring)
        part.say(f"index key {max(ring.index)} is in the key file")
    else:
        part.say(f"going on with index key {max(ring.index)}")
    if ring.current_index != max(ring.index):
        # Nobody may write under the new key before everybody looks under it.
        await _every_process_has_the_file(part)
        ring = ring.with_newest_index()
        await part.save(ring)
        part.say(f"index key {ring.current_index} is in use")
    await _every_process_has_the_file(part)
    await _index_anew(part)
    await part.save(ring.without_old_indexes())
    part.say("the old index key is dropped")
    await _every_process_has_the_file(part, settle=False)


async def _put_to_use(part: Part, new: int) -> None:
    """From when this returns on, no process seals with an older data key."""
    if _key(await part.data_keys(), new).active_at is None:
        await part.every_process(lambda holder: new in holder.data_keys, f"data key {new}")
        await part.run(Q.activate_data_key, version=new)
        await part.step("the data key is in use")
        part.say(f"data key {new} is in use")
    if any(key.retired_at is None for key in await part.data_keys() if key.version < new):
        await part.every_process(lambda holder: holder.seals >= new, f"data key {new} in use")
        await part.run(Q.retire_data_keys, version=new)
        await part.step("the old data key is retired")


async def _seal_anew(part: Part, new: int) -> None:
    vault = await part.vault(part.ring(), current=new)
    fences = [Fence(part, table.table, SEALED, new, sealed_since(table, new)) for table in part.listed.sealed]
    progress = Progress(part, "rows sealed anew")
    for table in part.listed.sealed:
        await SealedRows(part, table).reseal(vault, progress.add)
    for fence in fences:
        await fence.put_up()
    for table, fence in zip(part.listed.sealed, fences, strict=True):
        for _ in range(PROOFS):
            await SealedRows(part, table).reseal(vault, progress.add)
            if await fence.prove():
                break
        else:
            raise KeysError(f"{table.table} still has values of the old data key; run the command again")
    progress.done()


async def _index_anew(part: Part) -> None:
    ring = part.ring()
    new = ring.current_index
    progress = Progress(part, "rows indexed anew")
    vault = await part.vault(ring) if await part.data_keys() else None
    for table in part.listed.indexes:
        rows = IndexRows(part, table)
        if table.expires is not None:
            while left := await rows.forget(new):
                await part.expired(f"rows of {table.table}", left)
        elif vault is not None:
            await rows.reindex(ring, vault, progress.add)
    for table in part.listed.indexes:
        fence = Fence(part, table.table, INDEXED, new, indexed_since(table, new))
        await fence.put_up()
        for _ in range(PROOFS):
            if vault is not None and table.numbers:
                await IndexRows(part, table).reindex(ring, vault, progress.add)
            if await fence.prove():
                break
        else:
            raise KeysError(f"{table.table} still has rows of the old index key; run the command again")
    progress.done()


async def _every_process_has_the_file(part: Part, *, settle: bool = True) -> None:
    fingerprint = part.ring().fingerprint
    await part.every_process(
        lambda holder: holder.keyring == fingerprint, "loaded the key file", settle=settle
    )


async def _refuse_unlisted(part: Part) -> None:
    """Raises KeysError where the database has a column that the list does not speak of."""
    rows = await part.rows(Q.bytea_columns)
    unknown = {(row["table"], row["column"]) for row in rows} - part.listed.known_columns
    if unknown:
        names = ", ".join(f"{table}.{column}" for table, column in sorted(unknown))
        raise KeysError(f"its list of sealed columns (sealed.toml) does not speak of {names}")


class Progress:
    """Counts rows and tells now and then."""

    def __init__(self, part: Part, what: str) -> None:
        self._part = part
        self._what = what
        self._rows = 0
        self._told = time.monotonic()
        self.add: Callable[[int], None] = self._add

    def done(self) -> None:
        """Tells the last number."""
        self._part.say(f"{self._rows:,} {self._what}")

    def _add(self, rows: int) -> None:
        self._rows += rows
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self.done()


def _key(keys: list[DataKey], version: int) -> DataKey:
    return next(key for key in keys if key.version == version)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
