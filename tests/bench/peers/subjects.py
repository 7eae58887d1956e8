"""How the peer finds people: by the same keyed hash as the city, the one thing it shares with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.identity import Subject as CitySubject
from core.keyring import Keyring
from core.vault import blind_index
from tests.bench.peers.schemas import Subject

Index = Callable[[Subject], bytes]
"""The blind index of a subject."""


def index_of(keys: Path, part: str) -> Index:
    """Makes blind indexes as this part of the city does, under its current key."""
    keyring = Keyring.load(keys / f"{part}-keyring.json")
    key = keyring.index[keyring.current_index]

    def index(subject: Subject) -> bytes:
        return blind_index(key, CitySubject(subject.code_type, subject.code))

    return index
