"""Records of the data node in the making: keyed by subject and serial, identity payload sealed by field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache
from itertools import repeat
from operator import add

from deploy.town.calendar import AS_OF
from deploy.town.copying import Rows
from deploy.town.datanode_tables import TABLES
from deploy.town.pgcopy import instant, integer, smallint
from deploy.town.sealing import BulkVault
from services.datanode.store import sealed_column

_AS_OF = [instant(AS_OF - timedelta(hours=7 * back)) for back in range(8)]
_MOST_SERIALS = 32


class Records(Rows):
    """Rows of a resource's register. A sealed field is bound to subject, field name and the record's serial.

    `versions` and `serials` are 1 in every row where none are given.
    """

    def __init__(
        self,
        resource: str,
        vault: BulkVault,
        subjects: Sequence[bytes],
        *,
        versions: Sequence[int] = (),
        serials: Sequence[int] = (),
    ) -> None:
        super().__init__(TABLES[resource.replace(".", "_")], vault, subjects)
        self._resource = resource
        self._serials = serials
        self.ids("subject_id", subjects)
        self.put("record_no", map(smallint, serials or repeat(1, self.count)))
        self.put("version", map(integer, versions or repeat(1, self.count)))
        self.put("as_of", [_AS_OF[subject[0] & 7] for subject in subjects])

    def bound(self, column: str) -> Iterable[bytes]:
        """What the fields of a column are bound to, row by row."""
        names = _bound_names(self._resource, column)
        return map(add, self.row_ids, map(names.__getitem__, self._serials or repeat(1, self.count)))


@cache
def _bound_names(resource: str, field: str) -> list[bytes]:
    """By serial, what a field is bound to besides its subject."""
    return [sealed_column(resource, field, serial).encode() for serial in range(_MOST_SERIALS)]
