"""How long a form waits for its sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.autofill.service import Waiting

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "waits"),
    [
        (10.0, 3.0),  # no longer than the longest
        (3.6, 3.0),
        (2.0, 1.4),  # the margin is kept
        (0.9, 0.6),  # of a short deadline a third is kept
        (0.03, 0.02),
        (0.0, 0.0),
        (-5.0, 0.0),
    ],
)
def test_sources_are_given_up_early_enough_to_record_and_answer(left: float, waits: float) -> None:
    until = Waiting().until(NOW, NOW + timedelta(seconds=left))

    assert (until - NOW).total_seconds() == pytest.approx(waits)
