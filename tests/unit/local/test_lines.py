"""Log lines for people, and logs that do not grow without end."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from deploy.local.lines import LogFile, Printer


def _shown(line: str) -> str:
    out = io.StringIO()
    Printer(out).show("licence", line)
    return out.getvalue()


def test_a_json_line_becomes_a_sentence() -> None:
    line = json.dumps(
        {
            "event": "recovery_waits",
            "waits_for": "ledger",
            "level": "warning",
            "part": "licence",
            "timestamp": "2026-11-23T21:59:36.000Z",
        }
    )

    assert _shown(line) == "licence    21:59:36 warning: recovery waits waits_for=ledger\n"


def test_of_a_traceback_the_terminal_shows_the_cause() -> None:
    line = json.dumps(
        {"event": "failed", "level": "error", "exception": "Traceback …\n  File …\nOSError: full"}
    )

    assert _shown(line) == "licence    error: failed - OSError: full\n"


@pytest.mark.parametrize("line", ["no JSON", '["a list"]', '{"no": "event"}', '{"event": '])
def test_any_other_line_is_shown_as_it_is(line: str) -> None:
    assert _shown(line) == f"licence    {line}\n"


def test_a_log_begins_a_new_file_when_it_is_too_large(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "part.log", limit=1000)

    for number in range(500):
        log.write(f"line {number}")
    log.close()

    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["part.log", "part.log.1", "part.log.2", "part.log.3"]
    assert all(path.stat().st_size < 1100 for path in tmp_path.iterdir())
    assert "line 499" in (tmp_path / "part.log").read_text() + (tmp_path / "part.log.1").read_text()
