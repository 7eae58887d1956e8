"""Quotas of seals: which day a use counts for, and what is said when nothing is left. Pure rules."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from services.eseal.refusals import SealQuotaSpentError

CHINA = timezone(timedelta(hours=8))
"""One time for the whole country, without summer time since 1991."""


def day_in_china(moment: datetime) -> date:
    """The day on which a moment falls there: a quota for a day begins anew at its midnight."""
    return moment.astimezone(CHINA).date()


def quota_spent() -> SealQuotaSpentError:
    """What a use is refused with that the permission has nothing left for."""
    return SealQuotaSpentError(
        "the permission to use this seal is used up, for today or for good; its keepers can permit more"
    )
