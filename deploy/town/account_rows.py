"""The accounts of the town's people at the development identity provider, in its own form of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from deploy.idp.accounts import ACCOUNT_COLUMNS, SHARED_CREDENTIAL, Person, account_row
from deploy.town.copying import Rows, Table
from deploy.town.sealing import BulkVault, scattered
from deploy.town.spool import Spool

SCHEMA = "idp"
TABLES = {"account": Table(SCHEMA, "account", ACCOUNT_COLUMNS)}


@dataclass(frozen=True, slots=True)
class Account:
    """Who gets an account. Its login tells nothing about the person."""

    login: str
    name: str = field(repr=False)
    number: str = field(repr=False)


class AccountRows:
    """Turns people into accounts."""

    def __init__(self, vault: BulkVault, spool: Spool) -> None:
        self._vault = vault
        self._spool = spool

    def add(self, accounts: Sequence[Account]) -> None:
        """Adds some accounts."""
        ids, ones = scattered(accounts)
        rows = Rows(TABLES["account"], self._vault, ids)
        rows.ids("subject_id", ids)
        rows.texts("login", [one.login for one in ones])
        rows.smallints("credential_id", [SHARED_CREDENTIAL for _ in ones])
        rows.seal_documents("profile", [_profile(one) for one in ones])
        self._spool.add(rows)


class _Open:
    """Stands in for a vault where the sealing is still to come."""

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """The plaintext as it is."""
        return plaintext


_NOBODY = UUID(int=0)


def _profile(one: Account) -> bytes:
    """What the provider seals in an account's profile."""
    return account_row(_Open(), Person(_NOBODY, one.login, one.name, one.number))[3]
