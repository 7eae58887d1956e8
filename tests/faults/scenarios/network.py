"""Ways between parts, and to the database, that are slow, silent, refused, reset or dripping."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.apart import missing
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import PATIENCE_SECONDS, Fault, Strike
from tests.faults.way import Trouble

TROUBLE_SECONDS = 4.0
PARTED_SECONDS = 8.0

UPSTREAMS = (("gateway", "licence"), ("autofill", "datanode"), ("eseal", "ledger"))
DATABASES = ("agricredit", "ledger")
PARTED = (("autofill", "licence"), ("agricredit", "ledger"), ("gateway", "issuer"))


def upstreams() -> Iterator[Fault]:
    """A part that answers slowly, not at all, by a reset, or drop by drop."""
    troubles = [trouble for trouble in Trouble if trouble is not Trouble.NONE]
    return some(*((*pair, trouble) for pair in UPSTREAMS for trouble in troubles))


def some(*wanted: tuple[str, str, Trouble]) -> Iterator[Fault]:
    """Chosen ones: caller, callee and what befalls the way."""
    for caller, callee, trouble in wanted:
        yield Fault(f"{caller} > {callee}: {trouble.value}", _troubling(caller, callee, trouble))


def databases() -> Iterator[Fault]:
    """The way to the database."""
    troubles = (Trouble.SILENT, Trouble.RESETTING)
    return some(*((part, "postgres", trouble) for part in DATABASES for trouble in troubles))


def partition() -> Iterator[Fault]:
    """Two parts that cannot reach each other while everybody else reaches both.

    One of them lives in a network namespace, and the link is cut. Where that cannot be, which is told, a
    proxy between them falls silent instead.
    """
    why = missing()
    for caller, callee in PARTED:
        name = f"{caller} and {callee} parted"
        yield Fault(name, _cutting(caller, callee), missing=lambda: why)
        if why:
            by_proxy = _troubling(caller, callee, Trouble.SILENT, PARTED_SECONDS)
            yield Fault(f"{name}, by a proxy", by_proxy)


def _cutting(caller: str, callee: str) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        space = ground.afterwards.enter_context(ground.apart(caller, callee))
        load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        space.cut()
        time.sleep(PARTED_SECONDS)
        space.mend()
        return time.monotonic()

    return strike


def _troubling(caller: str, callee: str, trouble: Trouble, seconds: float = TROUBLE_SECONDS) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        way = ground.afterwards.enter_context(ground.way(caller, callee))
        load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        way.trouble = trouble
        if trouble is Trouble.FORGOTTEN:
            return time.monotonic()  # Whoever connects anew is answered.
        time.sleep(seconds)
        way.trouble = Trouble.NONE
        return time.monotonic()

    return strike
