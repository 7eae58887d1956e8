"""A crowd of outside callers who keep asking while things break, and everything that they were told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

import httpx2

from cli.demo.client import receipt_in
from tests.city import City
from tests.story import Json, cast_of, person, proved, proved_file

DEADLINE_SECONDS = 5.0
"""How long our callers say that they wait."""

CALLER_SECONDS = 15.0
"""After which a caller hangs up by itself: what nobody should ever need to do."""

KEPT_FOR_REPLAY = 40
"""So many of each kind of write are asked for once more at the end."""

PAUSE_SECONDS = 0.02
"""Between two requests of one caller: the crowd is there to notice, not to fill the machine."""

USUAL_CROWD = ("search", "fill", "seal", "seal", "consent", "once_more")

PASSING = frozenset({409, 429, 503, 504})
"""What may be told while something is away; each may be tried again."""

Ask = Callable[[], httpx2.Response]


@dataclass(frozen=True, slots=True)
class Try:
    """One request, as its caller saw it. Status 0: the connection broke or could not be made."""

    kind: str
    began: float
    seconds: float
    status: int
    reason: str = ""
    told_when: bool = False
    """Whether the answer said when to come back (`Retry-After`)."""

    @property
    def rightly_refused(self) -> bool:
        """Whether it is the refusal that was due: what is asked for under a revoked consent."""
        return self.reason == "CONSENT_REVOKED" and self.kind in {"after revocation", "replay"}

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that was acknowledged: which entry its receipt proves, and where in the log."""

    kind: str
    key: str
    receipt_id: str
    index: int


class Work(Protocol):
    """What one caller does, over and over."""

    def __call__(self) -> None: ...


@dataclass
class Load:
    """Callers at work while the context lasts; `tries`, `given` and `unanswered` are what came of it.

    `crowd` names the kinds of callers, one thread each.
    """

    city: City
    crowd: Sequence[str] = USUAL_CROWD
    tolerates: frozenset[int] = frozenset()
    tries: list[Try] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    unanswered: dict[str, tuple[str, Ask]] = field(default_factory=dict)
    """By Idempotency-Key: writes that were sent and not acknowledged."""
    replays: dict[str, list[tuple[Ask, str]]] = field(default_factory=dict)
    """By kind: how to send some of the writes again, and the receipt that each must give."""
    wrong: list[str] = field(default_factory=list)
    """Answers that no fault excuses."""
    figures: dict[str, object] = field(default_factory=dict)
    """What a fault has measured besides."""
    done: Counter[str] = field(default_factory=Counter)
    broken: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        from tests.faults.callers import CALLERS  # they know us

        self.closing = ExitStack()
        """The callers' connections, which are needed until the books are closed."""
        self.cast = cast_of(self.city)
        self.applicant = person(self.cast["applicant"]["code"])
        self.office = str(self.cast["office"]["code"])
        self._callers: Mapping[str, Callable[[Load], Work]] = CALLERS
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Load:
        for kind in self.crowd:
            thread = threading.Thread(target=self._keep_asking, args=(kind,), name=f"caller: {kind}")
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        if self.broken:
            raise self.broken[0]

    def attempt(self, kind: str, ask: Ask) -> httpx2.Response | None:
        """One request; its answer, whatever it says, or None where there was none."""
        began = time.monotonic()
        try:
            answer = ask()
        except httpx2.TransportError as failure:
            self.tries.append(Try(kind, began, time.monotonic() - began, 0, type(failure).__name__))
            return None
        seconds = time.monotonic() - began
        reason = "" if answer.is_success else _reason(answer)
        told_when = "Retry-After" in answer.headers
        self.tries.append(Try(kind, began, seconds, answer.status_code, reason, told_when))
        return answer

    def read(self, kind: str, ask: Ask) -> httpx2.Response | None:
        """A read that is not tried again; its answer if it is one, proved by its receipt."""
        answer = self.attempt(kind, ask)
        if answer is None or not self._passed(kind, answer):
            return None
        self._keep(kind, "", answer)
        return answer

    def insist(self, kind: str, key: str, ask: Ask) -> httpx2.Response | None:
        """A write, sent again under its key until it is acknowledged; None where the load ended before."""
        self.unanswered[key] = (kind, ask)
        while not self.stop.is_set():
            if (answer := self.once(kind, key, ask)) is not None:
                return answer
            time.sleep(0.1)
        return None

    def once(self, kind: str, key: str, ask: Ask) -> httpx2.Response | None:
        """One try of a write; its answer where it is acknowledged."""
        answer = self.attempt(kind, ask)
        if answer is None or not self._passed(kind, answer):
            return None
        receipt_id = self._keep(kind, key, answer)
        if self.unanswered.pop(key, None) is not None:
            self.done[kind] += 1
            kept = self.replays.setdefault(kind, [])
            if len(kept) < KEPT_FOR_REPLAY:
                kept.append((ask, receipt_id))
        return answer

    def must_answer_everything(self, since: float, seconds: float) -> float:
        """Waits until every kind of request has been answered that began after `since` (monotonic).

        The seconds from `since` to then. Raises AssertionError where that takes longer than `seconds`.
        """
        wanted = {"search", "fill", "sign", "land_rights", "grant"} & self._kinds()
        while True:
            answered = {one.kind: one.began + one.seconds for one in self.tries[-4000:] if _fresh(one, since)}
            if wanted <= answered.keys():
                return max((self._first(kind, since) for kind in wanted), default=since) - since
            missing = ", ".join(sorted(wanted - answered.keys()))
            assert time.monotonic() < since + seconds, f"not answered within {seconds:g} s: {missing}"
            self.check_alive()
            time.sleep(0.02)

    def check_alive(self) -> None:
        """Raises what ended a caller."""
        if self.broken:
            raise self.broken[0]

    def _first(self, kind: str, since: float) -> float:
        return min(one.began + one.seconds for one in self.tries if one.kind == kind and _fresh(one, since))

    def _kinds(self) -> set[str]:
        of = {"seal": "sign", "search": "search", "fill": "fill"}
        kinds = {of[caller] for caller in self.crowd if caller in of}
        return kinds | ({"land_rights", "grant"} if "consent" in self.crowd else set())

    def _passed(self, kind: str, answer: httpx2.Response) -> bool:
        """Whether it is what was asked for; notes a refusal that no fault excuses."""
        if answer.is_success:
            return True
        if answer.status_code not in PASSING | self.tolerates:
            self.wrong.append(f"{kind}: {answer.status_code} {_reason(answer)}")
        return False

    def _keep(self, kind: str, key: str, answer: httpx2.Response) -> str:
        receipt = receipt_of(answer)
        if not receipt:
            return ""
        if "Receipt" in answer.headers:
            proof = proved_file(self.city, answer.content, receipt)
        else:
            proof = proved(self.city, answer.json())
        receipt_id = str(receipt["id"])
        assert proof.answer_proved, f"{kind}: the receipt does not prove the answer"
        self.given.append(Given(kind, key, receipt_id, proof.index))
        return receipt_id

    def _keep_asking(self, kind: str) -> None:
        try:
            work = self._callers[kind](self)
            while not self.stop.is_set():
                work()
                time.sleep(PAUSE_SECONDS)
        except BaseException as failure:
            self.broken.append(failure)


def receipt_of(answer: httpx2.Response) -> Json:
    """The receipt in an answer, or beside it; empty where it has none."""
    if "Receipt" in answer.headers:
        return receipt_in(answer.headers["Receipt"])
    return dict(answer.json().get("receipt", {}))


def _fresh(one: Try, since: float) -> bool:
    return one.ok and one.began >= since


def _reason(answer: httpx2.Response) -> str:
    try:
        document: Json = answer.json()
    except ValueError:
        return answer.text[:80]
    return str(document.get("reason") or document.get("error") or "")
