"""Rotates keys of the city in containers.

`docker compose run --rm setup python -m deploy.compose.rotate kek`: the arguments are those of `onestop keys
rotate`, which does the work on the city's folder. It waits until the running parts know what it has written,
so their volumes are kept up to date beside it. It may be broken off at any moment, and goes on when it is run
again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from deploy.compose.handing import CITY, OWN, hand_out, mode_of, owner_dsn, parts_of
from deploy.local.errors import GroundError

PAUSE_SECONDS = 1.0


async def rotate(arguments: Sequence[str]) -> int:
    """The exit code of `onestop keys rotate`. Raises GroundError."""
    parts = parts_of(mode_of(os.environ))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "keys", "rotate", *arguments),
        env={**os.environ, "ONESTOP_HOME": str(CITY), "DATABASE_URL": owner_dsn(CITY)},
    )
    while process.returncode is None:
        hand_out(CITY, OWN, parts)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PAUSE_SECONDS)
    hand_out(CITY, OWN, parts)
    return process.returncode


def main() -> int:
    """Also 1 with what is wrong when the city's folder is not whole."""
    try:
        return asyncio.run(rotate(sys.argv[1:]))
    except GroundError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
