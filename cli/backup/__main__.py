"""`onestop backup`: makes backups of a city that runs or is stopped, checks them, and names moments."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import psycopg

from cli.backup.check import check
from cli.backup.take import take
from cli.keys.ground import is_embedded, owners_database
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings

DONE, FAILED = 0, 1

_EPILOG = """\
make   copies the database as it is at the end of the copying, keys, certificates and settings; calls go on
       meanwhile. Of a database outside (DATABASE_URL) only the log's checkpoint: see docs/backup.md
check  compares every file of a backup with the sums that were made with it
mark   names this moment in the database's log; with continuous archiving a restore can lead to it
Exit code: 0 done, 1 not done, 2 wrong arguments. `onestop restore` makes a city of a backup.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    try:
        if arguments.action == "check":
            manifest = check(arguments.folder, arguments.keys)
            print(f"The backup of {manifest.ended_at:%Y-%m-%d %H:%M:%S} UTC is whole.")
        elif arguments.action == "mark":
            _mark(read_settings(os.environ), arguments.name)
        else:
            _make(arguments.to.absolute(), arguments.keys_to and arguments.keys_to.absolute())
    except GroundError as failure:
        print(failure, file=sys.stderr)
        return FAILED
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        told = failure.diag.message_primary or type(failure).__name__
        print(f"NOT DONE: the database: {told}", file=sys.stderr)
        return FAILED
    except OSError as failure:
        print(f"NOT DONE: {failure.strerror} ({failure.filename})", file=sys.stderr)
        return FAILED
    return DONE


def _make(to: Path, keys_to: Path | None) -> None:
    settings = read_settings(os.environ)
    manifest = take(settings, to, keys_to)
    print(f"The backup lies in {to}; it holds everything up to {manifest.ended_at:%Y-%m-%d %H:%M:%S} UTC.")
    if keys_to:
        print(f"Its keys lie in {keys_to}; without them nobody can open it.")
    else:
        print(
            "Its folder keys/ opens all of it: whoever holds the backup holds the city.\n"
            "KEYS_TO=folder keeps keys and certificates apart."
        )
    if manifest.database == "outside":
        print(
            "The database is outside and NOT in the backup. Back it up now with its server's own tools:\n"
            "docs/backup.md says how. The restore proves that the two belong together."
        )


def _mark(settings: Settings, name: str) -> None:
    with owners_database(settings) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        if not is_embedded(settings, dsn):
            raise GroundError(
                "The database is outside, and its restores are its server's own.",
                "as its administrator: SELECT pg_create_restore_point('…')",
            )
        connection.execute("SELECT pg_create_restore_point(%s)", (name,))
        archived = connection.execute("SELECT current_setting('archive_mode')").fetchone() == ("on",)
    print(f"This moment is {name}: `make restore … UNTIL_MARK={name}` leads to it.")
    if not archived:
        print("But the database's log is not archived now, so that no restore can: see docs/backup.md.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop backup",
        description="Backs a city up.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    make = actions.add_parser("make", help="a backup of the whole city")
    make.add_argument("--to", type=_folder, required=True, metavar="FOLDER", help="where; must not exist")
    make.add_argument(
        "--keys-to", type=_folder, metavar="FOLDER", help="keys and certificates go here instead"
    )
    checks = actions.add_parser("check", help="whether a backup is whole")
    checks.add_argument("folder", type=Path)
    checks.add_argument("--keys", type=_folder, metavar="FOLDER", help="where its keys lie, if apart")
    mark = actions.add_parser("mark", help="names this moment for a later restore")
    mark.add_argument("name", type=_mark_name)
    return parser


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("a folder is needed, such as TO=/srv/backups/2026-11-28")
    return Path(text)


def _mark_name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text.encode()) < 64:
        raise argparse.ArgumentTypeError("a name has 1 to 63 printable bytes")
    return text


if __name__ == "__main__":
    raise SystemExit(main())
