"""`agricredit.fetch`: a farmer's land rights, under her consent, signed and encrypted."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.bench import turns
from tests.bench.callers import job_of, processes_of
from tests.bench.figures import Figure
from tests.bench.ground import Bench
from tests.bench.peers.alike import require_same_land
from tests.bench.peers.questions import BANK, fetch_bodies
from tests.bench.peers.run import Peer, peer_agricredit
from tests.bench.turns import Goals, Side
from tests.city import City

PATH = "/partner/v1/farmers:land_rights"

GOALS = Goals.of(throughput={32: 1.5}, p99_ms={32: 100.0})


def measure(bench: Bench) -> Iterable[Figure]:
    """The fetch beside the peer's."""
    city = bench.city
    bodies = fetch_bodies(bench, city)
    with Peer(city) as peer:
        require_same_land(city, peer, bodies)
        ours = side(city, "agricredit.fetch", bodies)
        return turns.compare(bench, ours, peer_agricredit(peer, bodies), GOALS)


def own_side(bench: Bench) -> Side:
    """Our side of it, in the bench's city."""
    return side(bench.city, "agricredit.fetch", fetch_bodies(bench, bench.city))


def side(city: City, name: str, bodies: Path) -> Side:
    """Our side of it, in this city."""
    return Side(name, partial(job_of, city, BANK, PATH, bodies), partial(processes_of, city))
