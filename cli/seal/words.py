"""The words of `onestop seal`: with which arguments an act is asked for."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from services.eseal.domain import Algorithm
from services.eseal.lifecycle import (
    LEAST_WIDTH,
    MAX_REASON,
    MOST_WIDTH,
    Action,
    OwnerType,
    SealKind,
    Shape,
)

WAIT_SECONDS = 20.0
CHINA = timedelta(hours=8)

_EPILOG = """\
Somebody of the role onestop_administration applies for a seal and has it made; somebody else, of
onestop_security, enables it. Each asks with a login of their own: ONESTOP_OPERATOR_DSN_FILE names a file with
the address of the database for that login. The seal service carries out what is asked, and the ledger records
it before and after; the history of a seal is never changed. Whoever applied for a seal or made it does not
enable or resume it, and gives nobody the right to use it; whoever revoked it does not destroy it.

Exit code: 0 done, 1 refused or not possible, 2 wrong arguments, 3 asked for and not done yet.
"""


def reason(text: str) -> str:
    """Why, in words that go into the ledger."""
    if not 1 <= len(text.strip()) <= MAX_REASON:
        raise argparse.ArgumentTypeError(f"1 to {MAX_REASON} characters")
    return text.strip()


def day(text: str) -> datetime:
    """The beginning of a day in China."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a day is written YYYY-MM-DD") from None
    return datetime(found.year, found.month, found.day, tzinfo=UTC) - CHINA


def positive(text: str) -> int:
    """A number of uses."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise argparse.ArgumentTypeError("a whole number above 0")
    return int(text)


def parser(action: Action) -> argparse.ArgumentParser:
    """The arguments of an act."""
    made = argparse.ArgumentParser(
        prog=f"onestop seal {action}",
        description="Asks for an act of a seal's life.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if action is Action.APPLY:
        _apply(made)
    else:
        made.add_argument("seal", type=UUID, help="its id")
    if action in (Action.PERMIT, Action.WITHDRAW):
        _rule(made, limits=action is Action.PERMIT)
    made.add_argument("--reason", type=reason, required=True, help="why; it goes into the ledger")
    made.add_argument("--request", type=UUID, help="an id of your own, so that asking again asks once")
    made.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="for it to be done; 20, if not given",
    )
    return made


def _apply(one: argparse.ArgumentParser) -> None:
    one.add_argument("--owner", required=True, metavar="USCC", help="of the office or company")
    one.add_argument("--owner-name", required=True, metavar="NAME")
    one.add_argument("--owner-type", type=OwnerType, choices=list(OwnerType), default=OwnerType.OFFICE)
    one.add_argument("--kind", type=SealKind, choices=list(SealKind), default=SealKind.OFFICIAL)
    one.add_argument("--title", default="", help="such as 行政审批专用章; never a person's name or number")
    one.add_argument(
        "--shape",
        type=Shape,
        choices=list(Shape),
        help="as its kind usually is",
    )
    one.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="PNG or SVG of your own, at most 256 KiB; else it is drawn, with the code that it is given",
    )
    one.add_argument(
        "--picture-width",
        type=float,
        metavar="MM",
        help=f"{LEAST_WIDTH:.0f} to {MOST_WIDTH:.0f}; 42, 40 or 20 as the shape has it, unless given",
    )
    one.add_argument(
        "--division", required=True, metavar="DIGITS", help="6 digits, which begin its anti-forgery code"
    )
    one.add_argument("--valid-from", type=day, metavar="YYYY-MM-DD", help="today, unless given")
    one.add_argument("--valid-until", type=day, metavar="YYYY-MM-DD", required=True)
    one.add_argument(
        "--algorithm",
        type=Algorithm,
        choices=list(Algorithm),
        default=Algorithm.ECDSA_P256_SHA256,
        help="of its key; sm3_sm2 for OFD documents",
    )


def _rule(one: argparse.ArgumentParser, *, limits: bool) -> None:
    one.add_argument("--office", required=True, metavar="USCC")
    one.add_argument("--matter", default="", metavar="CODE", help="every matter, unless given")
    one.add_argument(
        "--operator", default="", metavar="ACCOUNT", help="one member of its staff; anybody, unless given"
    )
    one.add_argument("--caller", default="", metavar="NAME", help="one registered caller; any, unless given")
    if limits:
        one.add_argument("--per-day", type=positive, metavar="N", help="uses in a day of China's time")
        one.add_argument("--in-all", type=positive, metavar="N", help="uses for good")
