"""Runs the load generator against a server, and says what each of the server's processes spent meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import psutil

from deploy.local.migrate import ROOT
from tests.bench.client import Answer, Job

Processes = Mapping[str, list[psutil.Process]]
"""The processes of a server, by the name they are told under."""


@dataclass(frozen=True)
class Load:
    """One round: what the caller saw, and what the processes spent."""

    throughput: float
    """Good answers a second."""
    p50: float
    p95: float
    p99: float
    """Milliseconds."""
    failed: int
    cpu: Mapping[str, float]
    """Microseconds of processor time per good answer, by process; `client` is the load generator."""
    memory: Mapping[str, float]
    """Resident MiB by process, at the end."""
    answer: Answer

    @property
    def cpu_served(self) -> float:
        """Microseconds per answer of all processes but the load generator's."""
        return sum(spent for name, spent in self.cpu.items() if name != "client")


def run(job: Job, processes: Callable[[], Processes]) -> Load:
    """Asks as the job says. Raises RuntimeError where the load generator fails."""
    client = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    json.dump(asdict(job), client.stdin)
    client.stdin.close()
    marks: dict[str, dict[str, float]] = {}
    last = ""
    for line in client.stdout:
        last = line.strip()
        if last in {"counting", "counted"}:
            marks[last] = _cpu(processes())
    client.wait()
    if client.returncode:
        raise RuntimeError("the load generator failed; its message stands above")
    answer = Answer(**json.loads(last))
    good = max(answer.requests, 1)
    before, after = marks["counting"], marks["counted"]
    cpu = {name: (after[name] - before.get(name, 0.0)) * 1e6 / good for name in after}
    cpu["client"] = answer.cpu_seconds * 1e6 / good
    return Load(
        throughput=answer.requests / answer.seconds,
        p50=answer.percentiles.get("p50", 0.0),
        p95=answer.percentiles.get("p95", 0.0),
        p99=answer.percentiles.get("p99", 0.0),
        failed=answer.failed,
        cpu=cpu,
        memory=_memory(processes()),
        answer=answer,
    )


def tree(pid: int) -> list[psutil.Process]:
    """A process and those that it has started."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu(processes: Processes) -> dict[str, float]:
    return {name: sum(_spent(one) for one in group) for name, group in processes.items()}


def _spent(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # What a process that has ended had spent is its parent's from then on.
    return float(times.user + times.system + times.children_user + times.children_system)


def _memory(processes: Processes) -> dict[str, float]:
    return {name: sum(_resident(one) for one in group) / 2**20 for name, group in processes.items()}


def _resident(process: psutil.Process) -> float:
    """Resident memory that is the process's own: shared buffers would count in each server process anew."""
    try:
        info = process.memory_info()
    except psutil.NoSuchProcess:
        return 0.0
    return float(info.rss - info.shared)
