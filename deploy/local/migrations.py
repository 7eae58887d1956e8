"""Runs plain SQL migrations with yoyo, each in one transaction together with the note that it ran.

yoyo reads and splits the files and keeps the books (in tables of the part's own schema). Two of its habits
are changed here: it would commit a migration and the note about it separately, so that a crash between them
blocks the next start, and it locks by a row that a killed process leaves behind. We use one transaction, and
the caller's advisory lock. And it knows migrations by their names alone: beside the name we keep the sum of
the text, so that a file which is changed after it ran is noticed.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.migrations import Migration, MigrationList

BOOKS = "_yoyo_migration"
"""The table, in each part's schema, of the migrations that it has had."""
SUM = "text_sha256"
"""The column of the books with the sum of a migration's text; empty for what ran before sums were kept."""


class MigrationError(Exception):
    """A migration was refused by the database; `name` says which. Nothing of it was kept."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class ChangedMigrationError(Exception):
    """A migration's text is not the one that was applied; `name` says whose. Nothing was applied."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(f"{path.name} was changed after it had been applied")
        self.name = name
        self.path = path


class _SchemaBackend(PostgresqlPsycopgBackend):  # type: ignore[misc] # yoyo has no types
    """yoyo's PostgreSQL backend on a connection that the caller owns and has locked."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql+psycopg:///"), BOOKS)
        self.has_transactional_ddl = True

    def prepare(self) -> None:
        """Makes the books, and the column for the sums where books of an older version lack it."""
        self.ensure_internal_schema_updated()
        found = self._given.execute(
            "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", (BOOKS, SUM)
        ).fetchone()
        if found is None:
            statement = sql.SQL("ALTER TABLE {} ADD COLUMN {} text")
            self._given.execute(statement.format(sql.Identifier(BOOKS), sql.Identifier(SUM)))

    def sums(self) -> dict[str, str | None]:
        """The sums of the texts that were applied, by the migrations' names."""
        query = sql.SQL("SELECT migration_id, {} FROM {}").format(sql.Identifier(SUM), sql.Identifier(BOOKS))
        rows = self._given.execute(query).fetchall()
        return {str(name): None if kept is None else str(kept) for name, kept in rows}

    def note(self, name: str, text_sum: str) -> None:
        """Keeps the sum of a migration that was applied."""
        statement = sql.SQL("UPDATE {} SET {} = %s WHERE migration_id = %s")
        self._given.execute(statement.format(sql.Identifier(BOOKS), sql.Identifier(SUM)), (text_sum, name))

    def connect(self, dburi: object) -> psycopg.Connection[tuple[object, ...]]:
        return self._given

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        yield

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.mark_one(migration, log=False)
            self.note(migration.id, _sum(Path(migration.path)))
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
    counts as empty. The connection autocommits, and its search path is left as it was found. A database of an
    older version gets the sums of what it has had; later they must stay what they are. Raises MigrationError,
    and ChangedMigrationError before anything is applied.
    """
    migrations = [Migration(name, str(path), str(folder)) for name, path, folder in _files(folders)]
    (before,) = connection.execute("SHOW search_path").fetchone() or ("",)
    connection.execute("SELECT set_config('search_path', %s, false)", (schema,))
    try:
        backend = _SchemaBackend(connection)
        backend.prepare()
        _compare(backend, migrations)
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


def _compare(backend: _SchemaBackend, migrations: list[Migration]) -> None:
    """Raises ChangedMigrationError unless what was applied is what the files say."""
    sums = backend.sums()
    texts = {one.id: (Path(one.path), _sum(Path(one.path))) for one in migrations if one.id in sums}
    for name, (path, text_sum) in texts.items():
        if sums[name] not in {None, text_sum}:
            raise ChangedMigrationError(name, path)
    for name, (_, text_sum) in texts.items():
        if sums[name] is None:
            backend.note(name, text_sum)


def _sum(path: Path) -> str:
    """The SHA-256 of a text, whichever line ends a checkout has given it."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def migration_names(folders: Mapping[str, Path]) -> list[str]:
    """The names of what the folders hold, as the books have them, in the order in which they run."""
    return [name for name, _, _ in _files(folders)]


def _files(folders: Mapping[str, Path]) -> Iterator[tuple[str, Path, Path]]:
    """Name, file and folder of each migration, in order."""
    for prefix, folder in folders.items():
        for path in sorted(folder.glob("*.sql")):
            if not path.name.endswith(".rollback.sql"):
                yield f"{prefix}/{path.stem}", path, folder
