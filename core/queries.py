"""Named SQL: every statement a package runs stands in its queries.sql, under a name."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The statements of one package, each an attribute."""

    def __init__(self, statements: dict[str, str]) -> None:
        self._statements = statements

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement is named {name}") from None


def parse(text: str) -> Queries:
    """Statements by name. A duplicate name is an error."""
    pieces = _NAME.split(text)
    statements: dict[str, str] = {}
    for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if name in statements:
            raise ValueError(f"two statements are named {name}")
        statements[name] = body.strip().rstrip(";")
    return Queries(statements)


def load(package: str | None, file: str = "queries.sql") -> Queries:
    """The statements of a package's SQL file."""
    if package is None:
        raise ValueError("named SQL belongs to a package")
    return parse(resources.files(package).joinpath(file).read_text(encoding="utf-8"))
