"""What each part seals and indexes, read from its sealed.toml (the form is explained in core/sealed.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Formatter

from deploy.local.migrate import ROOT, migration_folder

Document = dict[str, object]


class ListError(Exception):
    """A sealed.toml says something that makes no sense."""


@dataclass(frozen=True)
class SealedTable:
    """A table with sealed columns, and what each value is bound to."""

    table: str
    key: tuple[str, ...]
    row: str
    columns: Mapping[str, str]

    def bound_to(self, column: str, values: Mapping[str, object]) -> str:
        """What the vault binds a column's value to in the row with these values, besides the row's UUID."""
        return self.columns[column].format_map(values)

    @property
    def clear(self) -> tuple[str, ...]:
        """The clear columns that are needed to open a row: its key and what its values are bound to."""
        named = [name for bound in self.columns.values() for name in names_in(bound)]
        return tuple(dict.fromkeys((*self.key, self.row, *named)))


@dataclass(frozen=True)
class Numbers:
    """Where numbers that an index leads to are sealed."""

    table: str
    column: str
    code_type: str = ""
    json: str = ""


@dataclass(frozen=True)
class Expiry:
    """Rows that no number is kept for: they are forgotten so long after a column's moment."""

    column: str
    hours: int


@dataclass(frozen=True)
class IndexTable:
    """A table that finds numbers by blind index."""

    table: str
    subject: str
    index: str = "blind_index"
    version: str = "index_version"
    beside: bool = False
    numbers: tuple[Numbers, ...] = ()
    expires: Expiry | None = None


@dataclass(frozen=True)
class PartList:
    """What one part seals and indexes, with what is in every part's schema."""

    part: str
    sealed: tuple[SealedTable, ...]
    indexes: tuple[IndexTable, ...]
    outside: Mapping[str, int]
    plain: Mapping[str, str]

    def sealed_table(self, name: str) -> SealedTable:
        """A table with sealed columns by its name."""
        return next(one for one in self.sealed if one.table == name)

    @property
    def known_columns(self) -> set[tuple[str, str]]:
        """Table and column of everything that the list speaks of."""
        return {
            *((one.table, column) for one in self.sealed for column in one.columns),
            *((one.table, one.index) for one in self.indexes),
            *((table, column) for table, _, column in (name.partition(".") for name in self.plain)),
        }


def names_in(text: str) -> list[str]:
    """The columns that a text names in braces."""
    return [name for _, name, _, _ in Formatter().parse(text) if name]


@cache
def part_list(part: str) -> PartList:
    """A part's list. Raises ListError."""
    shared = _read("every part", ROOT / "core" / "sealed.toml")
    own = _read(part, migration_folder(part).parent / "sealed.toml")
    return replace(
        own,
        sealed=(*own.sealed, *shared.sealed),
        indexes=(*own.indexes, *shared.indexes),
        outside={**own.outside, **shared.outside},
        plain={**own.plain, **shared.plain},
    )


def _read(part: str, path: Path) -> PartList:
    document = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        made = PartList(
            part,
            tuple(_sealed(one) for one in document.pop("sealed", [])),
            tuple(_index(one) for one in document.pop("index", [])),
            document.pop("outside", {}),
            document.pop("plain", {}),
        )
    except (KeyError, TypeError) as failure:
        raise ListError(f"{path}: {failure}") from None
    if document:
        raise ListError(f"{path}: nobody knows {', '.join(sorted(document))}")
    return made


def _sealed(document: Document) -> SealedTable:
    key = document.pop("key")
    if not isinstance(key, list):
        raise TypeError("key must be a list of columns")
    return SealedTable(key=tuple(key), **document)  # type: ignore[arg-type]  # compared with the tables by a test


def _index(document: Document) -> IndexTable:
    numbers = document.pop("numbers", [])
    expires = document.pop("expires", None)
    if not isinstance(numbers, list) or bool(numbers) == bool(expires):
        raise TypeError("an index has numbers, or expires")
    return IndexTable(
        numbers=tuple(Numbers(**one) for one in numbers),
        expires=Expiry(**expires) if isinstance(expires, dict) else None,
        **document,  # type: ignore[arg-type]  # compared with the tables by a test
    )
