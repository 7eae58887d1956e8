"""The load generator: locust, in a process of its own. Reads a job as JSON from standard input, answers one.

Closed loop: each connection asks again as soon as it is answered. Open loop: requests arrive by chance at the
rate that is asked for, whether or not earlier ones have been answered, and one that finds every connection
busy waits: its time counts from its arrival.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

PERCENTILES = (50.0, 95.0, 99.0, 100.0)


@dataclass(frozen=True)
class Job:
    """What to ask, by how many connections, for how long. `rate` 0 is a closed loop, else requests a second.

    `bodies` names a file with one request body a line, or a folder with one body a file; `paths` are taken in
    turn with them. `warm_up` seconds are not counted.
    """

    url: str
    paths: list[str]
    headers: dict[str, str]
    connections: int
    seconds: float
    ca: str
    cert: str = ""
    key: str = ""
    method: str = "POST"
    bodies: str = ""
    rate: float = 0.0
    warm_up: float = 1.0
    cold: bool = False
    """A herd: every connection is made at the same moment, asks once, and its time counts from there."""
    fresh_key: bool = False
    """Each request under an Idempotency-Key of its own."""


@dataclass
class Answer:
    """What came of it; times in milliseconds."""

    requests: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes: int = 0
    percentiles: dict[str, float] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    answer: str = ""
    """The first answer, for a look at what was measured."""

    @property
    def failed(self) -> int:
        """How many requests were not answered well."""
        return sum(self.errors.values())


def run(job: Job, tell: Callable[[str], None]) -> Answer:
    """Asks until the time is up; tells when it begins to count and when it ends."""
    import gevent  # it has patched this process by now
    from gevent.queue import Queue
    from geventhttpclient.connectionpool import ConnectionPool
    from locust.contrib.fasthttp import FastHttpSession
    from locust.event import EventHook

    context = ssl.create_default_context(cafile=job.ca)
    if job.cert:
        context.load_cert_chain(job.cert, job.key)

    bodies: list[bytes] = [b""]
    if job.bodies:
        bodies = _bodies(Path(job.bodies))
    headers = {"Content-Type": "application/json", "Accept": "application/json", **job.headers}
    if not job.bodies:
        del headers["Content-Type"]
    answer = Answer()
    times: list[float] = []
    counted_from = float("inf")

    def told(
        response_time: float, response_length: int, exception: object, response: object, **_: object
    ) -> None:
        if time.perf_counter() < counted_from:
            return
        status = getattr(response, "status_code", 0)
        if exception is not None or not 200 <= status < 300:
            word = str(status) if status else type(exception).__name__
            answer.errors[word] = answer.errors.get(word, 0) + 1
        else:
            times.append(response_time)
            answer.bytes += response_length
            if not answer.answer:
                answer.answer = getattr(response, "text", "")

    # As every client but this one does: else the last piece of an upload waits for an acknowledgement, 40 ms.
    ConnectionPool.after_connect = lambda _, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    event = EventHook()
    event.add_listener(told)
    number = count()
    arrivals: Queue[float] = Queue()
    ready: Queue[None] = Queue()
    stop = False

    def session() -> FastHttpSession:
        return FastHttpSession(
            job.url,
            event,
            None,
            insecure=False,
            ssl_context_factory=lambda: context,
            network_timeout=30.0,
            connection_timeout=30.0,
        )

    def connected(on: FastHttpSession) -> None:
        """Counting begins when every connection has had its first answer."""
        ask(on)
        ready.put(None)

    def ask(on: FastHttpSession) -> None:
        n = next(number)
        body = bodies[n % len(bodies)]
        sent = {**headers, "Idempotency-Key": uuid.uuid4().hex} if job.fresh_key else headers
        on.request(job.method, job.paths[n % len(job.paths)], name="x", data=body or None, headers=sent)

    def closed() -> None:
        mine = session()
        connected(mine)
        while not stop:
            ask(mine)

    def herd() -> None:
        ask(session())

    def open_loop() -> None:
        mine = session()
        waited: list[float] = []

        def since_arrival(response_time: float, **facts: object) -> None:
            told(response_time=response_time + waited[0], **facts)  # type: ignore[arg-type]

        connected(mine)
        own = EventHook()
        own.add_listener(since_arrival)
        mine.request_event = own
        while not stop:
            arrived = arrivals.get()
            waited[:] = [(time.perf_counter() - arrived) * 1000]
            ask(mine)

    def arrive() -> None:
        chance = random.Random(7)
        due = time.perf_counter()
        while not stop:
            due += chance.expovariate(job.rate)
            gevent.sleep(max(0.0, due - time.perf_counter()))
            arrivals.put(due)

    def summed_up() -> Answer:
        answer.requests = len(times)
        times.sort()
        for percent in PERCENTILES:
            if times:
                place = min(len(times) - 1, int(len(times) * percent / 100))
                answer.percentiles[f"p{percent:g}"] = times[place]
        return answer

    if job.cold:
        tell("counting")
        counted_from = time.perf_counter()
        gevent.joinall([gevent.spawn(herd) for _ in range(job.connections)], timeout=job.seconds)
        answer.seconds = time.perf_counter() - counted_from
        tell("counted")
        return summed_up()
    workers = [gevent.spawn(open_loop if job.rate else closed) for _ in range(job.connections)]
    for _ in workers:
        ready.get()
    if job.rate:
        workers.append(gevent.spawn(arrive))
    gevent.sleep(job.warm_up)
    tell("counting")
    counted_from, cpu = time.perf_counter(), time.process_time()
    gevent.sleep(max(0.0, counted_from + job.seconds - time.perf_counter()))
    stop = True
    answer.cpu_seconds = time.process_time() - cpu
    answer.seconds = time.perf_counter() - counted_from
    tell("counted")
    gevent.killall(workers)
    return summed_up()


def _bodies(path: Path) -> list[bytes]:
    """The bodies of a file, one a line, or of a folder, one a file."""
    if path.is_dir():
        return [one.read_bytes() for one in sorted(path.iterdir())]
    return path.read_bytes().rstrip(b"\n").split(b"\n")


def main() -> None:
    """One job, one answer."""
    from gevent import monkey

    monkey.patch_all()
    answer = run(Job(**json.load(sys.stdin)), partial(print, flush=True))
    print(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main()
