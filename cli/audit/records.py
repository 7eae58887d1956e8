"""The log against what the services have kept of what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from cli.audit.pruned import Pruned, without_the_pruned
from core import queries
from core.replies import TERMINALS_KEPT

R = queries.load("cli.audit", "records.sql")

GRACE = timedelta(seconds=90)
"""An act that began so lately may be under way; and after a crash its service closes it within this time."""

FORGETTING = timedelta(minutes=10)
"""Room between what a service forgets and what an audit asks for."""


@dataclass(frozen=True)
class Check:
    """One comparison: its name in words, the statements, and what there is to count."""

    name: str
    statements: Sequence[str]
    counted: str = ""


EVERY_PART = (
    Check("ends of acts", ("terminals", "outcomes"), "count_terminals"),
    Check("kept answers", ("replies",), "count_replies"),
)
"""Of every part that appends."""

OWN: dict[str, tuple[Check, ...]] = {
    "ledger": (),
    "licence": (),
    "autofill": (),
    "eseal": (
        Check("signatures", ("signatures", "sealed_acts"), "count_signatures"),
        Check(
            "remote signatures",
            ("remote_signatures", "remote_acts", "remote_doubled"),
            "count_remote_signatures",
        ),
        Check("lives of seals", ("seal_acts", "seal_acts_told", "seal_standings"), "count_seal_acts"),
    ),
    "agricredit": (
        Check("consents", ("consents", "consent_acts", "revocations"), "count_consents"),
        Check("uses of consents", ("uses", "doubled_uses", "counted_uses", "used_consents"), "count_uses"),
    ),
}
"""Of one part alone. A part whose reads leave no row is compared by its log files (cli.audit.released)."""


def check_records(snapshot: Snapshot, report: Report, pruned: Pruned) -> None:
    """Compares every part's records with the log, in both directions."""
    now = snapshot.taken_at
    for part, own in OWN.items():
        snapshot.look_into(part)
        values = {"part": part, "grace": now - GRACE, "kept_since": now - TERMINALS_KEPT + FORGETTING}
        for check in (*EVERY_PART, *own):
            for statement in check.statements:
                for row in snapshot.rows(without_the_pruned(getattr(R, statement), pruned), values):
                    sample = f"{row['ref']}: {row['detail']}"
                    report.add(Kind(row["kind"]), check.name, sample, part=part)
            if check.counted:
                report.count(f"{check.name} ({part})", snapshot.one(getattr(R, check.counted))["records"])


def check_acts(snapshot: Snapshot, report: Report, pruned: Pruned) -> None:
    """Intents and outcomes within the log, and what stands beside it."""
    doubled = (
        ("doubled_items", "item_id", "entries under one id"),
        ("doubled_outcomes", "intent_id", "outcomes of one act"),
        ("doubled_answers", "item_id", "entries of one answer"),
    )
    for statement, ref, check in doubled:
        for row in snapshot.rows(getattr(Q, statement)):
            report.add(Kind.DOUBLED, check, f"{row[ref]}: {row['times']} times")
    for row in snapshot.rows(without_the_pruned(Q.odd_outcomes, pruned)):
        kind = Kind.LOST if row["lost"] else Kind.ALTERED
        what = "its intent is not there" if row["lost"] else "what it closes is no such intent"
        report.add(kind, "outcomes and their intents", f"entry {row['idx']}: {what}")
    for row in snapshot.rows(Q.open_intents, {"grace": _grace(snapshot.taken_at)}):
        if row["late"]:
            sample = f"entry {row['idx']} ({row['item_id']})"
            report.add(Kind.OPEN, "acts without an end", sample, part=row["recorder"])
        if not row["listed"]:
            report.add(Kind.ALTERED, "the list of open acts", f"{row['item_id']} is open and not in it")
    for row in snapshot.rows(Q.closed_but_listed):
        report.add(Kind.ALTERED, "the list of open acts", f"{row['intent_id']} is in it and not open")


def _grace(now: datetime) -> datetime:
    return now - GRACE
