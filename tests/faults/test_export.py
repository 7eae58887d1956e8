"""A period of a running ledger is exported, proves itself offline, and opens for its auditor alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from core.entries import Entry, EntryKind
from core.ledger import LedgerClient
from tests.city import City
from tests.command import onestop
from tests.faults.test_ledger import open_channel
from tests.store.ledger.conftest import SUBJECT, disclosure, intent, outcome

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def city() -> Iterator[City]:
    """A ledger and its database, as real processes."""
    made = City(only=["ledger"], town=False)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


def rewritten(archive: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of an archive with one member changed, or left out where nothing is left of it."""
    copy = archive.with_name(f"{archive.stem}-{name}.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(copy, "w") as target:
        for member in source.namelist():
            content = source.read(member)
            changed = change(content) if member == name else content
            if changed or member != name:
                target.writestr(member, changed)
    return copy


def with_sums(archive: Path) -> Path:
    """The same archive with a manifest whose sums are right again: its maker lies consistently."""

    def sums(content: bytes) -> bytes:
        manifest = json.loads(content)
        with zipfile.ZipFile(archive) as source:
            for name in manifest["files"]:
                data = source.read(name)
                digest = hashlib.sha256(data).hexdigest()
                manifest["files"][name] = {"size": len(data), "sha256": digest}
        return json.dumps(manifest).encode()

    return rewritten(archive, "manifest.json", sums).rename(archive.with_name("consistent.zip"))


async def test_exported_period_proves_itself_and_opens_for_its_auditor(city: City, tmp_path: Path) -> None:
    async with open_channel(city, "licence") as opened:
        client = LedgerClient(opened)
        for _ in range(3):
            await client.append(disclosure())
        act = intent()
        entries: list[Entry] = [*(disclosure() for _ in range(300)), act, outcome(act)]
        period_from = datetime.now(UTC)
        for entry in entries:
            await client.append(entry)
        period_until = datetime.now(UTC)
        for _ in range(2):
            await client.append(disclosure())
    shredded = entries[5]
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM ledger.opening WHERE item_id = %s", (shredded.item_id,))

    private, public, archive = tmp_path / "p.jwk", tmp_path / "a.jwk", tmp_path / "period.zip"
    vkey = tmp_path / "ledger.vkey"
    shutil.copy(city.settings.keys / "ledger.vkey", vkey)
    assert onestop(city, "export", "key", "--private", private, "--public", public)[0] == 0
    assert private.stat().st_mode & 0o077 == 0
    period = ("--from", period_from.isoformat(), "--until", period_until.isoformat())
    who = ("--auditor", "audit-bureau", "--operator", "clerk.09", "--reason", "order 7/2026")

    code, said = onestop(city, "export", "make", *period, *who, "--to", archive, "--openings-for", public)
    assert code == 0, said
    assert "302 entries, 3 up to, without, 305" in said
    assert archive.stat().st_mode & 0o077 == 0

    # Offline, with the public key of the log alone; then with the auditor's own.
    code, said = onestop(city, "export", "verify", archive, "--key", vkey)
    assert code == 0, said
    assert "entries     3 up to, without, 305 of the 307 of onestop.example/ledger: all of them" in said
    assert "recorded    as entry 307 of the log, for audit-bureau" in said
    code, said = onestop(city, "export", "verify", archive, "--key", vkey, "--private", private)
    assert code == 0, said
    assert "of 301 entries: each opens its entry's commitments" in said
    code, said = onestop(city, "export", "open", archive, "--private", private)
    assert code == 0
    shown = [json.loads(line) for line in said.splitlines()]
    assert len(shown) == 301
    assert str(shredded.item_id) not in said
    assert shown[0]["entry"]["id"] == str(entries[0].item_id)
    assert SUBJECT.code in json.dumps(shown[0]["opening"])
    assert SUBJECT.code.encode() not in archive.read_bytes()
    with zipfile.ZipFile(archive) as packed:
        for member in packed.namelist():
            assert SUBJECT.code.encode() not in packed.read(member)
            assert b"clerk.07" not in packed.read(member)

    # The export is itself a disclosure in the log, which names no one.
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute(
            "SELECT kind, recorder, caller, leaf FROM ledger.entry WHERE idx = 307"
        ).fetchone()
    assert row is not None
    assert row[:3] == (EntryKind.DISCLOSURE.value, "export", "audit-bureau")
    leaf = json.loads(row[3])
    assert leaf["method"] == "ledger.export"
    assert leaf["records"] == [{"resource": "ledger.entry", "version": "3-305"}]
    assert "subject" in leaf["field_names"]

    def refused(changed: Path, why: str, *more: str | Path) -> None:
        code, said = onestop(city, "export", "verify", changed, "--key", vkey, *more)
        assert code == 1, said
        assert why in said

    def without_one(content: bytes) -> bytes:
        return b"\n".join(content.split(b"\n")[:-2]) + b"\n"

    def altered(content: bytes) -> bytes:
        return content.replace(b"licence.search", b"licence.seerch", 1)

    refused(rewritten(archive, "entries.jsonl", altered), "its checksum differs")
    refused(with_sums(rewritten(archive, "entries.jsonl", altered)), "do not lead to the checkpoint's root")
    refused(with_sums(rewritten(archive, "entries.jsonl", without_one)), "an entry is missing")
    refused(
        rewritten(archive, "manifest.json", lambda content: content + b" "), "is not the one that the entry"
    )
    refused(rewritten(archive, "receipt.json", lambda content: b""), "receipt.json is missing")
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:-100])
    refused(tmp_path / "cut.zip", "no whole archive")
    assert onestop(city, "export", "key", "--private", tmp_path / "o", "--public", tmp_path / "q")[0] == 0
    refused(archive, "encrypted to another key", "--private", tmp_path / "o")

    # Nothing is exported twice under one name, nor an empty period, nor when it cannot be recorded.
    assert onestop(city, "export", "make", *period, *who, "--to", archive)[0] == 1
    empty = ("--from", "2001-01-01", "--until", (period_from - timedelta(days=1)).isoformat())
    code, said = onestop(city, "export", "make", *empty, *who, "--to", tmp_path / "e.zip")
    assert (code, "No entry was appended" in said) == (1, True)
    with city.held_down("ledger"):
        code, said = onestop(city, "export", "make", *period, *who, "--to", tmp_path / "e.zip")
    assert (code, "has not recorded this" in said) == (1, True)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("e.zip")]
