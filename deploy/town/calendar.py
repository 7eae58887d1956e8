"""Days as ordinals: the generator counts in whole days, and text is made from a table once.

Whatever the town knows, it knows as of REFERENCE_DAY, so that the same seed makes the same town in any year.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

Day = int
"""A proleptic Gregorian ordinal, as of datetime.date.toordinal."""

REFERENCE_DAY: Day = date(2026, 11, 1).toordinal()
REFERENCE_YEAR = 2026
AS_OF = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)
"""When the registers were last brought up to date; single records vouch for a day or two before."""

_FIRST = date(1900, 1, 1).toordinal()
_LAST = date(2079, 12, 31).toordinal()
_TEXT = [date.fromordinal(day).isoformat() for day in range(_FIRST, _LAST + 1)]
_NEW_YEAR = [date(year, 1, 1).toordinal() for year in range(1900, 2080)]


def day(year: int, month: int = 1, day_of_month: int = 1) -> Day:
    """The ordinal of a date."""
    return date(year, month, day_of_month).toordinal()


def iso(ordinal: Day) -> str:
    """ISO 8601 text of a day between 1900 and 2079."""
    return _TEXT[ordinal - _FIRST]


def new_year(year: int) -> Day:
    """The first of January, 1900 to 2079."""
    return _NEW_YEAR[year - 1900]


def year_of(ordinal: Day) -> int:
    """The year of a day."""
    return int(_TEXT[ordinal - _FIRST][:4])


def years_later(ordinal: Day, years: int) -> Day:
    """The same date in another year; 28 February where that year lacks the 29th."""
    then = date.fromordinal(ordinal)
    try:
        return then.replace(year=then.year + years).toordinal()
    except ValueError:
        return then.replace(year=then.year + years, day=28).toordinal()


def age_on(born: Day, on: Day = REFERENCE_DAY) -> int:
    """Completed years of life on a day."""
    then, now = _TEXT[born - _FIRST], _TEXT[on - _FIRST]
    return int(now[:4]) - int(then[:4]) - (now[5:] < then[5:])


def chinese(ordinal: Day) -> str:
    """As printed on licences: 2019年03月07日."""
    text = _TEXT[ordinal - _FIRST]
    return f"{text[:4]}年{text[5:7]}月{text[8:]}日"
