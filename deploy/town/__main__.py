"""Loads the synthetic town: `python -m deploy.town --size 2000`.

ONESTOP_HOME is the city's folder, with its keyrings; the file named by --admin-dsn-file (or by
ONESTOP_ADMIN_DSN_FILE) holds the address of the database as its owner. A town that is there already is left
as it is; without --size and --licences, whatever town it is. Exit codes: 0 done, 1 cannot be done, 2 wrong
arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from core.config import read_secret
from core.vault import SealBrokenError
from deploy.town.load import Loaded, TownError, load, present_plan
from deploy.town.others import City
from deploy.town.plan import LARGEST, SEED, SMALLEST, SizeError, TownPlan
from deploy.town.progress import progress

USUAL_SIZE = 2_000


def main() -> int:
    """Loads what the arguments ask for."""
    arguments = _arguments()
    try:
        city = City(read_secret(arguments.admin_dsn_file), arguments.home)
        plan, done = asyncio.run(_run(city, arguments))
    except (TownError, SizeError, SealBrokenError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped; the next start begins anew", file=sys.stderr)
        return 1
    except asyncpg.PostgresError as error:
        print(
            f"The database refused: {error.args[0] if error.args else type(error).__name__}", file=sys.stderr
        )
        return 1
    if done is None:
        print(f"the town of {plan.size:,} people is there")
    else:
        rate = done.people / max(done.seconds, 0.001)
        print(
            f"loaded {done.people:,} people in {done.seconds:.1f} s ({rate:,.0f} a second, "
            f"{done.workers} at work)"
        )
    return 0


async def _run(city: City, arguments: argparse.Namespace) -> tuple[TownPlan, Loaded | None]:
    """Loads, and stops in order when told to: the processes at work end first."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if arguments.size is None and not arguments.licences:
        plan = await present_plan(city.dsn) or TownPlan(USUAL_SIZE, arguments.seed)
    else:
        plan = TownPlan(arguments.size or USUAL_SIZE, arguments.seed, arguments.licences)
    return plan, await load(city, plan, progress(), workers=arguments.workers, replace=arguments.replace)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.town", description="Loads the synthetic town.")
    parser.add_argument("--size", type=int, help=f"people, {SMALLEST:,} to {LARGEST:,}; {USUAL_SIZE:,}")
    parser.add_argument("--licences", type=int, default=0, help="e-licences; in proportion to the size")
    parser.add_argument("--seed", type=int, default=SEED, help=f"another seed makes another town; {SEED}")
    parser.add_argument("--workers", type=int, default=0, help="processes; as many as there are cores")
    parser.add_argument("--replace", action="store_true", help="remove the town that is there first")
    parser.add_argument("--home", type=Path, default=os.environ.get("ONESTOP_HOME"), help="ONESTOP_HOME")
    parser.add_argument(
        "--admin-dsn-file",
        type=Path,
        default=os.environ.get("ONESTOP_ADMIN_DSN_FILE"),
        help="file with the database's address as its owner",
    )
    arguments = parser.parse_args()
    if arguments.home is None or arguments.admin_dsn_file is None:
        parser.error("ONESTOP_HOME and --admin-dsn-file are needed: where the city lies, and its database")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
