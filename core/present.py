"""Turns a domain answer into its wire message and the bytes that its receipt commits to."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.message import Message

from core.entries import Presented
from core.public_json import canonical


class AnswerPresenter:
    """Presents answers that travel as public JSON; the commitment is over its RFC 8785 form."""

    def __init__(self, to_pb: Callable[[object], Message]) -> None:
        self._to_pb = to_pb

    def __call__(self, answer: object) -> Presented:
        wire = self._to_pb(answer)
        return Presented(wire, canonical(wire), is_json=True)
