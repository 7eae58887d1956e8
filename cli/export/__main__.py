"""`onestop export`: a period of the ledger for an auditor, and its check, which needs no city."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cli.export.make import Wish, make
from cli.export.openings import make_key, read_key
from cli.export.verify import opened_entries, verify
from cli.keys.ground import owners_database
from core.merkle import VerificationError
from deploy.local.errors import GroundError
from deploy.local.settings import read_settings

DONE, FAILED, NOT_PROVED = 0, 1, 1

_EPILOG = """\
key     a new key of an auditor's; the private half never leaves her
make    the entries that were appended in a period, with the proof that they are all of them; what opens
        them (who, about whom) only with --openings-for, encrypted. The ledger records the export
verify  needs the archive and the log's verifier keys, and no city; with --private what opens the entries too
open    prints the entries with what opens them, as JSON Lines
Exit code: 0 done or proved, 1 not, 2 wrong arguments.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    try:
        return _do(arguments)
    except GroundError as failure:
        print(failure, file=sys.stderr)
    except VerificationError as failure:
        print(f"NOT PROVED: {failure}", file=sys.stderr)
        return NOT_PROVED
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        told = failure.diag.message_primary or type(failure).__name__
        print(f"NOT DONE: the database: {told}", file=sys.stderr)
    except OSError as failure:
        print(f"NOT DONE: {failure.strerror} ({failure.filename})", file=sys.stderr)
    return FAILED


def _do(arguments: argparse.Namespace) -> int:
    if arguments.action == "key":
        print(f"key {make_key(arguments.private, arguments.public)}: give the public half to the operator")
    elif arguments.action == "make":
        key = read_key(arguments.openings_for, private=False) if arguments.openings_for else None
        wish = Wish(
            arguments.period_from,
            arguments.until,
            arguments.to,
            arguments.auditor,
            arguments.operator,
            arguments.reason,
            key,
        )
        settings = read_settings(os.environ)
        with owners_database(settings) as dsn:
            manifest = make(settings, dsn, wish)
        count = manifest.end - manifest.first
        print(f"{count} entries, {manifest.first} up to, without, {manifest.end}: {wish.to}")
    elif arguments.action == "verify":
        private = read_key(arguments.private, private=True) if arguments.private else None
        manifest, said = verify(arguments.archive, _keys(arguments.key), private)
        print(f"export      for {manifest.auditor}, {manifest.made_at:%Y-%m-%d %H:%M} UTC: {manifest.reason}")
        print("\n".join([*said, "PROVED"]))
    else:
        for line in opened_entries(arguments.archive, read_key(arguments.private, private=True)):
            print(line)
    return DONE


def _keys(text: str) -> str:
    """The verifier keys themselves, or the content of the file that is named."""
    if text.count("+") >= 2 and not os.path.exists(text):
        return text
    return Path(text).read_text(encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop export",
        description="Hands a period of the ledger to an auditor.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    key = actions.add_parser("key", help="a new key of an auditor's")
    key.add_argument("--private", type=Path, required=True, metavar="FILE")
    key.add_argument("--public", type=Path, required=True, metavar="FILE")
    making = actions.add_parser("make", help="an archive of a period")
    moments = {"--from": "period_from", "--until": "until"}
    for option, name in moments.items():
        making.add_argument(option, dest=name, type=moment, required=True, metavar="TIME")
    making.add_argument("--to", type=Path, required=True, metavar="FILE", help="must not exist")
    making.add_argument("--auditor", type=words, required=True, metavar="NAME", help="who gets it")
    making.add_argument("--operator", type=words, required=True, metavar="ACCOUNT", help="who makes it")
    making.add_argument(
        "--reason", type=words, required=True, metavar="TEXT", help="such as an order's number"
    )
    making.add_argument("--openings-for", type=Path, metavar="FILE", help="the auditor's public key")
    checking = actions.add_parser("verify", help="whether an archive proves what it says")
    checking.add_argument("archive", type=Path)
    checking.add_argument("--key", required=True, help="the log's verifier keys, or a file that holds them")
    checking.add_argument("--private", type=Path, metavar="FILE", help="the auditor's private key")
    opening = actions.add_parser("open", help="the entries in clear")
    opening.add_argument("archive", type=Path)
    opening.add_argument("--private", type=Path, required=True, metavar="FILE")
    return parser


def moment(text: str) -> datetime:
    """A moment on the command line; a date is its midnight in UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("write 2026-01-01, or 2026-01-01T00:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def words(text: str) -> str:
    """A name or a reason on the command line."""
    if not text.isprintable() or not 0 < len(text) <= 64:
        raise argparse.ArgumentTypeError("1 to 64 printable characters are needed")
    return text


if __name__ == "__main__":
    raise SystemExit(main())
