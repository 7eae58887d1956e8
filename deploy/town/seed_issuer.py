"""Registers the town's outside callers with the issuer.

`python -m deploy.town.seed_issuer` does it for the database in DATABASE_URL, as its owner; `make run` calls
`seed` itself. A caller that is registered already stays as the operator has made it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import psycopg

from core.identity import Scope

CALLERS: Mapping[str, tuple[Scope, ...]] = {
    "approval-platform": (
        Scope.LICENCE_READ,
        Scope.LICENCE_VERIFY,
        Scope.MATTER_READ,
        Scope.AUTOFILL_FILL,
        Scope.AUTOFILL_VERIFY,
        Scope.SEAL_USE,
        Scope.DOCUMENT_VERIFY,
        Scope.LEDGER_READ,
    ),
    "rural-bank": (Scope.CONSENT_REQUEST, Scope.CREDIT_FETCH, Scope.LEDGER_READ),
    "company-app": (Scope.CSC_SERVICE, Scope.CSC_CREDENTIAL, Scope.LEDGER_READ),
}
"""Client id, which is also the name in the caller's certificate, and its scopes."""

_REGISTER = """
INSERT INTO issuer.client (client_id, certificate_name, scopes)
VALUES (%s, %s, %s)
    ON CONFLICT (client_id) DO NOTHING
"""


def seed(admin_dsn: str) -> list[str]:
    """Registers who is missing; returns the client ids registered now."""
    registered = []
    with psycopg.connect(admin_dsn) as connection:
        for client_id, scopes in CALLERS.items():
            made = connection.execute(_REGISTER, (client_id, client_id, [scope.value for scope in scopes]))
            if made.rowcount:
                registered.append(client_id)
    return registered


def main() -> int:
    """Seeds the database in DATABASE_URL."""
    dsn = os.environ.get("DATABASE_URL", "")
    if not dsn:
        print("DATABASE_URL is not set: give the database's address in it, as its owner", file=sys.stderr)
        return 1
    print("registered:", ", ".join(seed(dsn)) or "nobody new")
    return 0


if __name__ == "__main__":
    sys.exit(main())
