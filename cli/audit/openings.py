"""What opens the entries' commitments: it goes by a decision that the log tells of, or not at all."""

from __future__ import annotations

from uuid import UUID

import orjson

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from cli.audit.pruned import Pruned
from services.ledger.domain import OPENINGS, Shredding

CHECK = "openings beside the log"
DECISIONS = "openings that were destroyed"


def check_openings(snapshot: Snapshot, report: Report, pruned: Pruned) -> None:
    """Every opening belongs to an entry, and one that is not there was destroyed by an act in the log."""
    beside = snapshot.one(Q.openings)
    if beside["without_entry"]:
        report.add(Kind.INSERTED, CHECK, f"{beside['without_entry']} without an entry")
    if beside["closed_for_good"]:
        report.count("entries closed for good", beside["closed_for_good"])
    if not snapshot.one(Q.knows_shredding)["known"]:
        report.limits.append(
            "openings that are gone are not compared: the ledger's newest migrations are due"
        )
        return
    for row in snapshot.rows(Q.missing_openings):
        report.add(Kind.LOST, CHECK, f"that of entry {row['idx']}, which nobody has decided to destroy")
    done: set[UUID] = set()
    for row in snapshot.rows(Q.destroyed_batches):
        batch = Shredding(**row, reason="", asked_by="", approved_by="")
        done.add(batch.intent_id)
        _check_decision(snapshot, report, pruned, batch)
    for row in snapshot.rows(Q.destroying_outcomes):
        if row["intent_id"] not in done:
            report.add(Kind.UNKNOWN, DECISIONS, f"{row['intent_id']}: the ledger has kept no such decision")


def _check_decision(snapshot: Snapshot, report: Report, pruned: Pruned, batch: Shredding) -> None:
    """The log holds an intent of the ledger itself that names what this batch has destroyed."""
    intent = str(batch.intent_id)
    if pruned.holds([intent]):
        return
    named: set[str] = set()
    for row in snapshot.few(Q.entries_of, {"ids": [intent]}):
        try:
            records = orjson.loads(row["leaf"])["records"]
            named = {one["version"] for one in records if one["resource"] == OPENINGS}
        except (ValueError, KeyError, TypeError):
            continue  # The reading of the log has said so.
    unnamed = len({str(one) for one in batch.item_ids} - named)
    if unnamed:
        sample = f"{unnamed} of batch {batch.batch} of {batch.shredding_id}: the log does not say so"
        report.add(Kind.UNRECORDED, DECISIONS, sample)
    report.count(DECISIONS, len(batch.item_ids))
