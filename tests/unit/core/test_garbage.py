"""Every program of ours imports without looking for cycles at each step."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.garbage import RARELY


@pytest.mark.parametrize("package", ["services", "gateway", "deploy", "cli"])
def test_cycles_are_looked_for_rarely_before_a_program_imports_anything(package: str) -> None:
    program = f"import gc, {package}; print(gc.get_threshold())"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.strip() == str(RARELY)
