"""Ten times what the city can answer: it turns away early, goes on serving, and is itself again at once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from deploy.local.migrate import ROOT
from tests.faults.account import rows
from tests.faults.callers import FILL
from tests.faults.flood import Flood, Tide, tide_of
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import LATE_SECONDS, Fault
from tests.story import case_of, platform_of

TIMES = 10
PEAK_CONNECTIONS = 48
MOST_CONNECTIONS = 640
DEADLINE_SECONDS = 2.0
LOWEST_GOODPUT = 0.9
FILLED = "SELECT count(*) FROM ledger.entry WHERE position(%s::bytea IN leaf) > 0"
FILLING = b'"autofill.fill"'


def flooded(seconds: float = 20.0, late: float = LATE_SECONDS) -> Iterator[Fault]:
    """Forms are asked for at ten times the rate at which they can be filled.

    `late` is what an answer may take beyond its deadline: the flood's own process waits for its turn, too.
    """

    def strike(ground: Ground, load: Load) -> float:
        best = _ask(ground, load, seconds / 2, PEAK_CONNECTIONS)
        earlier = rows(ground.city, FILLED, FILLING)[0][0]
        with _watched(ground, "gateway", "autofill", "ledger") as memory:
            wave = _ask(ground, load, seconds, MOST_CONNECTIONS, rate=TIMES * best.goodput)
        filled = rows(ground.city, FILLED, FILLING)[0][0] - earlier
        ended = time.monotonic()
        after = _ask(ground, load, seconds / 4, PEAK_CONNECTIONS)
        _check(wave, late)
        figures = {
            "best_per_second": round(best.goodput, 1),
            "offered_per_second": round((wave.sent + wave.unsent) / wave.seconds, 1),
            "sent_per_second": round(wave.sent / wave.seconds, 1),
            "answered_per_second": round(wave.goodput, 1),
            "goodput": round(wave.goodput / best.goodput, 3),
            "goodput_goal": LOWEST_GOODPUT,
            "after_per_second": round(after.goodput, 1),
            "longest_wait": round(wave.longest, 2),
            "longest_refusal": round(wave.longest_refusal, 2),
            "filled_for_nobody": filled - wave.answered,
            "refusals": wave.refusals,
            "memory_mib_before_and_most": memory,
        }
        load.figures.update(figures)
        ground.say(f"  {json.dumps(figures)}")
        return ended

    yield Fault(f"{TIMES} times too much", strike, crowd=("search", "seal", "consent"))


def _check(wave: Tide, late: float) -> None:
    strange = {what: times for what, times in wave.refusals.items() if what not in {"429", "503", "504"}}
    assert not strange, f"the flood was answered with {strange}"
    assert not wave.silent, f"{wave.silent} refusals did not say when to come back"
    assert wave.longest < DEADLINE_SECONDS + late, f"an answer came after {wave.longest:.1f} s"
    assert wave.refusals, "nobody was turned away: it was no overload"
    assert wave.answered, "nobody was served"


def _ask(ground: Ground, load: Load, seconds: float, connections: int, rate: float = 0.0) -> Tide:
    city = ground.city
    pair = city.settings.pki / "approval-platform"
    with platform_of(city) as caller:
        headers = {
            "Authorization": f"Bearer {caller.token}",
            "Content-Type": "application/json",
            "Deadline-Ms": str(int(DEADLINE_SECONDS * 1000)),
        }
    body = {"case": case_of(city), "subjects": {"applicant": load.applicant}}
    job = Flood(
        url=f"{city.machines}{FILL}",
        headers=headers,
        body=json.dumps(body),
        connections=connections,
        seconds=seconds,
        ca=str(city.settings.pki / "ca.crt"),
        cert=f"{pair}.crt",
        key=f"{pair}.key",
        rate=rate,
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.flood"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=seconds + 60,
    )
    assert done.returncode == 0, f"the flood did not come: {done.stderr[-300:]}"
    return tide_of(done.stdout)


@contextmanager
def _watched(ground: Ground, *parts: str) -> Iterator[dict[str, tuple[int, int]]]:
    """The memory of some parts, in MiB: before, and the most that it came to meanwhile."""
    pids = {part: ground.city.pid(part) for part in parts}
    memory = {part: (_resident(pid), 0) for part, pid in pids.items()}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            for part, pid in pids.items():
                before, most = memory[part]
                memory[part] = (before, max(most, _resident(pid)))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def _resident(pid: int | None) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)
