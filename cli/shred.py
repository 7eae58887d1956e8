"""`onestop shred`: destroys what opens ledger entries' commitments, once two people have decided it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from cli.operator import OperatorError, connect
from core.identifiers import normalise_number
from core.identity import Subject
from core.keyring import Keyring
from core.queries import load
from core.vault import blind_index
from deploy.local.settings import read_settings

Q = load("cli", "shred.sql")
DONE, FAILED, WRONG = 0, 1, 2
REASONS = ("retention_over", "holder_request", "court_order")

_EPILOG = """\
Somebody of the role onestop_administration asks, somebody else of onestop_security approves; each with a
login of their own: ONESTOP_OPERATOR_DSN_FILE names a file with the address of the database for that login.
The ledger then records the act, destroys the openings (salts, operator, purpose, subject and its index) and
records that it has. The entries stay, and so do their proofs. Only an old backup brings an opening back.

No number of a person belongs on a command line: --subject names a file, or - for standard input, with lines
such as `111 <ID number>` (holder code type, number). The indexes are made with the ledger's own key file.
Exit code: 0 done, 1 refused or not possible, 2 wrong arguments.
"""


class ShredError(OperatorError):
    """Why it cannot be done; the message holds no identity payload."""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    try:
        with connect() as connection:
            match arguments.action:
                case "ask":
                    return _ask(connection, arguments)
                case "approve":
                    connection.execute(Q.approve.encode(), {"id": arguments.request})
                    print(f"approved: {arguments.request}; the ledger carries it out within seconds")
                    return DONE
                case _:
                    return _show(connection)
    except OperatorError as failure:
        print(failure, file=sys.stderr)
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        print(failure.diag.message_primary or "the database cannot be reached", file=sys.stderr)
    return FAILED


def _ask(connection: psycopg.Connection[tuple[object, ...]], arguments: argparse.Namespace) -> int:
    items = [_uuid(line) for line in _lines(arguments.items)] if arguments.items else []
    subjects = [_subject(line) for line in _lines(arguments.subject)] if arguments.subject else []
    if not items and not subjects:
        raise ShredError("name entries (--items) or people (--subject)")
    request = arguments.request or uuid4()
    row = connection.execute(
        Q.ask.encode(),
        {
            "id": request,
            "reason": arguments.reason,
            "before": datetime.combine(arguments.before, time(), UTC),
            "items": items,
            "subjects": _indexes(subjects),
        },
    ).fetchone()
    assert row is not None
    print(f"asked for: {row[0]} openings, request {request}")
    print(f"somebody of onestop_security approves it: onestop shred approve {request}")
    return DONE


def _show(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    rows = connection.execute(Q.show.encode()).fetchall()
    for request, reason, asked, approved, items, destroyed, recorded in rows:
        state = (
            f"approved by {approved}, {destroyed} destroyed, {recorded} in the log"
            if approved
            else "asked for"
        )
        print(f"{request}  {reason}  {items} openings  by {asked}: {state}")
    if not rows:
        print("nothing has been asked for")
    return DONE


def _indexes(subjects: Sequence[Subject]) -> list[bytes]:
    """The blind indexes of people under every key that the ledger has."""
    if not subjects:
        return []
    path = read_settings(os.environ).keys / "ledger-keyring.json"
    try:
        ring = Keyring.load(path)
    except (OSError, ValueError):
        raise ShredError(f"{path.name} cannot be used; ONESTOP_HOME names the city's folder") from None
    return [blind_index(key, subject) for key in ring.index.values() for subject in subjects]


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ShredError(f"{name} cannot be read") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _uuid(line: str) -> UUID:
    try:
        return UUID(line)
    except ValueError:
        raise ShredError("an entry is named by its id, a UUID, a line each") from None


def _subject(line: str) -> Subject:
    code_type, _, number = line.partition(" ")
    if not code_type.isdigit() or not number.strip():
        raise ShredError("a person is named by holder code type and number, `111 <ID number>`, a line each")
    return Subject(code_type, normalise_number(number.strip()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop shred",
        description="Destroys what opens ledger entries' commitments; two people decide it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    ask = actions.add_parser("ask", help="asks for it, as administration")
    ask.add_argument(
        "--before",
        type=date.fromisoformat,
        required=True,
        metavar="YYYY-MM-DD",
        help="only entries older than this day (UTC), at least 3 years ago",
    )
    ask.add_argument("--reason", choices=REASONS, required=True)
    ask.add_argument("--items", metavar="FILE", help="ids of entries, a line each; - for standard input")
    ask.add_argument("--subject", metavar="FILE", help="people, a line each; - for standard input")
    ask.add_argument("--request", type=UUID, help="an id of your own, so that asking again asks once")
    approve = actions.add_parser("approve", help="approves what somebody else has asked for, as security")
    approve.add_argument("request", type=UUID)
    actions.add_parser("show", help="what was asked for, and how far it is")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
