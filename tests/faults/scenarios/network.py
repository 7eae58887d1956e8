"""Ways between parts, and to the database, that are slow, silent, refused, reset or dripping."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import PATIENCE_SECONDS, Fault, Strike
from tests.faults.way import Trouble

TROUBLE_SECONDS = 4.0
PARTED_SECONDS = 8.0

UPSTREAMS = (("gateway", "licence"), ("autofill", "datanode"), ("eseal", "ledger"))
DATABASES = ("agricredit", "ledger")


def upstreams() -> Iterator[Fault]:
    """A part that answers slowly, not at all, by a reset, or drop by drop."""
    for caller, callee in UPSTREAMS:
        for trouble in (Trouble.SLOW, Trouble.SILENT, Trouble.REFUSED, Trouble.RESETTING, Trouble.DRIPPING):
            yield Fault(f"{caller} > {callee}: {trouble.value}", _troubling(caller, callee, trouble))


def databases() -> Iterator[Fault]:
    """The way to the database."""
    for part in DATABASES:
        for trouble in (Trouble.SILENT, Trouble.RESETTING):
            yield Fault(f"{part} > postgres: {trouble.value}", _troubling(part, "postgres", trouble))


def partition() -> Iterator[Fault]:
    """Two parts that cannot reach each other while everybody else reaches both."""
    for caller, callee in (("autofill", "licence"), ("agricredit", "ledger"), ("gateway", "issuer")):
        name = f"{caller} and {callee} parted"
        yield Fault(name, _troubling(caller, callee, Trouble.SILENT, PARTED_SECONDS))


def _troubling(caller: str, callee: str, trouble: Trouble, seconds: float = TROUBLE_SECONDS) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        way = ground.afterwards.enter_context(ground.way(caller, callee))
        load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        way.trouble = trouble
        time.sleep(seconds)
        way.trouble = Trouble.NONE
        return time.monotonic()

    return strike
