"""`sm2.raw`: signatures with SM2 from Python, beside `openssl speed sm2`, in turns on one core.

Ours is what a seal's key does: digest of the signer's id, SM3 of the message, signature in DER, through the
library that the service uses; in a process of its own, which does nothing else. The program measures its own
library, which may be of another version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from deploy.local.migrate import ROOT
from services.eseal.gm.sm2 import load_sm2
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.limits import openssl_signs

PEER = "peer.openssl.sm2.sign"
GOAL_SHARE = 0.95
MESSAGE = bytes(20)
"""As long as what the program signs."""
A_LOOK = 50
"""Signatures between two looks at the clock."""


def measure(bench: Bench) -> Iterable[Figure]:
    """Our rounds, each beside one of the program's; alone where there is no such program."""
    ours, theirs = list[float](), list[float]()
    seconds = max(1, round(bench.seconds))
    with one_core():
        for number in range(bench.rounds):
            bench.say(f"sm2.raw, round {number + 1} of {bench.rounds}")
            ours.append(_round(seconds))
            if (rate := openssl_signs("sm2", seconds)) is not None:
                theirs.append(rate)
    if not theirs:
        return [median("sm2.raw.throughput", ours, "/s a core")]
    peer = median(f"{PEER}.throughput", theirs, "/s a core")
    goal = Goal(MORE_IS_BETTER, GOAL_SHARE, of_ratio=True)
    return [peer, paired("sm2.raw.throughput", ours, peer, "/s a core", goal)]


@contextmanager
def one_core() -> Iterator[int]:
    """This process, and those that it starts, on one core alone: the last of those that it may use."""
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def _round(seconds: float) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.sm2", str(seconds)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))


def _signatures_a_second(seconds: float) -> float:
    """By the processor's time, as the program counts."""
    key = load_sm2().generate()
    signature = key.sign(MESSAGE)
    if not key.public_key().is_signed(MESSAGE, signature):
        raise SystemExit("what is signed here does not verify")
    signed, cpu, ends = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for _ in range(A_LOOK):
            key.sign(MESSAGE)
        signed += A_LOOK
    return signed / (time.process_time() - cpu)


if __name__ == "__main__":
    json.dump(_signatures_a_second(float(sys.argv[1])), sys.stdout)
