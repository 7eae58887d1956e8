"""Log lines for people: one colour per part, the JSON of a part's log as a short sentence.

What a part wrote goes unchanged to `<part>.log`, which is kept in pieces of a day or of limited size.
"""

from __future__ import annotations

import errno
import json
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TextIO

from deploy.local import files

COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
LEVEL_COLOURS = {"warning": 33, "error": 31, "critical": 31}
WIDTH = 10
MOST_A_SECOND = 40
"""More lines than that nobody reads on a terminal."""
NO_TROUBLE = b'"level":"info"'
MOST_RECENT = 20
HIDDEN = ("event", "level", "timestamp", "part", "exception")


class Printer:
    """Prints what all parts say to one terminal (or file: then without colours)."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out: TextIO | None = out or sys.stdout
        self._coloured = self._out.isatty()
        self._colours: dict[str, int] = {}
        self._second = 0.0
        self._shown = self._left_out = 0

    def say(self, text: str) -> None:
        """The supervisor's own words."""
        for line in text.splitlines() or [""]:
            self._write("city", line)

    def plain(self, text: str) -> None:
        """Words without a name before them, to be copied."""
        self._print(text)

    def show(self, part: str, lines: Sequence[bytes]) -> None:
        """Lines of a part's log. What is no trouble is left out where there is too much of it to be read."""
        now = time.monotonic()
        if now - self._second >= 1.0:
            if self._left_out:
                self.say(f"… and {self._left_out:,} more lines, in the logs")
            self._second, self._shown, self._left_out = now, 0, 0
        for line in lines:
            self._shown += 1
            if self._shown > MOST_A_SECOND and NO_TROUBLE in line:
                self._left_out += 1
            else:
                self._write(part, self.readable(line.decode(errors="replace")))

    def readable(self, raw: str) -> str:
        """A line of JSON as a sentence; any other line as it is."""
        try:
            event = json.loads(raw)
        except ValueError:
            return raw
        if not isinstance(event, dict) or "event" not in event:
            return raw
        level = str(event.get("level", "info"))
        clock = str(event.get("timestamp", ""))[11:19]
        facts = " ".join(f"{name}={_short(value)}" for name, value in event.items() if name not in HIDDEN)
        words = str(event["event"]).replace("_", " ")
        mark = "" if level in ("info", "debug") else self._paint(f"{level}: ", LEVEL_COLOURS.get(level, 33))
        # The last line says what it was; the whole traceback is in the part's log.
        cause = "".join(f" - {line}" for line in str(event.get("exception", "")).splitlines()[-1:])
        return f"{clock} {mark}{words} {facts}".strip() + cause

    def _write(self, part: str, text: str) -> None:
        colour = self._colours.setdefault(part, COLOURS[len(self._colours) % len(COLOURS)])
        name = self._paint(f"{part:<{WIDTH}}", colour)
        self._print("\n".join(f"{name} {line}" for line in text.splitlines() or [""]))

    def _paint(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _print(self, text: str) -> None:
        if self._out is None:
            return
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            # Whoever read our lines is gone; the parts and their log files go on.
            self._out = None
        except OSError:
            pass  # A file on a full disk: the next line may find room again.


class LogFile:
    """A part's own lines, appended as they come; remembers the last few for an error message.

    A disk that is full costs lines, never the part: whoever writes goes on, and the file says afterwards how
    many lines it lacks.
    """

    def __init__(self, path: Path, limit: int = files.LOG_LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._day = _day(path.stat().st_mtime if path.exists() else time.time())
        self._file = self._open()
        self._recent: deque[bytes] = deque(maxlen=MOST_RECENT)
        self._lost = 0

    def write(self, lines: Sequence[bytes]) -> None:
        """Appends lines; begins a new file when this one has grown too large, or is of another day (UTC)."""
        self._recent.extend(lines[-MOST_RECENT:])
        try:
            if self._day != (today := _day(time.time())):
                self._day = today
                if self._file.tell():
                    self._begin()
            if self._lost:
                # What came before may have ended within a line.
                self._write([b"", b'{"event":"lines_lost","level":"warning","count":%d}' % self._lost])
                self._lost = 0
            self._write(lines)
            if self._file.tell() > self._limit:
                self._begin()
        except OSError:
            self._lost += len(lines)

    def _begin(self) -> None:
        """Sets what there is aside, and begins an empty file."""
        files.set_aside(self._path)
        ended, self._file = self._file, self._open()  # Open all the time: a full disk may stop us in between.
        ended.close()

    def tail(self, printer: Printer, lines: int = 6) -> str:
        """The last lines as the printer would show them, indented."""
        recent = [line.decode(errors="replace") for line in self._recent][-lines:]
        return "\n".join(f"    {printer.readable(line)}" for line in recent)

    def newest(self, event: str) -> Mapping[str, object] | None:
        """The newest of the last lines that tells this event, with its facts."""
        for line in reversed(self._recent):
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict) and told.get("event") == event:
                    return told
        return None

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _open(self) -> FileIO:
        """Without a buffer: what could not be written is not kept to be tried again out of place."""
        file = FileIO(self._path, "a")
        self._path.chmod(0o600)
        return file

    def _write(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        written = self._file.write(data)
        if written is None or written < len(data):
            raise OSError(errno.ENOSPC, "only a part of the lines was written")


def _day(moment: float) -> int:
    return int(moment // 86_400)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if " " not in text else json.dumps(text, ensure_ascii=False)
