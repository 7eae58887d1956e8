"""What can go wrong on the ground, always told as two things: what is wrong, and what to do."""

from __future__ import annotations


class GroundError(Exception):
    """A start that cannot go on.

    `what` says what is wrong, in one or two lines; `advice` says what to do about it.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.what}\n  What to do: {self.advice}"
