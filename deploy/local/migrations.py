"""Runs plain SQL migrations with yoyo, each in one transaction together with the note that it ran.

yoyo reads and splits the files and keeps the books (in tables of the part's own schema). Two of its habits
are changed here: it would commit a migration and the note about it separately, so that a crash between them
blocks the next start, and it locks by a row that a killed process leaves behind. We use one transaction, and
the caller's advisory lock.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, MigrationList

BOOKS = "_yoyo_migration"
"""The table, in each part's schema, of the migrations that it has had."""


class MigrationError(Exception):
    """A migration was refused by the database; `name` says which. Nothing of it was kept."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class _SchemaBackend(PostgresqlPsycopgBackend):  # type: ignore[misc] # yoyo has no types
    """yoyo's PostgreSQL backend on a connection that the caller owns and has locked."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql+psycopg:///"), BOOKS)
        self.has_transactional_ddl = True

    def connect(self, dburi: object) -> psycopg.Connection[tuple[object, ...]]:
        return self._given

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        yield

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.mark_one(migration, log=False)
            self.log_migration(migration, "apply")

    def get_log_data(self, migration: Migration | None = None, operation: str = "apply") -> dict[str, object]:
        # Without a look-up of this machine's full name, which can wait for a name server.
        return {
            "id": str(uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": self._given.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def apply_migrations(
    connection: psycopg.Connection[tuple[object, ...]], schema: str, folders: Mapping[str, Path]
) -> list[str]:
    """Applies in `schema` what the folders hold and the schema's books do not; returns their names.

    `folders` maps a name's first part to a folder, in the order in which they run; one that is missing
    counts as empty. The connection autocommits, and its search path is left as it was found.
    """
    migrations = [Migration(name, str(path), str(folder)) for name, path, folder in _files(folders)]
    (before,) = connection.execute("SHOW search_path").fetchone() or ("",)
    connection.execute("SELECT set_config('search_path', %s, false)", (schema,))
    try:
        backend = _SchemaBackend(connection)
        backend.ensure_internal_schema_updated()
        # The files' order is the order: a sort by dependencies would not keep it.
        applied = set(backend.get_applied_migration_hashes())
        pending = [migration for migration in migrations if migration.hash not in applied]
        for migration in MigrationList(pending):
            try:
                backend.apply_one(migration)
            except psycopg.Error as error:
                raise MigrationError(migration.id, str(error).strip()) from error
    finally:
        connection.execute("SELECT set_config('search_path', %s, false)", (before,))
    return [
        migration.id if migration.id.startswith(f"{schema}/") else f"{schema}/{migration.id}"
        for migration in pending
    ]


def migration_names(folders: Mapping[str, Path]) -> list[str]:
    """The names of what the folders hold, as the books have them, in the order in which they run."""
    return [name for name, _, _ in _files(folders)]


def _files(folders: Mapping[str, Path]) -> Iterator[tuple[str, Path, Path]]:
    """Name, file and folder of each migration, in order."""
    for prefix, folder in folders.items():
        for path in sorted(folder.glob("*.sql")):
            if not path.name.endswith(".rollback.sql"):
                yield f"{prefix}/{path.stem}", path, folder
