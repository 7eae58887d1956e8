"""`licence.search`: a holder's licences for a case."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.bench import turns
from tests.bench.callers import job_of, processes_of, write_bodies
from tests.bench.figures import LESS_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench, holders, running
from tests.bench.limits import pgbench, prepare_lookups
from tests.bench.peers.alike import require_same_licences
from tests.bench.peers.run import Peer, peer_search
from tests.bench.turns import Goals, Side
from tests.city import City
from tests.story import ID_CARD, cast_of

TYPE_CODES = (ID_CARD, "11100000000013127D902", "11100000MB03271699001")
MATTER = "sole-trader-registration"
HOLDERS = 20_000
PATH = "/approval/v1/licences:search"

GOALS = Goals.of(throughput={32: 3.0, 128: 3.0}, p50={1: 1.5}, p99={32: 1.0, 128: 1.0})


def measure(bench: Bench) -> Iterable[Figure]:
    """The search beside the peer's."""
    city = bench.city
    bodies = bodies_of(bench, city, "licence.search")
    with Peer(city) as peer:
        require_same_licences(city, peer, bodies)
        return turns.compare(bench, side(city, "licence.search", bodies), peer_search(peer, bodies), GOALS)


def measure_limit(bench: Bench) -> Iterable[Figure]:
    """What PostgreSQL gives of the same table: look-ups of a holder by blind index, prepared, by pgbench."""
    script = prepare_lookups(bench.city)
    for clients in turns.STEPS:
        bench.say(f"limit.pgbench.lookup, {clients} clients")
        rounds = [
            pgbench(bench.city, script, clients=clients, seconds=bench.seconds).per_second
            for _ in range(bench.rounds)
        ]
        yield median(f"limit.pgbench.lookup.c{clients}", rounds, "/s")


def own_side(bench: Bench) -> Side:
    """Our side of it, in the bench's city."""
    return side(bench.city, "licence.search", bodies_of(bench, bench.city, "licence.search"))


def side(city: City, name: str, bodies: Path) -> Side:
    """Our side of it, in this city."""
    return Side(name, partial(job_of, city, "approval-platform", PATH, bodies), partial(processes_of, city))


def bodies_of(bench: Bench, city: City, name: str) -> Path:
    """The searches that both sides are asked, a body a line."""
    office = cast_of(city)["office"]["code"]
    return write_bodies(
        bench,
        name,
        (
            {
                "case": {
                    "matter_code": MATTER,
                    "case_number": f"BENCH-{number:08d}",
                    "office": office,
                    "operator": "clerk-017",
                    "purpose": "个体工商户设立登记",
                },
                "holder": {"code_type": holder.code_type, "code": holder.code},
                "type_codes": list(TYPE_CODES),
            }
            for number, holder in enumerate(holders(city, TYPE_CODES[:1], HOLDERS))
        ),
    )


SMALL_PEOPLE, SMALL_LICENCES = 2_300, 10_000
SLOPE_CONNECTIONS = 32


def measure_slope(bench: Bench) -> Iterable[Figure]:
    """What a search costs among the bench's licences, beside one among ten thousand, in turns."""
    small = bench.city_of(SMALL_PEOPLE, SMALL_LICENCES)
    with running(bench, small):
        sides = [
            side(city, name, bodies_of(bench, city, name))
            for city, name in ((bench.city, "licence.slope.large"), (small, "licence.slope.small"))
        ]
        large, little = turns.rounds_of(bench, sides, SLOPE_CONNECTIONS)
    base = median("licence.slope.small.cpu", [load.cpu_served for load in little], "µs/request")
    goal = Goal(LESS_IS_BETTER, 1.2, of_ratio=True)
    return [
        base,
        paired("licence.slope.large.cpu", [load.cpu_served for load in large], base, "µs/request", goal),
    ]
