"""`onestop restore`: makes a city of a backup in ONESTOP_HOME, if everything about it can be proved."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

import psycopg

from cli.restore.bring import READ_ONLY, Wish, restore
from cli.restore.database import Until
from deploy.local.errors import GroundError
from deploy.local.settings import read_settings

FAILED = 1

_EPILOG = """\
Checked before anything takes its place: every file by its sum, the database by pg_verifybackup, the
migrations by their names; then the ledger's tree is hashed anew from all entries and must have the root of
every checkpoint that is known. A ledger that is behind its last released checkpoint stays read-only.
Exit code: 0 restored, 1 not restored (nothing was changed), 2 wrong arguments, 3 restored, the ledger is
read-only. A restore that was cut off is run again.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    if (arguments.until or arguments.until_mark) and not arguments.wal:
        print("--until and --until-mark need the archive of the log: --wal FOLDER", file=sys.stderr)
        return 2
    until = None
    if arguments.wal:
        until = Until(arguments.wal.absolute(), arguments.until, arguments.until_mark)
    wish = Wish(arguments.backup, arguments.keys, until, arguments.released, arguments.replace)
    try:
        settings = read_settings(os.environ)
        report, code = restore(settings, wish)
    except GroundError as failure:
        print(failure, file=sys.stderr)
        return FAILED
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        told = failure.diag.message_primary or type(failure).__name__
        print(f"NOT RESTORED: the database: {told}", file=sys.stderr)
        return FAILED
    except OSError as failure:
        print(f"NOT RESTORED: {failure.strerror} ({failure.filename})", file=sys.stderr)
        return FAILED
    print("\n".join(["", *report, "", f"The city is in {settings.home}: start it with `make run`."]))
    if code == READ_ONLY:
        print("It gives nothing out then (503): every answer needs an entry.")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop restore",
        description="Makes a city of a backup.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("backup", type=_existing, metavar="FOLDER", help="what `onestop backup` has made")
    parser.add_argument("--keys", type=_existing, metavar="FOLDER", help="where its keys lie, if apart")
    parser.add_argument(
        "--wal", type=_existing, metavar="FOLDER", help="the log's archive; followed to its end, or"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--until", type=_moment, metavar="TIME", help="to this time, 2026-11-28T04:00:00Z")
    target.add_argument("--until-mark", default="", metavar="NAME", help="to what `backup mark` named")
    parser.add_argument(
        "--released", type=_existing, metavar="FILE", help="the last checkpoint known to be released"
    )
    parser.add_argument("--replace", action="store_true", help="a city that is there is moved aside")
    return parser


def _existing(text: str) -> Path:
    path = Path(text)
    if not text or not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {text or 'name given'}")
    return path.absolute()


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write a time as 2026-11-28T04:00:00+00:00") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("say which zone the time is of: …Z, or …+08:00")
    return moment


if __name__ == "__main__":
    raise SystemExit(main())
