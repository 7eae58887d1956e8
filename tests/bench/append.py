"""`ledger.append`: durable entries with their receipts, beside PostgreSQL's own group-committed inserts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict

import psycopg

from deploy.local.migrate import ROOT
from tests.bench.appender import Appended, AppendJob
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.limits import Transactions, pgbench, prepare_inserts
from tests.city import City

STEPS = (1, 8, 32, 128)
GOAL = Goal(MORE_IS_BETTER, 0.5, of_ratio=True)
PART = "licence"
"""Whose certificate the appenders show; its own process does nothing meanwhile."""


def measure(bench: Bench) -> Iterable[Figure]:
    """Entries a second by so many concurrent appenders, in turns with as many pgbench clients."""
    city = bench.city
    _append(city, 32, 1.0)
    script = prepare_inserts(city, row_bytes(city))
    figures: list[Figure] = []
    for appenders in STEPS:
        ours: list[Appended] = []
        limits: list[Transactions] = []
        for number in range(bench.rounds):
            bench.say(f"ledger.append, {appenders} appenders, round {number + 1} of {bench.rounds}")
            ours.append(_append(city, appenders, bench.seconds))
            limits.append(pgbench(city, script, clients=appenders, seconds=bench.seconds))
        figures += _figures(f"c{appenders}", ours, limits)
    return figures


def row_bytes(city: City) -> int:
    """What an entry and its opening take, on average, of the newest thousand."""
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute(
            "SELECT avg(octet_length(e.leaf) + octet_length(o.sealed) + 96)::int"
            " FROM (SELECT item_id, leaf FROM ledger.entry ORDER BY idx DESC LIMIT 1000) AS e"
            " JOIN ledger.opening AS o USING (item_id)"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _append(city: City, appenders: int, seconds: float) -> Appended:
    pki = city.settings.pki
    job = AppendJob(
        ledger=f"127.0.0.1:{city.settings.ports['ledger']}",
        ca=str(pki / "ca.crt"),
        cert=str(pki / f"{PART}.crt"),
        key=str(pki / f"{PART}.key"),
        appenders=appenders,
        seconds=seconds,
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.appender"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return Appended(**json.loads(done.stdout))


def _cpu(one: Appended) -> float:
    """Microseconds that the appenders' own process spent on an entry."""
    return one.cpu_seconds * 1e6 / max(one.entries, 1)


def _figures(step: str, ours: list[Appended], limits: list[Transactions]) -> list[Figure]:
    limit = median(f"limit.pgbench.insert.{step}", [one.per_second for one in limits], "rows/s")
    rates = [one.entries / one.seconds for one in ours]
    name = f"ledger.append.{step}"
    goal = GOAL if step in {"c32", "c128"} else None
    return [
        limit,
        paired(f"{name}.throughput", rates, limit, "entries/s", goal),
        *(median(f"{name}.{p}", [one.times[p] for one in ours], "ms") for p in ("p50", "p95", "p99")),
        median(f"{name}.client_cpu", [_cpu(one) for one in ours], "µs/entry"),
    ]
