"""What there is to look at, in a city on this machine or in one elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path

import psycopg

from cli.audit.findings import Report
from cli.audit.log import Known
from cli.audit.run import Evidence, audit
from cli.keys.ground import owners_database
from core.merkle import VerificationError
from core.note import VerifierKey
from deploy.local.errors import GroundError
from deploy.local.migrate import AUDITOR
from deploy.local.settings import Settings
from services.ledger.domain import CustodyError, StoreLostError
from services.ledger.released import LastReleasedFile


@contextmanager
def city_evidence(
    settings: Settings,
    *,
    database: Path | None = None,
    keys: Sequence[Path] = (),
    checkpoints: Sequence[Path] = (),
    logs: Path | None = None,
) -> Iterator[Evidence]:
    """A city's evidence, from its folder; each thing may be named instead.

    `database` is a file that holds the auditor's address. The embedded server of a city that is stopped is
    started meanwhile. Raises GroundError that says what cannot be used.
    """
    limits: list[str] = []
    dsn_file = database or settings.keys / f"{AUDITOR}.dsn"
    dsn = _text(dsn_file, "start the city once, which makes the auditor's role, or name its address's file.")
    known = [*_last_released(settings, limits), *(_checkpoint(path) for path in checkpoints)]
    folder = logs or settings.logs
    if not folder.is_dir() and logs is not None:
        raise GroundError(f"There is no folder {folder}.", "name the folder of the parts' log files.")
    evidence = Evidence(
        dsn=dsn,
        keys=_keys(keys or [settings.keys / "ledger.vkey"]),
        known=known,
        logs=folder if folder.is_dir() else None,
        limits=limits,
    )
    with ExitStack() as stack:
        if database is None and not _answers(dsn):
            with redirect_stdout(sys.stderr):  # The report has the other one for itself.
                stack.enter_context(owners_database(settings))
        yield evidence


def audit_city(settings: Settings) -> Report:
    """Audits the city of a folder, as `./onestop audit` does. Not from within an event loop."""
    with city_evidence(settings) as evidence:
        return audit(evidence)


def _last_released(settings: Settings, limits: list[str]) -> list[Known]:
    """The checkpoint that the ledger keeps outside the database, if it is here."""
    path = settings.ledger / "last-checkpoint"
    try:
        note = asyncio.run(LastReleasedFile(path).read())
    except (CustodyError, StoreLostError) as failure:
        raise GroundError(
            f"The last released checkpoint: {failure}.", "restore no file; ask who changed it."
        ) from None
    if note is None:
        limits.append("no last released checkpoint: a log that was rolled back as a whole is not noticed")
        return []
    return [Known("the last released checkpoint", note)]


def _checkpoint(path: Path) -> Known:
    return Known(path.name, _text(path, "name a file that holds a signed checkpoint.", strip=False))


def _keys(paths: Sequence[Path]) -> list[VerifierKey]:
    """The keys of these files, a line each."""
    keys = []
    for path in paths:
        for line in _text(path, "name the file of the ledger's public key.").splitlines():
            try:
                keys.append(VerifierKey.parse(line))
            except VerificationError as failure:
                raise GroundError(
                    f"{path}: {failure}.", "name the file of the ledger's public key."
                ) from None
    return keys


def _text(path: Path, advice: str, *, strip: bool = True) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise GroundError(f"{path} cannot be read: {type(failure).__name__}.", advice) from None
    return text.strip() if strip else text


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
