"""The short form of `make faults`: each sort of fault once, on one city, the books checked after each.

Recovery is given more time here than `make faults` gives it: other tests use the machine too.
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

from tests.faults.account import Account
from tests.faults.conftest import SEED
from tests.faults.ground import Ground
from tests.faults.load import Try
from tests.faults.report import Report
from tests.faults.scenarios import clocks, keys, kills, network, overload, seals
from tests.faults.shake import Fault, Outcome, promises_broken, shake
from tests.faults.way import Trouble

pytestmark = pytest.mark.timeout(420)

RECOVERED_SECONDS = 30.0

FAULTS = {
    fault.name: fault
    for fault in chain(
        [next(iter(kills.draining()))],
        [one for one in kills.in_turn() if one.name in {"kill -9 ledger", "kill -9 postgres"}],
        network.some(("gateway", "licence", Trouble.FORGOTTEN), ("eseal", "ledger", Trouble.SILENT)),
        network.some(("ledger", "postgres", Trouble.RESETTING)),
        [one for one in clocks.jumps() if "licence" in one.name],
        [next(iter(keys.rotated()))],
        seals.killed(3),
        overload.flooded(4.0, late=8.0),
        [kills.at_random(0.2)],
    )
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_breaks_no_promise(ground: Ground, name: str) -> None:
    outcome = shake(ground, FAULTS[name], recovery=RECOVERED_SECONDS)

    assert outcome.broken == []
    assert outcome.answered > 20
    assert outcome.entries > 0


def test_afterwards_no_intent_is_open(ground: Ground) -> None:
    Account(ground.city).check_closed()


def test_what_must_never_be_told_is_found() -> None:
    tries = [
        Try("search", 0.0, 0.1, 500, "INTERNAL"),
        Try("search", 0.0, 0.1, 503, "PART_DOWN", told_when=False),
        Try("search", 0.0, 0.1, 503, "PART_DOWN", told_when=True),
        Try("fill", 0.0, 9.0, 200),
    ]

    assert promises_broken(tries, longest_wait=7.0) == [
        "1 × 500 INTERNAL",
        "1 × 503 PART_DOWN without Retry-After",
        "1 waited past their deadline, the longest 9.0 s (fill)",
    ]


def test_what_cannot_be_tried_here_is_said(ground: Ground) -> None:
    fault = Fault("disk full", lambda *_: 0.0, missing=lambda: "only root can mount a small disk")

    outcome = shake(ground, fault)

    assert (outcome.skipped, outcome.kept) == ("only root can mount a small disk", True)


def test_the_report_keeps_every_outcome(tmp_path: Path) -> None:
    report = Report(tmp_path / "faults.json", {"seed": SEED})
    report.add("kills", Outcome("kill -9 ledger", recovery_seconds=1.5, requests=9, answered=8))
    report.add("clocks", Outcome("clock of ledger", broken=["1 × 500 INTERNAL"]))

    document = json.loads((tmp_path / "faults.json").read_text())

    assert [one["kept"] for one in document["faults"]] == [True, False]
    assert document["seed"] == SEED
    assert not report.kept
    assert report.summary().startswith("1 of 2 faults survived")
