"""A running provider and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.component.idp.harness import RunningIdp, running_idp


@pytest.fixture
async def idp(tmp_path: Path) -> AsyncIterator[RunningIdp]:
    """A provider for this test."""
    async with running_idp(tmp_path) as running:
        yield running


@pytest.fixture
async def browser(idp: RunningIdp) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser that has been nowhere yet."""
    async with idp.browser() as client:
        yield client
