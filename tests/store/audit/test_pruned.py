"""A log whose oldest entries are gone, because their time by law is over, balances as the whole one did."""

from __future__ import annotations

import pytest

from cli.audit.findings import Kind
from tests.store.audit.conftest import Audit, Intruder, Service, kinds, past_the_triggers
from tests.store.ledger.conftest import intent, outcome

TABLES = """
CREATE TABLE IF NOT EXISTS pruning (
    end_idx bigint PRIMARY KEY, item_id uuid NOT NULL, pruned_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS pruned_entry (
    item_id uuid PRIMARY KEY, idx bigint NOT NULL UNIQUE, caller text NOT NULL);
GRANT SELECT ON pruning, pruned_entry TO onestop_auditor;
"""


async def prune(service: Service, admin: Intruder, *, said: bool = True) -> None:
    """Removes the first tile's entries, as the operators' command does three years later."""
    act = intent(method="ledger.prune")
    if said:
        await service.desk.town.append(act, recorder="prune")
        await service.desk.town.append(outcome(act, answer_commitment=b"", answer_salt=b""), recorder="prune")
    admin.execute(TABLES.encode())
    with past_the_triggers(admin):
        admin.execute(b"INSERT INTO pruning (end_idx, item_id) VALUES (256, %s)", (act.item_id,))
        admin.execute(b"INSERT INTO pruned_entry SELECT item_id, idx, caller FROM entry WHERE idx < 256")
        admin.execute(b"DELETE FROM opening WHERE item_id IN (SELECT item_id FROM pruned_entry)")
        admin.execute(b"DELETE FROM entry WHERE idx < 256")


async def test_a_pruned_log_is_clean(service: Service, audited: Audit, admin: Intruder) -> None:
    await prune(service, admin)

    report = await audited()

    assert report.clean, report.document()
    assert report.checked["entries pruned"] == 256
    assert report.checked["entries"] == report.size - 256


async def test_entries_that_the_log_does_not_say_were_pruned_are_found(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    await prune(service, admin, said=False)

    assert kinds(await audited()) == {"unrecorded"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (b"DELETE FROM pruned_entry WHERE idx = 7", Kind.LOST),
        (b"DELETE FROM entry WHERE idx = 256", Kind.LOST),
        (b"UPDATE tile SET hashes = overlay(hashes PLACING decode('00', 'hex') FROM 1)", Kind.ALTERED),
        (b"DELETE FROM tile", Kind.LOST),
    ],
)
async def test_what_stands_for_pruned_entries_is_proved(
    change: bytes, kind: Kind, service: Service, audited: Audit, admin: Intruder
) -> None:
    await prune(service, admin)
    with past_the_triggers(admin):
        admin.execute(change)

    assert kind in {one.kind for one in (await audited()).findings}
