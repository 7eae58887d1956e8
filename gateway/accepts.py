"""Content negotiation by the header Accept (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.problems import refused


def best_type(accept: str, offered: Sequence[str]) -> str:
    """The offered type that the caller likes best; on a draw the first one. Raises 406.

    Malformed ranges are passed over; a header without any good range asks for nothing that we have.
    """
    if not accept.strip():
        return offered[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _range(part)) is not None]
    liked = [(_quality(kind, ranges), -position, kind) for position, kind in enumerate(offered)]
    quality, _, kind = max(liked)
    if quality <= 0:
        raise refused(406, "NOT_ACCEPTABLE", f"this can be answered as {' or '.join(offered)}")
    return kind


def _range(part: str) -> tuple[str, float] | None:
    """One media range and its weight."""
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    if kind.count("/") != 1:
        return None
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                return None
    return kind, weight


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The weight of the most precise range that the type falls into."""
    family = kind.split("/", maxsplit=1)[0] + "/*"
    for wanted in (kind, family, "*/*"):
        weights = [weight for given, weight in ranges if given == wanted]
        if weights:
            return max(weights)
    return 0.0
