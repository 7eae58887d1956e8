"""`onestop audit`: reconciles the ledger with all services' own records."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from cli.audit.evidence import city_evidence
from cli.audit.findings import Report
from cli.audit.progress import Silent, progress
from cli.audit.run import audit
from deploy.local.errors import GroundError
from deploy.local.settings import read_settings

CLEAN, FOUND, UNUSABLE = 0, 1, 2

WIDTH = 160
"""Of a table that goes to a file."""

_EPILOG = """\
Reads one moment of the city's database as the role onestop_auditor, which may write nothing and sees nothing
that is sealed, and beside it the last released checkpoint and the parts' log files. The city may be running.

Exit code: 0 nothing was found, 1 something was, 2 something could not be read.
"""


def main() -> int:
    """Reads the command line, audits, and prints the report."""
    arguments = _parser().parse_args()
    try:
        settings = read_settings(os.environ)
        with city_evidence(
            settings,
            database=arguments.database,
            keys=arguments.key,
            checkpoints=arguments.checkpoint,
            logs=arguments.logs,
        ) as evidence:
            report = audit(evidence, Silent() if arguments.json else progress())
    except (GroundError, OSError) as failure:
        print(failure, file=sys.stderr)
        return UNUSABLE
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        print(f"the database: {failure.diag.message_primary or type(failure).__name__}", file=sys.stderr)
        return UNUSABLE
    if arguments.json:
        print(json.dumps(report.document(), ensure_ascii=False, indent=2))
    else:
        show(report, Console(width=None if sys.stdout.isatty() else WIDTH))
    return CLEAN if report.clean else FOUND


def show(report: Report, console: Console) -> None:
    """Prints a report for people."""
    looked = Table(box=None, show_header=False, pad_edge=False)
    looked.add_column(justify="right")
    looked.add_column()
    for what, number in report.checked.items():
        looked.add_row(f"{number:,}", what)
    console.print(f"{report.origin}: {report.size:,} entries, {report.seconds:.1f} s", highlight=False)
    console.print(looked, highlight=False)
    for limit in report.limits:
        console.print(f"not looked at: {limit}", highlight=False)
    if report.clean:
        console.print("CLEAN: nothing is missing, doubled or altered", highlight=False)
        return
    found = Table("what", "where", "how often", "first of them")
    for one in report.findings:
        first = "\n".join(one.samples[:3])
        found.add_row(one.kind.value, f"{one.part}: {one.check}", f"{one.count:,}", first)
    console.print(found, highlight=False)
    console.print(f"FOUND: {report.total():,}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop audit",
        description="Reconciles the ledger with itself and with every service's own records.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="file with the auditor's database address (default: keys/auditor.dsn of the city)",
    )
    parser.add_argument(
        "--key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="file with the ledger's verifier keys, one a line (default: keys/ledger.vkey of the city)",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that is known from outside, from a witness say; may be given several times",
    )
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="the parts' log files (default: logs/ of the city)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
