"""Log lines for people, and logs that do not grow without end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.lines import MOST_A_SECOND, LogFile, Printer
from deploy.local.part import LONGEST_LINE, relay


def _shown(line: str) -> str:
    out = io.StringIO()
    Printer(out).show("licence", [line.encode()])
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
        log.write([f"line {number}".encode()])
    log.close()

    older = sorted(path for path in tmp_path.iterdir() if path.name.startswith("part-"))
    assert len(older) > 3
    assert all(path.stat().st_size < 1100 for path in tmp_path.iterdir())
    # Nothing is lost, and the pieces' names are in the order of the lines.
    whole = "".join(path.read_text() for path in [*older, tmp_path / "part.log"])
    assert whole.splitlines() == [f"line {number}" for number in range(500)]


def test_a_log_begins_a_new_file_every_day(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    path.write_text("yesterday\n")
    before = path.stat().st_mtime - 86_400
    os.utime(path, (before, before))

    log = LogFile(path)
    log.write([b"today"])
    log.write([b"later"])
    log.close()

    assert path.read_text() == "today\nlater\n"
    assert [one.read_text() for one in tmp_path.glob("part-*.log")] == ["yesterday\n"]


def test_a_busy_part_does_not_flood_the_terminal_and_trouble_is_always_shown() -> None:
    out = io.StringIO()
    calls = [b'{"event":"call","level":"info"}'] * (MOST_A_SECOND + 500)
    trouble = b'{"event":"ledger_altered","level":"critical"}'

    Printer(out).show("ledger", [*calls, trouble])

    shown = out.getvalue().splitlines()
    assert len(shown) == MOST_A_SECOND + 1
    assert "ledger altered" in shown[-1]


async def test_lines_are_copied_whole_however_they_arrive(tmp_path: Path) -> None:
    stream = asyncio.StreamReader()
    log, out = LogFile(tmp_path / "part.log"), io.StringIO()
    pieces = [b"one\ntw", b"o\n", b"x" * (LONGEST_LINE + 1), b"xx\nthree\n", b"the end"]

    copying = asyncio.create_task(relay(stream, "part", log, Printer(out)))
    for piece in pieces:
        stream.feed_data(piece)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    stream.feed_eof()
    await copying
    log.close()

    assert (tmp_path / "part.log").read_bytes() == b"one\ntwo\nthree\nthe end\n"
    assert "was dropped" in out.getvalue()


def test_the_newest_of_an_event_is_found_among_other_lines(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "ledger.log")
    assert log.newest("sequencer") is None

    log.write([b'{"event":"sequencer","state":"leading"}', b'{"event":"sequencer","state":"read_only"}'])
    log.write([b"no JSON", b'["a list"]', b'{"event":"call"}'])

    told = log.newest("sequencer")
    log.close()
    assert told is not None
    assert told["state"] == "read_only"


@contextmanager
def _full_disk(bytes_left: int) -> Iterator[None]:
    """No file grows beyond so many bytes meanwhile, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_lines_and_says_how_many(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "licence.log")
    log.write([b"before"])

    with _full_disk(10):
        log.write([b"lost one", b"lost two"])
        log.write([b"lost three"])
    log.write([b"after"])
    log.close()

    *_, told, after = (tmp_path / "licence.log").read_bytes().splitlines()
    assert json.loads(told) == {"event": "lines_lost", "level": "warning", "count": 3}
    assert after == b"after"


def test_a_terminal_on_a_full_disk_gets_later_lines(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", buffering=1) as out:
        printer = Printer(out)
        with _full_disk(0):
            printer.say("lost")
        printer.say("later")

    assert "later" in (tmp_path / "out").read_text()
