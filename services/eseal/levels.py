"""How long a seal on a PDF proves itself (PAdES, EN 319 142-1 clause 5): pure rules."""

from __future__ import annotations

from enum import IntEnum

from services.eseal.domain import Format
from services.eseal.refusals import LevelNotForFormatError, LevelUnavailableError


class Level(IntEnum):
    """The levels, each with all that the one before has; values as in the contract."""

    B_B = 1
    """The signature and its certificates."""
    B_T = 2
    """Also a timestamp over the signature value."""
    B_LT = 3
    """Also the certificates and the revocation data by which it is checked in years to come."""
    B_LTA = 4
    """Also a timestamp over all of this."""

    @property
    def label(self) -> str:
        """Its name as the standard has it, such as `B-LTA`."""
        return self.name.replace("_", "-")


def level_of(asked: int, least: Level, form: Format) -> Level:
    """The level at which a seal is put: the one asked for (0: none), never below the seal's own.

    Raises LevelNotForFormatError for an OFD and anything above B-T: its signature has room for a timestamp
    (GB/T 38540), and none for more.
    """
    wanted = max(Level(asked or Level.B_B), least)
    if form is Format.OFD and wanted > Level.B_T:
        raise LevelNotForFormatError(
            f"{wanted.label} is for PDF documents; an OFD has a timestamp at most ({Level.B_T.label})"
        )
    return wanted


def require_means(level: Level, *, stamps: bool, statuses: bool) -> None:
    """Raises LevelUnavailableError where nothing is configured that the level needs."""
    if level >= Level.B_T and not stamps:
        raise LevelUnavailableError(
            f"{level.label} needs a timestamp authority, and this installation has none"
        )
    if level >= Level.B_LT and not statuses:
        raise LevelUnavailableError(
            f"{level.label} needs revocation data, and this installation has no source of any"
        )
