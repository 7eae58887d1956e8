"""Starts the city on this machine: `python -m deploy.local` (or `make run`). Ctrl-C stops it."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import sys
from dataclasses import replace

from deploy.local.errors import GroundError
from deploy.local.lines import Printer
from deploy.local.settings import PROCESSES, read_settings, refuse_production
from deploy.local.supervisor import Supervisor

TELLING = {
    errno.EACCES: "run it as the user who owns the folder, or choose another folder with ONESTOP_HOME.",
    errno.EPERM: "run it as the user who owns the folder, or choose another folder with ONESTOP_HOME.",
    errno.EROFS: "choose a folder that can be written to with ONESTOP_HOME.",
    errno.ENOSPC: "make room on the disk, or choose a folder on another one with ONESTOP_HOME.",
    errno.EDQUOT: "make room on the disk, or choose a folder on another one with ONESTOP_HOME.",
}


def main() -> int:
    """Exit code 0 after a stop that was asked for, 1 when the city cannot be."""
    parser = argparse.ArgumentParser(prog="deploy.local", description=__doc__)
    parser.add_argument("--only", metavar="PART,PART", help="start these parts alone")
    parser.add_argument("--no-town", action="store_true", help="load no synthetic town")
    options = parser.parse_args()
    printer = Printer()
    try:
        settings = read_settings(os.environ)
        refuse_production(settings)
        if options.only:
            wanted = tuple(options.only.split(","))
            unknown = sorted(set(wanted) - set(PROCESSES))
            if unknown:
                raise GroundError(
                    f"There is no part {', '.join(unknown)}.", f"choose from {', '.join(PROCESSES)}."
                )
            settings = replace(settings, parts=wanted)
        settings = replace(settings, with_town=not options.no_town)

        async def supervise() -> None:
            await Supervisor(settings, printer).run()

        asyncio.run(supervise())
    except GroundError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in TELLING:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"\nThe city cannot start: {error.strerror}{where}.", file=sys.stderr)
        print(f"  What to do: {TELLING[error.errno]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
