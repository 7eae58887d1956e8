"""Days as ordinals: the generator counts in whole days, and text is made from a table once.

Whatever the town knows, it knows as of REFERENCE_DAY, so that the same seed makes the same town in any year.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

Day = int
"""A proleptic Gregorian ordinal, as of datetime.date.toordinal."""

REFERENCE_DAY: Day = date(2026, 11, 1).toordinal()
REFERENCE_YEAR = 2026
AS_OF = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
"""When the registers were last brought up to date; single records vouch for a day or two before."""

_FIRST_YEAR, _LAST_YEAR = 1900, 2129
_FIRST = date(_FIRST_YEAR, 1, 1).toordinal()
_LAST = date(_LAST_YEAR, 12, 31).toordinal()
_LEAP_DAY = 59
"""The place of 29 February among the 366 days that a year may have, counted from 0."""

_NEW_YEAR = [date(year, 1, 1).toordinal() for year in range(_FIRST_YEAR, _LAST_YEAR + 2)]
_LENGTHS = [after - before for before, after in pairwise(_NEW_YEAR)]
_TEXT = [date.fromordinal(day).isoformat() for day in range(_FIRST, _LAST + 1)]
_YEAR = [year for year, length in enumerate(_LENGTHS, start=_FIRST_YEAR) for _ in range(length)]
_PLACE = [
    place for length in _LENGTHS for place in range(366) if length == 366 or place != _LEAP_DAY
]  # fmt: skip
"""Of each day, its place among the 366 that a year may have."""
_DAY_AT = [
    [begins + place - (length == 365 and place >= _LEAP_DAY) for place in range(366)]
    for begins, length in zip(_NEW_YEAR, _LENGTHS, strict=False)
]
"""Of each year, the days at those places; 28 February twice where it lacks the 29th."""


def day(year: int, month: int = 1, day_of_month: int = 1) -> Day:
    """The ordinal of a date."""
    return date(year, month, day_of_month).toordinal()


def iso(ordinal: Day) -> str:
    """ISO 8601 text of a day between 1900 and 2129."""
    return _TEXT[ordinal - _FIRST]


def new_year(year: int) -> Day:
    """The first of January, 1900 to 2129."""
    return _NEW_YEAR[year - _FIRST_YEAR]


def year_of(ordinal: Day) -> int:
    """The year of a day."""
    return _YEAR[ordinal - _FIRST]


def years_later(ordinal: Day, years: int) -> Day:
    """The same date in another year; 28 February where that year lacks the 29th."""
    return _DAY_AT[_YEAR[ordinal - _FIRST] - _FIRST_YEAR + years][_PLACE[ordinal - _FIRST]]


def age_on(born: Day, on: Day = REFERENCE_DAY) -> int:
    """Completed years of life on a day."""
    then, now = born - _FIRST, on - _FIRST
    return _YEAR[now] - _YEAR[then] - (_PLACE[now] < _PLACE[then])


def chinese(ordinal: Day) -> str:
    """As printed on licences: 2019年03月07日."""
    text = _TEXT[ordinal - _FIRST]
    return f"{text[:4]}年{text[5:7]}月{text[8:]}日"
