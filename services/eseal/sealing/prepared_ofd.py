"""An OFD laid out for a seal, before and after its signature value is put in: pure rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from services.eseal.sealing.packing import Written
from services.eseal.splice import Splice


@dataclass(frozen=True)
class PreparedOfd:
    """An OFD laid out for one more seal: every part is final but the last one, which takes the signature."""

    original: bytes = field(repr=False)
    """The file as it came."""
    written: Written
    """All parts but the signature value."""
    path: str
    """Of Signature.xml, from the package's root, with a leading slash."""
    value_path: str
    """Of the part that takes the signature value."""
    data_hash: bytes
    """SM3 of Signature.xml: what the seal signs."""
    moment: datetime
    is_first: bool = False
    """Whether the file is known to have borne no signature before."""

    def __post_init__(self) -> None:
        """Raises ValueError where this cannot be."""
        if len(self.data_hash) != 32 or not self.path.startswith("/"):
            raise ValueError("an OFD cannot be laid out like this")
        if Splice(self.written.pieces).length_over(len(self.original)) != self.written.length:
            raise ValueError("the package says another length")

    def filled(self, value: bytes) -> Splice:
        """The finished file, as what it takes from the original and what is new."""
        return self.written.with_new(self.value_path, value, self.moment, packed=False).finished()
