"""Which logs and which witnesses are believed (C2SP tlog-policy), for checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from core.cosignature import WitnessKey
from core.merkle import VerificationError
from core.note import VerifierKey

NONE = "none"
_LARGEST = 256 * 1024


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: its name within the policy, its key, and its submission prefix where that is said."""

    name: str
    key: WitnessKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses a checkpoint as soon as `threshold` of its members do."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A checkpoint is believed if one of the logs signed it, and witnesses cosigned it up to the quorum."""

    logs: tuple[VerifierKey, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = NONE

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the text form. Raises VerificationError naming the line at fault."""
        if len(text) > _LARGEST or any(one < " " and one not in "\t\n" for one in text):
            raise VerificationError("the policy is too long or has control characters")
        reading = _Reading()
        for number, line in enumerate(text.split("\n"), 1):
            words = line.replace("\t", " ").split(" ")
            words = [word for word in words if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                reading.take(words)
            except VerificationError as fault:
                raise VerificationError(f"line {number} of the policy: {fault}") from None
        if reading.quorum is None:
            raise VerificationError("the policy has no line quorum")
        return cls(tuple(reading.logs), tuple(reading.witnesses), reading.groups, reading.quorum)

    def satisfied(self, cosigners: Collection[WitnessKey]) -> bool:
        """Whether cosignatures by these keys reach the quorum."""
        names = {witness.name for witness in self.witnesses if witness.key in cosigners}

        def witnessed(name: str) -> bool:
            group = self.groups.get(name)
            if group is None:
                return name in names
            return sum(witnessed(member) for member in group.members) >= group.threshold

        return self.quorum == NONE or witnessed(self.quorum)

    def lines(self) -> Iterator[str]:
        """The witnesses, groups and the quorum in the text form, without addresses and without line ends."""
        for witness in self.witnesses:
            yield f"witness {witness.name} {witness.key}"
        for name, group in self.groups.items():
            yield f"group {name} {group.threshold} {' '.join(group.members)}"
        yield f"quorum {self.quorum}"


class _Reading:
    """What has been read of a policy so far."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: list[Witness] = []
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        """One line that is not empty."""
        match words:
            case ["log", key] | ["log", key, _]:
                self._log(VerifierKey.parse(key))
            case ["witness", name, key]:
                self._witness(Witness(name, WitnessKey.parse(key)))
            case ["witness", name, key, url]:
                self._witness(Witness(name, WitnessKey.parse(key), url.rstrip("/")))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, tuple(members))
            case ["quorum", name]:
                if self.quorum is not None:
                    raise VerificationError("there is a quorum already")
                if name != NONE and name not in self._names():
                    raise VerificationError(f"nothing before it is named {name}")
                self.quorum = name
            case _:
                raise VerificationError("it is none of log, witness, group and quorum as they are written")

    def _log(self, key: VerifierKey) -> None:
        if key.public in {one.public for one in self.logs}:
            raise VerificationError("this log's key is there already")
        self.logs.append(key)

    def _witness(self, witness: Witness) -> None:
        self._refuse_taken(witness.name)
        if witness.key.public in {one.key.public for one in self.witnesses}:
            raise VerificationError("this witness's key is there already")
        self.witnesses.append(witness)

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._refuse_taken(name)
        unknown = [one for one in members if one not in self._names()]
        if unknown:
            raise VerificationError(f"nothing before it is named {unknown[0]}")
        if len(set(members)) < len(members) or self._members & set(members):
            raise VerificationError("a member counts once, in one group")
        counts = {"all": len(members), "any": 1}
        number = int(threshold) if threshold.isascii() and threshold.isdigit() else 0
        needed = counts.get(threshold, number)
        if not 1 <= needed <= len(members):
            raise VerificationError("a group needs all, any or so many of its members")
        self._members |= set(members)
        self.groups[name] = Group(needed, members)

    def _names(self) -> set[str]:
        return {witness.name for witness in self.witnesses} | set(self.groups)

    def _refuse_taken(self, name: str) -> None:
        if name == NONE or name in self._names():
            raise VerificationError(f"the name {name} is taken")
