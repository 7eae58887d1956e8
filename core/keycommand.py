"""Keys from an outside key service, by command: a key file may name programs instead of holding keys.

Such a file is a JSON object with `command`, a program and its arguments, whose output is the key file's
content; `write`, one that takes a new content on its standard input, where the service lets us rotate; and
`seconds`, how long either may take. No shell reads them. What they say is never logged or shown.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

COMMAND, WRITE = "command", "write"
MOST_BYTES = 64 * 1024
"""Of what a program may answer."""
USUAL_SECONDS = 10.0
LONGEST_SECONDS = 60.0
_OTHERS_MAY_WRITE = 0o022


def is_command(document: object) -> bool:
    """Whether a key file's content names a command."""
    return isinstance(document, dict) and COMMAND in document


def fetched(path: Path, document: Mapping[str, object]) -> bytes:
    """What the command that this file names has answered. Raises ValueError that says what failed."""
    return _run(path, document, COMMAND, b"")


def written(path: Path, document: Mapping[str, object], content: bytes) -> None:
    """Gives a new content to the program for that. Raises ValueError that says what failed."""
    if WRITE not in document:
        raise ValueError(f"{path.name} names a command; the keys are changed where it gets them from")
    _run(path, document, WRITE, content)


def _run(path: Path, document: Mapping[str, object], which: str, given: bytes) -> bytes:
    words, seconds = document[which], document.get("seconds", USUAL_SECONDS)
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{path.name}: {which} is a list of texts, a program and its arguments")
    if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"{path.name}: seconds lie between 0 and {LONGEST_SECONDS:.0f}")
    if path.stat().st_mode & _OTHERS_MAY_WRITE:
        raise ValueError(f"{path.name} names a command, and others than its owner could write it; chmod go-w")
    try:
        process = subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as failure:
        raise ValueError(f"{path.name}: the {which} cannot be started: {failure.strerror}") from None
    try:
        answer, _ = process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path.name}: the {which} took longer than {seconds:g} s") from None
    finally:
        _end(process)
    if process.returncode != 0:
        raise ValueError(f"{path.name}: the {which} ended with exit code {process.returncode}")
    if len(answer) > MOST_BYTES:
        raise ValueError(f"{path.name}: the {which} answered more than {MOST_BYTES} bytes")
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and what it has started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
