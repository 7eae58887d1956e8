"""`ledger.price`: what the ledger takes of a search's throughput, beside a ledger that stores nothing.

Both are asked in turns by the same licence service of one city, which is started anew for each turn with the
address of the one or the other. What ships has no switch for it: the city's supervisor is the fault suite's,
which starts parts with other ways.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from deploy.local import files
from deploy.local.migrate import ROOT
from tests.bench import turns
from tests.bench.client import Job
from tests.bench.figures import LESS_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench, running
from tests.bench.search import SMALL_LICENCES, SMALL_PEOPLE, bodies_of, side
from tests.bench.turns import Side
from tests.city import City
from tests.faults.bent import WISHES

CONNECTIONS = 32
GOAL = Goal(LESS_IS_BETTER, 25.0)


def measure(bench: Bench) -> Iterable[Figure]:
    """Per cent of the searches a second that the ledger costs, in a small town, where a search is cheap."""
    city = bench.city_of(SMALL_PEOPLE, SMALL_LICENCES, program="tests.faults.bent")
    with running(bench, city), storing_nothing(city) as port:
        try:
            bodies = bodies_of(bench, city, "ledger.price")
            sides = [
                _by_way_of(city, side(city, name, bodies), ways)
                for name, ways in (("ledger.price.nothing", {"licence>ledger": port}), ("ledger.price", {}))
            ]
            without, ours = turns.rounds_of(bench, sides, CONNECTIONS)
        finally:
            (city.home / WISHES).unlink(missing_ok=True)
    step = f"c{CONNECTIONS}"
    base = median(f"ledger.price.nothing.{step}.throughput", [one.throughput for one in without], "/s")
    rates = paired(f"ledger.price.{step}.throughput", [one.throughput for one in ours], base, "/s")
    pairs = zip(ours, without, strict=True)
    shares = [100 * (1 - mine.throughput / theirs.throughput) for mine, theirs in pairs]
    failed = [float(one.failed) for one in (*without, *ours)]
    errors = median(f"ledger.price.{step}.errors", failed, "requests")
    return [base, rates, errors, median("ledger.price", shares, "%", GOAL)]


def _by_way_of(city: City, usual: Side, ways: dict[str, int]) -> Side:
    """A side whose every turn begins with a licence service that reaches the ledger by these ways."""

    def job() -> Job:
        files.write_private(city.home / WISHES, json.dumps({"ways": ways}))
        city.restart("licence")
        return usual.job()

    return Side(usual.name, job, usual.processes)


@contextmanager
def storing_nothing(city: City) -> Iterator[int]:
    """The port of a ledger that stores nothing, while it runs."""
    port = _free_port()
    environment = city.settings.part_environment("ledger") | {"ONESTOP_LISTEN": f"127.0.0.1:{port}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.storing_nothing"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if '"serving"' in line or " serving " in line:
                break
        else:
            raise RuntimeError("the ledger that stores nothing did not start; its message stands above")
        yield port
    finally:
        process.terminate()
        process.communicate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])
