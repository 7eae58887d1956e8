"""The city that this folder's tests shake; one for all of them, since they run in one worker."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from tests.faults.ground import Ground

SEED = 440200


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """A running city whose parts can be killed, moved and cut off."""
    with Ground(Console(file=io.StringIO()), seed=SEED) as made:
        yield made
