"""What came of the faults: the table that people read, and faults.json that programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from tests.faults.shake import Outcome


@dataclass
class Report:
    """All outcomes of a run, written after each: what was tried is not lost with what fails."""

    path: Path
    facts: Mapping[str, object]
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    def add(self, group: str, outcome: Outcome) -> None:
        """Keeps an outcome."""
        self.outcomes.append((group, outcome))
        document = {
            **self.facts,
            "tried_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "faults": [{"group": group, **one.to_json()} for group, one in self.outcomes],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return all(one.kept for _, one in self.outcomes)

    def last_line(self) -> str:
        """The newest outcome in a line or two."""
        _, one = self.outcomes[-1]
        if one.skipped:
            return f"  skipped: {one.skipped}"
        told = f"  recovered in {one.recovery_seconds:.1f} s, {one.answered} of {one.requests} answered"
        errors = ", ".join(f"{times} × {what}" for what, times in one.errors.items())
        lines = [f"{told}, longest wait {one.longest_wait:.1f} s; {errors or 'no errors'}"]
        return "\n".join([*lines, *(f"  BROKEN: {what}" for what in one.broken)])

    def summary(self) -> str:
        """In one sentence."""
        tried = [one for _, one in self.outcomes if not one.skipped]
        skipped = len(self.outcomes) - len(tried)
        kept = sum(one.kept for one in tried)
        return f"{kept} of {len(tried)} faults survived with every promise kept, {skipped} skipped"

    def table(self) -> Table:
        """Everything."""
        made = Table(box=None, pad_edge=False)
        for heading in (
            "fault",
            "recovery s",
            "longest wait s",
            "answered",
            "refused or broken off",
            "promises",
        ):
            numbers = heading in {"recovery s", "longest wait s", "answered"}
            made.add_column(heading, justify="right" if numbers else "left", overflow="fold")
        for _, one in self.outcomes:
            if one.skipped:
                made.add_row(one.name, "", "", "", "", f"skipped: {one.skipped}")
                continue
            errors = ", ".join(f"{times} × {what}" for what, times in one.errors.items())
            promises = "kept" if one.kept else "; ".join(one.broken)
            figures = (
                f"{one.recovery_seconds:.1f}",
                f"{one.longest_wait:.1f}",
                f"{one.answered}/{one.requests}",
            )
            made.add_row(one.name, *figures, errors, promises)
        return made
