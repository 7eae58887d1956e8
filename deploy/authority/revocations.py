"""Which certificates the development authority has revoked: one file, read anew whenever it has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from deploy.local import files


@dataclass(frozen=True)
class Revocation:
    """That a certificate does not count from a moment on."""

    moment: datetime
    reason: x509.ReasonFlags


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
            self._held = {
                (row["authority"], int(row["serial"], 16)): Revocation(
                    datetime.fromisoformat(row["moment"]), x509.ReasonFlags[row["reason"]]
                )
                for row in rows
            }
            self._seen = seen
        return self._held

    def add(self, authority: str, serial: int, revocation: Revocation) -> None:
        """Revokes a certificate; the first revocation stays. Written whole or not at all."""
        held = {**self.all()}
        held.setdefault((authority, serial), revocation)
        rows = [
            {
                "authority": name,
                "serial": f"{number:x}",
                "moment": one.moment.isoformat(),
                "reason": one.reason.name,
            }
            for (name, number), one in held.items()
        ]
        files.private_folder(self._path.parent)
        files.write_private(self._path, json.dumps(rows, indent=2) + "\n")
