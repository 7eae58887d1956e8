"""`onestop ledger continue`: a ledger that lacks what it has released goes on under a new origin and key."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cli.keys.ground import owners_database
from cli.ledger.files import LedgerFiles
from core.clock import now
from core.config import read_secret
from core.db import make_pool
from core.keyring import Keyring
from core.merkle import VerificationError
from core.note import VerifierKey
from core.policy import Policy
from core.vault import Vault
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings
from services.ledger.continuation import NothingToContinueError
from services.ledger.continuing import Continued, continue_log
from services.ledger.correspondence import HttpCorrespondent
from services.ledger.domain import CustodyError, FencedError, StoreLostError
from services.ledger.feeding import SilentError
from services.ledger.released import LastReleasedFile
from services.ledger.store import PgLogStore

DONE, FAILED = 0, 1

_EPILOG = """\
A ledger whose database was restored without its newest entries stays read-only: it would tell another story
than the receipts that it has given. Restore the newest state that there is first. Only if entries are lost
for good, give the log a new origin: this command makes a new key, and appends one entry that names the last
checkpoint known of the old log. What is left of the old log is the beginning of the new one. Old receipts
verify with the old key, which stays published at /ledger/v1/policy.

The last known checkpoint is the newest that the database does not extend, of: the ledger's own file, what the
witnesses hold, and files given with --known (checkpoints, as receipts carry them). A run that was cut off
finishes when it is run again.
Exit code: 0 done, 1 not done, and nothing is changed.
"""


def main() -> int:
    """Reads the command line and does it."""
    arguments = _parser().parse_args()
    try:
        settings = read_settings(os.environ)
        files = LedgerFiles(settings.keys, settings.ledger)
        with owners_database(settings):
            return asyncio.run(go_on(settings, files, arguments.origin, arguments.known))
    except GroundError as failure:
        print(failure, file=sys.stderr)
    except NothingToContinueError as failure:
        print(f"not done: {failure}", file=sys.stderr)
    except (CustodyError, FencedError, StoreLostError) as failure:
        print(f"not done: {failure or 'another ledger has taken over'}", file=sys.stderr)
    return FAILED


async def go_on(settings: Settings, files: LedgerFiles, origin: str, known_files: Sequence[Path]) -> int:
    """Continues the log of a city; says what was done. Raises what `continue_log` does, GroundError."""
    old = files.old_keys()
    if origin == old[0].name:
        raise GroundError(f"The log is {origin} already.", "choose another name with --origin.")
    known = [_read(path) for path in known_files]
    new = files.prepare(origin or next_origin(old[0].name))
    known += await _witnessed(settings, old[0])
    dsn = read_secret(settings.keys / "ledger.dsn")
    pool = await make_pool(dsn, 2)
    try:
        vault = await Vault.open(pool, Keyring.load(settings.keys / "ledger-keyring.json"))
        kept = [await LastReleasedFile(path).read() for path in files.last_checkpoints]
        released, *others = _of(old, kept) or [None]
        done = await continue_log(
            PgLogStore(pool),
            vault,
            now,
            old=old,
            new=new,
            released=released,
            known=[*known, *(one for one in others if one)],
        )
    except (NothingToContinueError, CustodyError):
        # Nothing has been signed with the new key. After a lost database that is not known.
        files.forget_next()
        raise
    finally:
        await pool.close()
    ended = await files.take_over(done.checkpoint)
    print(_report(done, new.verifier_key, ended))
    _restart(settings)
    return DONE


def next_origin(origin: str) -> str:
    """The usual name of the log after this one: `…/ledger`, `…/ledger-2`, `…/ledger-3`."""
    base, dash, number = origin.rpartition("-")
    if dash and re.fullmatch("[1-9][0-9]{0,5}", number):
        return f"{base}-{int(number) + 1}"
    return f"{origin}-2"


def _of(old: Sequence[VerifierKey], kept: Sequence[str | None]) -> list[str | None]:
    """What the ledger's processes keep as last released, without what is the new log's: a run that was cut
    off has put that there, and its log needs no further proof."""
    return [one for one in kept if one is not None and one.partition("\n")[0] == old[0].name]


async def _witnessed(settings: Settings, key: VerifierKey) -> list[str]:
    """What the witnesses hold of the old log; who does not answer is told of, and left out."""
    told = settings.part_environment("ledger")
    try:
        policy = Policy.parse(read_secret(Path(told["ONESTOP_WITNESSES"])))
    except (OSError, UnicodeDecodeError, VerificationError) as failure:
        print(f"no witness is asked: {failure}", file=sys.stderr)
        return []
    tls = ssl.create_default_context(cafile=told["ONESTOP_WITNESSES_CA"])
    tls.load_cert_chain(settings.pki / "ledger.crt", settings.pki / "ledger.key")
    notes = []
    for witness in policy.witnesses:
        correspondent = HttpCorrespondent(witness, tls)
        try:
            note = await correspondent.newest(key.name)
        except SilentError as silence:
            print(f"the witness {witness.name} is left out: {silence}", file=sys.stderr)
        else:
            notes += [note] if note else []
        finally:
            await correspondent.close()
    return notes


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise GroundError(f"{path} cannot be read: {failure}", "name a file with a checkpoint.") from None


def _report(done: Continued, key: str, ended: Path) -> str:
    lines = []
    if done.former is None:
        lines.append("an earlier run had begun the new log; its files are in place now")
    else:
        lost = done.former.last_known.size - done.former.size
        what = f"{lost} entries at least" if lost > 0 else "what that checkpoint has and this has not"
        lines += [
            f"ended       {done.former.origin}, last known at {done.former.last_known.size} entries",
            f"left of it  {done.former.size} entries, the beginning of the new log",
            f"lost        {what}",
        ]
    return "\n".join(
        [
            *lines,
            f"goes on as  {key}",
            "publish     this key; the old one stays at /ledger/v1/policy, and old receipts verify with it",
            f"destroy     {ended}: nothing may ever be signed with it again",
        ]
    )


def _restart(settings: Settings) -> None:
    """The ledger of `make run` reads its keys when it starts; the supervisor starts it again."""
    running = sorted(settings.run.glob("ledger*.pid"))
    for file in running:
        with suppress(OSError, ValueError):
            os.kill(int(file.read_text(encoding="utf-8")), signal.SIGTERM)
    print("restarted   the ledger" if running else "start       the ledger")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onestop ledger",
        description="What an operator does to a ledger.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser(
        "continue",
        help="go on under a new origin and key, once entries are lost for good",
        description="Goes on with a restored ledger under a new origin and key.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument(
        "--origin", default="", help="the new log's name (default: the old one's with -2, -3, …)"
    )
    action.add_argument(
        "--known",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file with a checkpoint of the old log; may be given several times",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
