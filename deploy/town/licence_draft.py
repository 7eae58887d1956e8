"""A licence before it gets its identifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.town.calendar import Day
from deploy.town.places import Office

Face = Mapping[str, "str | float | bool"]
"""What is printed on it, by the names of the licence service's types."""


@dataclass(slots=True)
class LicenceDraft:
    """One version of a licence before it gets its identifier. `key` as in the licence service's types."""

    key: str
    holder_type: str
    holder: str
    holder_name: str
    number: str
    serial: str
    issuer: Office
    issued_on: Day
    valid_until: Day | None
    face: Face
    version: int = 1
    superseded_on: Day | None = None
    suspended_from: Day | None = None
    suspended_until: Day | None = None
    suspension_reason: str | None = None
    revoked_on: Day | None = None
    revocation_kind: str | None = None
    revocation_reason: str | None = None
