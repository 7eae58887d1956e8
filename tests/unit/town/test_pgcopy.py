"""Values in COPY's binary form, against what the driver itself makes of them."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from deploy.town import pgcopy


def numeric_of(field: bytes) -> Decimal:
    """The number that a binary numeric stands for (PostgreSQL, numeric_recv)."""
    length, count, weight, sign, scale = struct.unpack(">ihhhh", field[:12])
    digits = struct.unpack(f">{count}h", field[12:])
    assert length == len(field) - 4
    assert (sign, scale) == (0, 2)
    total = sum(Decimal(digit) * Decimal(10_000) ** (weight - place) for place, digit in enumerate(digits))
    return Decimal(total)


@given(st.integers(0, 10**10))
def test_hundredths_are_exact(amount: int) -> None:
    assert numeric_of(pgcopy.hundredths(amount)) == Decimal(amount) / 100


@given(st.dates(date(1900, 1, 1), date(2079, 12, 31)))
def test_days_count_from_2000(when: date) -> None:
    length, days = struct.unpack(">ii", pgcopy.day(when.toordinal()))

    assert length == 4
    assert date(2000, 1, 1) + timedelta(days=days) == when


def test_instants_count_microseconds() -> None:
    moment = datetime(2026, 11, 1, 2, 0, 0, 5, UTC)

    _, micros = struct.unpack(">iq", pgcopy.instant(moment))

    assert datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros) == moment


def test_what_is_absent_is_null_and_what_recurs_is_made_once() -> None:
    assert pgcopy.word(None) == pgcopy.day(None) == pgcopy.boolean(None) == pgcopy.bigint(None) == pgcopy.NULL
    assert pgcopy.word("汉") is pgcopy.word("汉")
    assert pgcopy.word("汉") == b"\x00\x00\x00\x03" + "汉".encode()


def test_a_mu_is_two_thousand_thirds_of_a_square_metre() -> None:
    assert numeric_of(pgcopy.hundredths(pgcopy.square_metres(300))) == Decimal(2_000)
    assert numeric_of(pgcopy.hundredths(pgcopy.square_metres(100))) == Decimal("666.67")
