"""Gives the ledger the names of the town's callers, offices and matters, for showing entries to people.

`python -m deploy.town.seed_ledger` does it for the database in DATABASE_URL, as its owner; `make run` calls
`seed` itself. A name that is there already stays as the operator has made it.
"""

from __future__ import annotations

import os
import sys

import psycopg

from core.tokens import CITIZEN_CLIENT
from deploy.town.seed_eseal import read_offices
from services.autofill.templates import load_matters

CALLERS = {
    "approval-platform": ("市一体化政务服务平台", "the city's approval platform"),
    "rural-bank": ("韶州农村商业银行（虚构）", "Shaozhou Rural Commercial Bank (made up)"),
    CITIZEN_CLIENT: ("您本人", "yourself"),
}
"""By client id."""

_NAME = """
INSERT INTO ledger.known_name (kind, code, name, name_en)
VALUES (%s, %s, %s, %s)
    ON CONFLICT (kind, code) DO NOTHING
"""


def known_names() -> list[tuple[str, str, str, str]]:
    """Kind, code, name and English name of everything that the town's entries name by code."""
    return [
        *(("caller", code, name, name_en) for code, (name, name_en) in CALLERS.items()),
        *(("office", office.uscc, office.name, "") for office in read_offices()),
        *(("matter", one.code, one.name, one.name_en) for one in load_matters().values()),
    ]


def seed(admin_dsn: str) -> int:
    """Adds the names that are missing; how many that were."""
    with psycopg.connect(admin_dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(_NAME, known_names())
        return max(0, cursor.rowcount)


def main() -> int:
    """Seeds the database in DATABASE_URL."""
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn:
        print("DATABASE_URL is not set: give the database's address in it, as its owner", file=sys.stderr)
        return 1
    print(f"names added: {seed(dsn)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
