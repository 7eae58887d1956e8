"""The database as an operator reaches it, with a login of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg


class OperatorError(Exception):
    """Why it cannot be done; the message holds no identity payload."""


def connect() -> psycopg.Connection[tuple[object, ...]]:
    """By the address in the file that ONESTOP_OPERATOR_DSN_FILE names.

    Raises OperatorError, psycopg.Error.
    """
    named = os.environ.get("ONESTOP_OPERATOR_DSN_FILE")
    if not named:
        raise OperatorError(
            "ONESTOP_OPERATOR_DSN_FILE: the file with your own login's database address is needed"
        )
    try:
        dsn = Path(named).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OperatorError(f"ONESTOP_OPERATOR_DSN_FILE cannot be read: {error.strerror}") from None
    return psycopg.connect(dsn, connect_timeout=15)
