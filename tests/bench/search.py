"""`licence.search`: a holder's licences for a case."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tests.bench import turns
from tests.bench.callers import job_of, processes_of, write_bodies
from tests.bench.figures import Figure
from tests.bench.ground import Bench, holders
from tests.bench.turns import Side
from tests.city import City
from tests.story import ID_CARD, cast_of

TYPE_CODES = (ID_CARD, "11100000000013127D902", "11100000MB03271699001")
MATTER = "sole-trader-registration"
HOLDERS = 20_000
PATH = "/approval/v1/licences:search"


def measure(bench: Bench) -> Iterable[Figure]:
    """The search beside the peer's."""
    return turns.alone(bench, side(bench, bench.city, "licence.search"), (1, 32, 128))


def side(bench: Bench, city: City, name: str) -> Side:
    """Our side of it, in this city."""
    office = cast_of(city)["office"]["code"]
    bodies = write_bodies(
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
    return Side(name, partial(job_of, city, "approval-platform", PATH, bodies), partial(processes_of, city))
