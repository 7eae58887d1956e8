"""An operator's own login at the database, for the commands about seals."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg

from cli.operator import OperatorError, connect
from core import queries
from core.errors import ServiceError

DONE, FAILED, NOT_YET = 0, 1, 3
Q = queries.load("cli.seal")
Rows = psycopg.Connection[tuple[object, ...]]


def run(work: Callable[[Rows], int]) -> int:
    """Does it, and tells on the error stream why it could not be done. The exit code."""
    try:
        with connect() as connection:
            connection.autocommit = True
            return work(connection)
    except (OperatorError, ServiceError) as failure:
        print(failure, file=sys.stderr)
    except psycopg.Error as failure:
        # Never the detail: it can hold a row.
        print(failure.diag.message_primary or "the database cannot be reached", file=sys.stderr)
    return FAILED
