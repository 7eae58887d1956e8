"""What opens an entry may be gone by a decision that the log tells of, and not otherwise."""

from __future__ import annotations

import uuid

from cli.audit.findings import Kind, Report
from services.ledger.shredding import Shredder
from tests.store.audit.conftest import Audit, Intruder, Service, kinds

DECIDED = b"""
INSERT INTO shredding (shredding_id, reason, before, asked_by, approved_by, approved_at)
VALUES (%s, 'court_order', now(), 'li', 'wang', now())
"""
BATCH = b"INSERT INTO shredding_batch (shredding_id, batch, item_ids) VALUES (%s, 0, %s)"


def decide(admin: Intruder, *items: uuid.UUID) -> uuid.UUID:
    """A request for these openings, as two people have decided it."""
    request = uuid.uuid4()
    admin.execute(DECIDED, (request,))
    admin.execute(BATCH, (request, list(items)))
    return request


def samples(report: Report, kind: Kind) -> list[str]:
    return [sample for one in report.findings if one.kind is kind for sample in one.samples]


async def test_openings_that_are_gone_are_found_unless_the_log_says_why(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    found = admin.execute(b"SELECT item_id FROM opening JOIN entry USING (item_id) ORDER BY idx").fetchall()
    items = [uuid.UUID(str(item)) for (item,) in found]
    town = service.desk.town

    decide(admin, items[20], items[21])
    await Shredder(town.desk, town.sequencer, town.store).work()
    decided = await audited()
    admin.execute(b"DELETE FROM opening WHERE item_id = %s", (items[30],))
    secretly = await audited()
    forged = decide(admin, items[30])
    admin.execute(b"UPDATE shredding_batch SET destroyed_at = now() WHERE shredding_id = %s", (forged,))
    covered_up = await audited()
    admin.execute(b"DELETE FROM shredding_batch")
    forgotten = await audited()

    assert decided.clean, decided.document()
    assert decided.checked["openings that were destroyed"] == 2
    assert samples(secretly, Kind.LOST) == ["that of entry 30, which nobody has decided to destroy"]
    assert kinds(covered_up) == {"unrecorded"}
    assert samples(covered_up, Kind.UNRECORDED) == [f"1 of batch 0 of {forged}: the log does not say so"]
    assert len(samples(forgotten, Kind.LOST)) == 3
    assert "the ledger has kept no such decision" in samples(forgotten, Kind.UNKNOWN)[0]


async def test_an_audit_of_a_database_that_lacks_the_grant_says_so(
    service: Service, audited: Audit, admin: Intruder
) -> None:
    admin.execute(b"REVOKE SELECT (item_ids) ON shredding_batch FROM onestop_auditor")

    report = await audited()

    assert report.clean
    assert any("openings that are gone are not compared" in limit for limit in report.limits)
