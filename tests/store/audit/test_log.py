"""Whoever changes the log, with all rights to the database, is found out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.audit.findings import Kind
from cli.audit.log import Known
from cli.audit.tree import Frontier
from core.clock import now
from core.merkle import leaf_hash
from core.note import Checkpoint, VerifierKey, signature_line
from services.ledger.released import LastReleasedFile
from tests.store.audit.conftest import Audit, Intruder, Service, kinds, past_the_triggers
from tests.store.ledger.conftest import KEY, PRIVATE, intent

MIDDLE = 100


async def test_an_honest_log_is_clean(service: Service, audited: Audit) -> None:
    report = await audited()

    assert report.clean, report.document()
    assert report.size == report.checked["entries"] == 3 * 5 + 330
    assert report.checked["tiles"] == 1
    assert report.checked["checkpoints from outside"] == 1
    assert report.checked["ends of acts (licence)"] == 6
    assert report.checked["kept answers (licence)"] == 3


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("leaf = replace(convert_from(leaf, 'UTF8'), '\"name\"', '\"nome\"')::bytea", "altered"),
        ("leaf = 'not JSON'", "altered"),
        ("caller = 'somebody else'", "altered"),
        ("recorder = 'eseal'", "altered"),
        ("kind = 2", "altered"),
        ("appended_at = appended_at + interval '1 microsecond'", "altered"),
        ("appended_at = appended_at - interval '1 hour'", "back_dated"),
        ("item_id = gen_random_uuid()", "altered"),
    ],
)
@pytest.mark.parametrize("index", [MIDDLE, 340], ids=["under a full tile", "at the edge"])
async def test_a_changed_row_is_found(
    change: str, found: str, index: int, service: Service, audited: Audit, admin: Intruder
) -> None:
    with past_the_triggers(admin):
        admin.execute(f"UPDATE entry SET {change} WHERE idx = {index}".encode())

    report = await audited()

    assert found in kinds(report)
    if index == MIDDLE:
        assert any(f" {index}" in sample for one in report.findings for sample in one.samples)


async def test_a_deleted_row_is_found(service: Service, audited: Audit, admin: Intruder) -> None:
    with past_the_triggers(admin):
        admin.execute(f"DELETE FROM entry WHERE idx = {MIDDLE}".encode())

    report = await audited()

    samples = [sample for one in report.findings if one.kind is Kind.LOST for sample in one.samples]
    assert f"entries {MIDDLE} to {MIDDLE} are not there" in samples


async def test_a_cut_tail_is_found(service: Service, audited: Audit, admin: Intruder) -> None:
    with past_the_triggers(admin):
        admin.execute(b"DELETE FROM entry WHERE idx >= 300")

    report = await audited()

    samples = [sample for one in report.findings if one.kind is Kind.LOST for sample in one.samples]
    assert "entries 300 to 344 are not there" in samples


async def test_a_swapped_pair_is_found(service: Service, audited: Audit, admin: Intruder) -> None:
    with past_the_triggers(admin):
        admin.execute(b"ALTER TABLE entry DROP CONSTRAINT entry_pkey, DROP CONSTRAINT entry_check")
        admin.execute(b"UPDATE entry SET idx = 381 - idx WHERE idx IN (190, 191)")

    report = await audited()

    assert "altered" in kinds(report)
    assert any("entries 190, 191" in sample for one in report.findings for sample in one.samples)


@pytest.mark.parametrize("index", [345, MIDDLE])
async def test_an_inserted_row_is_found(
    index: int, service: Service, audited: Audit, admin: Intruder
) -> None:
    with past_the_triggers(admin):
        admin.execute(b"ALTER TABLE entry DROP CONSTRAINT entry_pkey")
        admin.execute(
            b"INSERT INTO entry (idx, item_id, tree_size, kind, recorder, caller, appended_at, leaf)"
            b" SELECT %s, gen_random_uuid(), 346, kind, recorder, caller, appended_at, leaf"
            b"   FROM entry WHERE idx = 50",
            (index,),
        )

    report = await audited()

    assert Kind.INSERTED in {one.kind for one in report.findings}
    assert Kind.DOUBLED in {one.kind for one in report.findings}


@pytest.mark.parametrize("table", ["tile", "checkpoint"])
async def test_a_missing_tile_or_checkpoint_is_found(
    table: str, service: Service, audited: Audit, admin: Intruder
) -> None:
    with past_the_triggers(admin):
        column = {"tile": "level", "checkpoint": "size"}[table]
        admin.execute(f"DELETE FROM {table} WHERE {column} = (SELECT min({column}) FROM {table})".encode())

    assert "lost" in kinds(await audited())


async def test_a_log_that_is_rolled_back_whole_is_found_by_what_was_released(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    before = service.desk.town.file.read_bytes()
    size = _size(admin)
    admin.execute(b"CREATE SCHEMA kept")
    for table in ("entry", "opening", "open_intent", "tile", "checkpoint", "head"):
        admin.execute(f"CREATE TABLE kept.{table} AS TABLE ledger.{table}".encode())
    await service.read()
    with past_the_triggers(admin):
        for table in ("entry", "opening", "open_intent", "tile", "checkpoint", "head"):
            admin.execute(f"DELETE FROM {table}".encode())
            admin.execute(f"INSERT INTO {table} SELECT * FROM kept.{table}".encode())

    report = await audited()

    assert kinds(report) == {"rolled_back"}
    # With the file set back too, only what others know is left: a witness, or a receipt's checkpoint.
    newer = await LastReleasedFile(service.desk.town.file).read()
    assert newer is not None
    service.desk.town.file.write_bytes(before)
    assert (await audited()).clean
    witness = await audited(known=[Known("a witness", newer)])
    assert kinds(witness) == {"rolled_back"}
    assert witness.size == size


async def test_a_forked_log_is_found_by_a_checkpoint_of_the_other_branch(
    service: Service, audited: Audit
) -> None:
    other = _signed(Checkpoint(KEY.name, 200, leaf_hash(b"another history")))

    report = await audited(known=[Known("a witness", other)])

    assert kinds(report) == {"forked"}


async def test_a_checkpoint_by_another_key_is_found(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    stranger = Ed25519PrivateKey.generate()
    key = VerifierKey(KEY.name, stranger.public_key().public_bytes_raw())

    assert kinds(await audited(keys=[key])) == {"wrong_key"}

    with past_the_triggers(admin):
        admin.execute(
            b"UPDATE checkpoint SET note = %s WHERE size = 1",
            (_signed(Checkpoint(KEY.name, 1, b"x" * 32), stranger),),
        )
    assert kinds(await audited()) == {"wrong_key"}


async def test_a_history_that_the_keys_holder_has_written_anew_is_found_by_what_was_released(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    await service.desk.town.stop()
    with past_the_triggers(admin):
        admin.execute(
            b"UPDATE entry SET leaf = replace(convert_from(leaf, 'UTF8'), '\"name\"', '\"nome\"')::bytea"
            b" WHERE idx = 344"
        )
        _sign_anew(admin)

    report = await audited()

    assert kinds(report) == {"forked"}
    # Where nothing from outside is known, nothing contradicts it.
    assert (await audited(known=[])).clean


async def test_an_entry_that_is_appended_with_an_earlier_time_is_found(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    service.desk.town.desk._clock = lambda: now() - timedelta(hours=1)
    await service.read()

    report = await audited()

    assert kinds(report) == {"back_dated"}
    assert "entry 345 says" in report.findings[0].samples[0]


async def test_no_end_of_an_act_is_overlooked(service: Service, audited: Audit, admin: Intruder) -> None:
    service.desk.down = True
    with pytest.raises(ConnectionError):
        await service.act()
    service.desk.down = False
    assert (await audited()).clean  # Not even the intent got into the log.
    act = intent(method="licence.change")
    await service.desk.append(act)
    assert (await audited()).clean  # It may be under way.
    with past_the_triggers(admin):
        admin.execute(b"UPDATE open_intent SET appended_at = appended_at - interval '1 hour'")
        admin.execute(b"DELETE FROM open_intent")

    assert kinds(await audited()) == {"altered"}


def _size(admin: Intruder) -> int:
    row = admin.execute(b"SELECT size FROM head").fetchone()
    assert row is not None
    return int(str(row[0]))


def _signed(checkpoint: Checkpoint, key: Ed25519PrivateKey = PRIVATE) -> str:
    signer = VerifierKey(checkpoint.origin, key.public_key().public_bytes_raw())
    return f"{checkpoint.text}\n{signature_line(signer, key.sign(checkpoint.text.encode()))}"


def _sign_anew(admin: Intruder) -> None:
    """Makes every checkpoint say what the entries are now."""
    tree, notes = Frontier(), {}
    for (leaf,) in admin.execute(b"SELECT leaf FROM entry ORDER BY idx").fetchall():
        assert isinstance(leaf, bytes)
        tree.add(leaf_hash(leaf))
        notes[tree.size] = _signed(Checkpoint(KEY.name, tree.size, tree.root()))
    for (size,) in admin.execute(b"SELECT size FROM checkpoint").fetchall():
        assert isinstance(size, int)
        admin.execute(b"UPDATE checkpoint SET note = %s WHERE size = %s", (notes[size], size))
    admin.execute(b"UPDATE head SET checkpoint = %s", (notes[tree.size],))
