"""One audit, from what there is as evidence to the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cli.audit.database import Q, snapshot
from cli.audit.findings import Report
from cli.audit.log import CLOCK_TOLERANCE, Known, LogAudit
from cli.audit.openings import check_openings
from cli.audit.progress import Shown, Silent
from cli.audit.pruned import Pruned
from cli.audit.records import check_acts, check_records
from cli.audit.released import check_released, log_files
from core.access import RELEASING_PARTS
from core.note import VerifierKey

LOGGING = ("gateway", *sorted(RELEASING_PARTS))
"""The parts whose logs say what left."""


@dataclass(frozen=True)
class Evidence:
    """What an audit has to look at."""

    dsn: str
    """The database, as the auditor's role or one that may read as much."""
    keys: Sequence[VerifierKey]
    """The log's public keys, the first one for the origin."""
    known: Sequence[Known] = ()
    """Checkpoints from outside the database."""
    logs: Path | None = None
    """The folder of the parts' log files."""
    limits: Sequence[str] = ()
    """What is not there to be looked at, in words."""
    tolerance: timedelta = CLOCK_TOLERANCE


def audit(evidence: Evidence, shown: Shown | None = None) -> Report:
    """Reconciles the ledger with itself, with what is known of it outside, and with the services' records.

    Reads one moment of a city that may be running. Memory does not grow with the log. Raises psycopg.Error
    where the database cannot be read, OSError where a log file cannot.
    """
    shown = shown or Silent()
    report = Report(limits=list(evidence.limits))
    began = time.monotonic()
    with ExitStack() as stack:
        # The logs come first: whatever they tell of was committed before the snapshot.
        files = stack.enter_context(log_files(evidence.logs, LOGGING)) if evidence.logs else None
        moment = stack.enter_context(snapshot(evidence.dsn))
        shown.begin(moment.one(Q.head)["size"])
        pruned = Pruned(moment)
        LogAudit(moment, report, evidence.keys, evidence.tolerance).run(evidence.known, pruned, shown.step)
        shown.next("intents and outcomes")
        check_acts(moment, report, pruned)
        check_openings(moment, report, pruned)
        shown.next("the services' records")
        check_records(moment, report, pruned)
        if files is not None:
            shown.next("the parts' log files")
            check_released(moment, files, report, pruned)
        else:
            report.limits.append("no log files: reads that leave no row are not compared with what left")
        shown.end()
    report.seconds = time.monotonic() - began
    return report
