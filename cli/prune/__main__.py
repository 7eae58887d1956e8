"""`onestop prune`: prunes the ledger of what need not be kept any longer, and is kept elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path

import psycopg

from cli.export.__main__ import moment, words
from cli.keys.ground import owners_database
from cli.prune.deed import LEAST_YEARS, Wish, prune
from deploy.local.errors import GroundError
from deploy.local.settings import read_settings

DONE, FAILED = 0, 1

_EPILOG = f"""\
Entries go oldest first, in whole tiles of 256, not before {LEAST_YEARS} years, never an open intent or what
comes after one, and only if the exports that are named hold all of them and prove it. The hashes stay: every
receipt and checkpoint verifies as before. The ledger records it; a run that was cut off is run again.
Exit code: 0 done, 1 not done, 2 wrong arguments.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    before: datetime = arguments.before
    exports: list[Path] = arguments.export
    wish = Wish(before, exports, arguments.operator, arguments.reason)
    try:
        settings = read_settings(os.environ)
        with owners_database(settings) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
            gone, end = asyncio.run(prune(settings, connection, wish))
    except GroundError as failure:
        print(failure, file=sys.stderr)
        return FAILED
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        told = failure.diag.message_primary or type(failure).__name__
        print(f"NOT DONE: the database: {told}", file=sys.stderr)
        return FAILED
    print(f"{end - gone} entries are gone, {gone} up to, without, {end}; their hashes stay.")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop prune",
        description="Prunes the ledger of its oldest entries.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=moment, required=True, metavar="TIME")
    parser.add_argument("--export", type=Path, action="append", required=True, metavar="FILE", help="several")
    parser.add_argument("--operator", type=words, required=True, metavar="ACCOUNT", help="who does it")
    parser.add_argument(
        "--reason", type=words, required=True, metavar="TEXT", help="such as an order's number"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
