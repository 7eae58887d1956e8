"""`autofill.fill`: a form of 20 fields from 5 sources, of which one is asked about two people."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.bench import turns
from tests.bench.callers import job_of, processes_of
from tests.bench.figures import Figure
from tests.bench.ground import Bench
from tests.bench.peers.alike import require_same_form
from tests.bench.peers.catalogue import FORM
from tests.bench.peers.questions import form_bodies
from tests.bench.peers.run import Peer, peer_autofill
from tests.bench.turns import Goals, Side
from tests.city import City

PATH = f"/approval/v1/matters/{FORM}:autofill"

GOALS = Goals.of(throughput={32: 3.0})


def measure(bench: Bench) -> Iterable[Figure]:
    """The form beside the peer's."""
    city = bench.city
    bodies = form_bodies(bench, city)
    with Peer(city) as peer:
        require_same_form(city, peer, bodies)
        return turns.compare(bench, side(city, "autofill.fill", bodies), peer_autofill(peer, bodies), GOALS)


def own_side(bench: Bench) -> Side:
    """Our side of it, in the bench's city."""
    return side(bench.city, "autofill.fill", form_bodies(bench, bench.city))


def side(city: City, name: str, bodies: Path) -> Side:
    """Our side of it, in this city."""
    return Side(name, partial(job_of, city, "approval-platform", PATH, bodies), partial(processes_of, city))
