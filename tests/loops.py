"""An event loop for all tests of a module: what lives in it may cost more to start than most tests take."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

of_the_module = partial(pytest_asyncio.fixture, loop_scope="module")
"""A fixture in the loop that the tests of a module share; they share it too, if its scope is the module."""


def share_loops(items: list[pytest.Item], where: Path) -> None:
    """Runs the tests of this module, or of those in this folder, in their modules' loops."""
    for item in items:
        if where in (item.path, item.path.parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)
