"""`onestop keys`: shows key versions, and rotates keys, of a city that runs or is stopped."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psycopg

from cli.keys.ground import owners_database
from cli.keys.journal import Journal
from cli.keys.lists import part_list
from cli.keys.part import KeysError, Manner, Pace, Part, UnfinishedError, open_part
from cli.keys.rotation import rotate_data, rotate_index, rotate_kek
from cli.keys.show import describe, table
from deploy.local.errors import GroundError
from deploy.local.migrate import PARTS
from deploy.local.settings import read_settings

DONE, FAILED, UNFINISHED = 0, 1, 3

ROTATIONS: dict[str, Callable[[Part], Awaitable[None]]] = {
    "kek": rotate_kek,
    "data": rotate_data,
    "index": rotate_index,
}

_EPILOG = """\
kek    the key-encryption key in each part's key file, which wraps the data keys: takes seconds
data   the data keys, which seal numbers, names and addresses: seals every row anew
index  the keys of the blind indexes, by which numbers are found: indexes every row anew

A rotation may be broken off at any moment; run again, it goes on where it was. It needs the database's
owner: the city's own admin.dsn, or DATABASE_URL. Key files are <ONESTOP_HOME>/keys/<part>-keyring.json.
Exit code: 0 done, 1 a part could not be done, 2 wrong arguments, 3 something has to expire: run it again.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    parts = tuple(dict.fromkeys(arguments.part or ()))
    try:
        settings = read_settings(os.environ)
        with owners_database(settings) as dsn:
            if arguments.action == "show":
                return asyncio.run(show(dsn, settings.keys, parts or _parts_here(settings.keys)))
            pace = Pace(settle=arguments.settle, patience=arguments.patience)
            return asyncio.run(rotate(arguments.kind, dsn, settings.keys, parts, pace))
    except GroundError as failure:
        print(failure, file=sys.stderr)
        return FAILED


async def show(dsn: str, keys: Path, parts: Sequence[str]) -> int:
    """Prints a line for each part."""
    lines = []
    failed = False
    for name in parts:
        try:
            async with open_part(dsn, part_list(name), _keyring(keys, name), Manner(), alone=False) as part:
                lines.append(await describe(part))
        except KeysError as failure:
            failed = True
            print(f"{name}: {failure}", file=sys.stderr)
    print(table(lines))
    left = {kind: Journal(keys, kind).left() for kind in ROTATIONS}
    for kind, names in left.items():
        if names:
            print(f"\na rotation ({kind}) is not finished for {', '.join(names)}: run `keys rotate {kind}`")
    return FAILED if failed else DONE


async def rotate(kind: str, dsn: str, keys: Path, parts: Sequence[str], pace: Pace) -> int:
    """Rotates the keys of these parts side by side; if none is named, of all, or of those that an earlier
    run has left."""
    journal = Journal(keys, kind)
    if not parts:
        parts = journal.left()
        if parts:
            print(f"going on with a rotation that was cut off: {', '.join(parts)}")
        parts = parts or _parts_here(keys)
        journal.begin(parts)

    async def one(name: str) -> int:
        try:
            async with open_part(dsn, part_list(name), _keyring(keys, name), Manner(_say, pace)) as part:
                await ROTATIONS[kind](part)
        except UnfinishedError as unfinished:
            _say(f"{name}: {unfinished}")
            return UNFINISHED
        except KeysError as failure:
            _say(f"{name}: NOT DONE: {failure}")
            return FAILED
        except psycopg.Error as failure:
            # Never the detail: it can hold a row.
            told = failure.diag.message_primary or type(failure).__name__
            _say(f"{name}: NOT DONE: the database: {told}")
            return FAILED
        journal.done(name)
        _say(f"{name}: done")
        return DONE

    codes = await asyncio.gather(*(one(name) for name in parts))
    return FAILED if FAILED in codes else max(codes)


def _say(line: str) -> None:
    print(line, flush=True)


def _parts_here(keys: Path) -> Sequence[str]:
    """The parts that this city has: a real one has no development identity provider."""
    parts = [part for part in PARTS if _keyring(keys, part).exists()]
    if not parts:
        raise GroundError(
            f"There is no part's key file in {keys}.", "name the city's folder in ONESTOP_HOME."
        )
    if absent := [part for part in PARTS if part not in parts]:
        _say(f"left out, without a key file: {', '.join(absent)}")
    return parts


def _keyring(keys: Path, part: str) -> Path:
    return keys / f"{part}-keyring.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop keys",
        description="Shows the versions of a city's keys, and rotates the keys.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    purposes = {"show": "versions, and what is left under old ones", "rotate": "new keys for old"}
    for name, purpose in purposes.items():
        action = actions.add_parser(
            name, help=purpose, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == "rotate":
            action.add_argument("kind", choices=sorted(ROTATIONS))
            action.add_argument(
                "--settle",
                type=float,
                default=Pace().settle,
                metavar="SECONDS",
                help="how long the longest request takes, of a city that runs (default: %(default)g)",
            )
            action.add_argument(
                "--patience",
                type=float,
                default=Pace().patience,
                metavar="SECONDS",
                help="the longest wait for something to expire (default: %(default)g)",
            )
        action.add_argument(
            "--part", action="append", choices=PARTS, help="this part alone; may be given several times"
        )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
