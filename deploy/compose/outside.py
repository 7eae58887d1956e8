"""Gives out, as a tar archive on standard output, what the development city's outside callers hold.

`python -m deploy.compose.outside`: their certificates and keys, the bank's decryption key, the ledger's
public key and the demo's cast; laid out so that `make demo ONESTOP_HOME=<where it was unpacked>` walks the
whole path from outside, through the published ports. None of it is the city's own.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import BinaryIO

from deploy.compose.handing import CITY, missing
from deploy.local.errors import GroundError
from deploy.local.pki import BANK, CLIENTS

HELD = (
    "pki/ca.crt",
    *(f"pki/{client}.{kind}" for client in CLIENTS for kind in ("crt", "key")),
    f"pki/{BANK}-encryption.jwk",
    "keys/ledger.vkey",
    "demo/cast.json",
)


def pack(city: Path, target: BinaryIO) -> None:
    """Writes the archive, private to whoever unpacks it. Raises GroundError when something is missing."""
    if absent := missing(city, HELD):
        raise GroundError(
            f"The city has no {', '.join(absent)}.",
            "this is for the development city alone (ONESTOP_MODE=development); start it first.",
        )
    with tarfile.open(fileobj=target, mode="w|") as archive:
        for folder in sorted({str(Path(name).parent) for name in HELD}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(entry)
        for name in HELD:
            data = (city / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, (city / name).stat().st_mtime
            archive.addfile(entry, io.BytesIO(data))


def main() -> int:
    """0 when the archive was written; 1 with what is wrong otherwise."""
    try:
        pack(CITY, sys.stdout.buffer)
    except GroundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
