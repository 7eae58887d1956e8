"""What the soak asks: searches, forms, a bank's fetches and seals, each at a steady rate."""

from __future__ import annotations

from collections.abc import Iterable

from tests.bench import credit, forms, seals, search
from tests.bench.figures import Figure
from tests.bench.ground import Bench
from tests.bench.soak import Steady, minutes_wanted, soak


def measure(bench: Bench) -> Iterable[Figure]:
    """A soak of SOAK_MINUTES, at about a third of what this machine can do."""
    mixture = (
        Steady(search.own_side(bench), rate=150.0),
        Steady(forms.own_side(bench), rate=20.0),
        Steady(credit.own_side(bench), rate=20.0),
        Steady(seals.own_side(bench), rate=5.0),
    )
    return soak(bench, mixture, minutes_wanted())
