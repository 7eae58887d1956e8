"""What the soak asks: searches, forms, a bank's fetches and seals, each at a steady rate."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.bench import credit, forms, seals, search
from tests.bench.figures import Figure
from tests.bench.ground import Bench
from tests.bench.soak import Steady, minutes_wanted, soak


def measure(bench: Bench) -> Iterable[Figure]:
    """A soak of SOAK_MINUTES, at about a third of what two cores can do, or SOAK_SHARE of that."""
    share = float(os.environ.get("SOAK_SHARE", "1"))
    mixture = (
        Steady(search.own_side(bench), rate=150.0 * share),
        Steady(forms.own_side(bench), rate=20.0 * share),
        Steady(credit.own_side(bench), rate=20.0 * share),
        Steady(seals.own_side(bench), rate=5.0 * share),
    )
    return soak(bench, mixture, minutes_wanted())
