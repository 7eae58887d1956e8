"""The accounts of the town's people at the development identity provider, in its own form of a row."""

from __future__ import annotations

import os

from asyncpg.pgproto import pgproto

from core.vault import Vault
from deploy.idp.accounts import ACCOUNT_COLUMNS, Person, account_row
from deploy.town.copying import Batch, Table

SCHEMA = "idp"
TABLES = {"account": Table(SCHEMA, "account", ACCOUNT_COLUMNS)}


class AccountRows:
    """Turns people into accounts."""

    def __init__(self, vault: Vault, batch: Batch) -> None:
        self._vault = vault
        self._add = batch.records_into(TABLES["account"])

    def add(self, login: str, name: str, number: str) -> None:
        """Adds an account; the login tells nothing about the person."""
        self._add(account_row(self._vault, Person(pgproto.UUID(os.urandom(16)), login, name, number)))
