"""What an audit finds, and what it looked at. Findings name ids and places in the log, never anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MOST_SAMPLES = 20


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    """The log held an entry, or was to hold one, that is gone."""
    UNRECORDED = "unrecorded"
    """Something was released or done of which the log has no entry."""
    UNKNOWN = "unknown"
    """The log says that something was done of which the service has no record."""
    DOUBLED = "doubled"
    """One thing has two entries."""
    ALTERED = "altered"
    """An entry, or what repeats it, is not what it was."""
    INSERTED = "inserted"
    """Something stands in the log's tables that the checkpoints do not cover."""
    FORKED = "forked"
    """This log and a checkpoint that its key signed contradict each other."""
    ROLLED_BACK = "rolled_back"
    """The log is shorter than a checkpoint that was released."""
    BACK_DATED = "back_dated"
    """An entry says a time that cannot be its own."""
    WRONG_KEY = "wrong_key"
    """A checkpoint is not signed by the log's key."""
    OPEN = "open"
    """An act has begun, and nothing says how it ended."""


@dataclass
class Group:
    """Findings of one kind and from one check: how many, and the first of them."""

    kind: Kind
    check: str
    part: str
    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, sample: str) -> None:
        """One more."""
        self.count += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(sample)


@dataclass
class Report:
    """The whole of an audit. It takes little memory, however much is wrong."""

    origin: str = ""
    size: int = 0
    checked: dict[str, int] = field(default_factory=dict)
    """How many of each thing were looked at."""
    limits: list[str] = field(default_factory=list)
    """What could not be looked at, in words."""
    seconds: float = 0.0
    _groups: dict[tuple[Kind, str, str], Group] = field(default_factory=dict)

    def add(self, kind: Kind, check: str, sample: str, *, part: str = "ledger") -> None:
        """Notes a finding. `check` says in words what was looked at."""
        key = (kind, check, part)
        if key not in self._groups:
            self._groups[key] = Group(kind, check, part)
        self._groups[key].add(sample)

    def count(self, what: str, number: int = 1) -> None:
        """Notes that so many were looked at."""
        self.checked[what] = self.checked.get(what, 0) + number

    @property
    def findings(self) -> list[Group]:
        """What was found, in order of discovery."""
        return list(self._groups.values())

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self._groups

    def total(self, *kinds: Kind) -> int:
        """How many findings there are, of these kinds or of all."""
        return sum(one.count for one in self.findings if not kinds or one.kind in kinds)

    def document(self) -> dict[str, object]:
        """The report as JSON values; members are promised to scripts."""
        return {
            "clean": self.clean,
            "origin": self.origin,
            "size": self.size,
            "findings": [
                {
                    "kind": one.kind.value,
                    "part": one.part,
                    "check": one.check,
                    "count": one.count,
                    "samples": one.samples,
                }
                for one in self.findings
            ],
            "checked": self.checked,
            "limits": self.limits,
            "seconds": round(self.seconds, 1),
        }
