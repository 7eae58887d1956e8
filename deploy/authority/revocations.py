"""Which certificates the development authority has revoked: one file, read anew whenever it has changed."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.local import files

REVOKED = "revoked.json"
"""The file of revocations, beside the authorities' certificates."""
REASONS = (
    "unspecified",
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "privilege_withdrawn",
)
"""Of RFC 5280 section 5.3.1, without those that are for a while only."""


@dataclass(frozen=True)
class Revocation:
    """That a certificate does not count from a moment on, and why: one of REASONS."""

    moment: datetime
    reason: str


Key = tuple[str, int]
"""Name of the issuing authority, such as `seal-ca`, and the certificate's serial number."""


class Revocations:
    """The revoked certificates in `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._held: dict[Key, Revocation] = {}

    def all(self) -> dict[Key, Revocation]:
        """Every revocation. Raises ValueError on a file out of form: nobody is told `good` by it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        seen = (found.st_mtime_ns, found.st_ino)
        if seen != self._seen:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            try:
                held = dict(map(_read, rows))
            except (KeyError, TypeError) as fault:
                raise ValueError(f"{self._path.name} is out of form") from fault
            self._held, self._seen = held, seen
        return self._held

    def add(self, authority: str, serial: int, revocation: Revocation) -> bool:
        """Revokes a certificate; the first revocation stays, and False says that there is one.

        Written whole or not at all, and one after another.
        """
        files.private_folder(self._path.parent)
        with (self._path.parent / f".{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._add(authority, serial, revocation)

    def _add(self, authority: str, serial: int, revocation: Revocation) -> bool:
        held = {**self.all()}
        if (authority, serial) in held:
            return False
        held[authority, serial] = revocation
        rows = [
            {
                "authority": name,
                "serial": f"{number:x}",
                "moment": one.moment.isoformat(),
                "reason": one.reason,
            }
            for (name, number), one in held.items()
        ]
        files.write_private(self._path, json.dumps(rows, indent=2) + "\n")
        return True


def _read(row: dict[str, str]) -> tuple[Key, Revocation]:
    moment, reason = datetime.fromisoformat(row["moment"]), row["reason"]
    if reason not in REASONS or moment.tzinfo is None:
        raise ValueError("a revocation has a time with its zone, and one of the known reasons")
    return (row["authority"], int(row["serial"], 16)), Revocation(moment, reason)
