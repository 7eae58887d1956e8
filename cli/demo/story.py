"""Tells what happens, step by step, with the time each step took."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from core.note import parse_keys
from core.receipt import answer_bytes, verify_receipt


class Story:
    """The demo's voice, and the folder where it leaves what it was given."""

    def __init__(self, folder: Path, ledger_key: Path) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._folder = folder
        self._keys = parse_keys(ledger_key.read_text(encoding="utf-8"))

    def chapter(self, title: str) -> None:
        """A new part."""
        self._console.print(f"\n[bold]{title}[/bold]")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; its time is told when it ends."""
        started = time.perf_counter()
        yield
        took = (time.perf_counter() - started) * 1000
        self._console.print(f"  [green]✓[/green] {what} [dim]({took:.0f} ms)[/dim]")

    def say(self, line: str) -> None:
        """A line below a step."""
        self._console.print(f"      {line}", markup=False)

    def keep(self, name: str, content: bytes) -> Path:
        """Leaves a file, readable by its owner alone."""
        path = self._folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        return path

    def keep_answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """Verifies an answer's receipt with the public key alone, and leaves both."""
        proved = verify_receipt(answer["receipt"], *self._keys, answered=answer_bytes(answer))
        self._told(proved.index, name)
        self.keep(f"{name}.json", json.dumps(answer, ensure_ascii=False, indent=2).encode())
        self.keep(
            f"{name}.receipt.json", json.dumps(answer["receipt"], ensure_ascii=False, indent=2).encode()
        )

    def keep_file(self, name: str, content: bytes, receipt: Mapping[str, Any]) -> Path:
        """The same for a file and the receipt beside it."""
        proved = verify_receipt(receipt, *self._keys, answered=content)
        self._told(proved.index, name)
        self.keep(f"{name}.receipt.json", json.dumps(receipt, ensure_ascii=False, indent=2).encode())
        return self.keep(name, content)

    def _told(self, index: int, name: str) -> None:
        self.say(f"receipt verified: entry {index} of the ledger commits to exactly this answer ({name})")
