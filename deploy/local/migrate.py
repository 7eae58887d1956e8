"""Brings a database to the state this code needs: a schema, a role and the migrations of every part.

`python -m deploy.local.migrate` does it for the database in DATABASE_URL and writes the parts' DSN files
below ONESTOP_HOME; `make run` calls `migrate` itself. Running it again changes nothing.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.migrations import (
    BOOKS,
    ChangedMigrationError,
    MigrationError,
    apply_migrations,
    migration_names,
)

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = (
    "ledger",
    "issuer",
    "licence",
    "datanode",
    "autofill",
    "eseal",
    "agricredit",
    "gateway",
    "idp",
)
AUDITOR = "auditor"
AUDITOR_ROLE = "onestop_auditor"
"""Reads what an audit compares, in every part's schema, and writes nothing (cli/audit)."""
OPERATORS = ("onestop_administration", "onestop_security")
"""Roles without a login, which the ledger's migrations make; people's logins are members of them."""
OLDEST = 15
MIGRATION_LOCK = 440200_1  # An advisory lock's number: one migrator at a time.


def migration_folder(part: str) -> Path:
    """Where a part keeps its own migrations."""
    special = {"gateway": ROOT / "gateway", "idp": ROOT / "deploy" / "idp"}
    return special.get(part, ROOT / "services" / part) / "migrations"


def role_of(part: str) -> str:
    """The database role of a part."""
    return f"onestop_{part}"


def migrate(admin_dsn: str, parts: Sequence[str], keys_dir: Path) -> list[str]:
    """Makes what is missing and returns the migrations applied now, as `part/name`.

    `admin_dsn` reaches the database as a role that may make roles and schemas; `keys_dir` receives a file
    `<part>.dsn` (0600) for each part, and one for the auditor. Raises GroundError when the server is too old,
    rights are missing, the server cannot be reached, a migration fails (which leaves nothing of itself
    behind), or the text of one that was applied has changed.
    """
    files.private_folder(keys_dir)
    applied: list[str] = []
    with connect(admin_dsn) as connection:
        _check_server(connection)
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        try:
            for part in parts:
                _ensure_role(connection, admin_dsn, role_of(part), keys_dir / f"{part}.dsn")
                _ensure_schema(connection, part)
            _ensure_role(connection, admin_dsn, AUDITOR_ROLE, keys_dir / f"{AUDITOR}.dsn")
            set_database_rights(connection, parts)
            for part in parts:
                applied += _apply(connection, part)
            set_database_rights(connection, parts)  # For the roles that migrations have made.
        except psycopg.errors.InsufficientPrivilege as error:
            raise GroundError(
                f"The database refused: {str(error).strip()}",
                "give the role in DATABASE_URL that right, or let the one that made this city do it.",
            ) from error
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
    return applied


def connect(admin_dsn: str) -> psycopg.Connection[tuple[object, ...]]:
    """An autocommitting connection; GroundError without the password in it when there is none."""
    try:
        return psycopg.connect(admin_dsn, autocommit=True, connect_timeout=10)
    except psycopg.ProgrammingError as error:
        raise GroundError(
            "DATABASE_URL is not a PostgreSQL address.",
            "write it as postgresql://user:password@host:port/database",
        ) from error
    except psycopg.OperationalError as error:
        raise GroundError(
            f"The database cannot be reached: {str(error).strip()}",
            "check that it runs and that DATABASE_URL names the right host, port, user and database.",
        ) from error


def set_database_rights(connection: psycopg.Connection[tuple[object, ...]], parts: Iterable[str]) -> None:
    """What belongs to a database rather than to a schema, and so is not copied with a template:

    nobody may connect but the parts and the auditor, who never writes; and each part finds its own tables
    without naming the schema.
    """
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    name = sql.Identifier(str(database))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    auditor = sql.Identifier(AUDITOR_ROLE)
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, auditor))
    connection.execute(
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET default_transaction_read_only = on").format(auditor, name)
    )
    for operators in OPERATORS:
        if _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", operators):
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(operators))
            )
    for part in parts:
        role = sql.Identifier(role_of(part))
        connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, role))
        connection.execute(
            sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path = {}").format(
                role, name, sql.Identifier(part)
            )
        )


def known_migrations(part: str) -> list[str]:
    """The names of the migrations that a part's schema is to have, in their order."""
    return migration_names(_folders(part))


def applied_migrations(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, list[str]]:
    """The names of those that each part's schema has had, in their order; none of a part without a schema."""
    applied = {}
    for part in PARTS:
        if _exists(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", part):
            query = sql.SQL("SELECT migration_id FROM {} ORDER BY applied_at_utc, migration_id")
            rows = connection.execute(query.format(sql.Identifier(part, BOOKS))).fetchall()
            applied[part] = [str(name) for (name,) in rows]
    return applied


def _folders(part: str) -> dict[str, Path]:
    """Where a part's migrations lie, by the first part of their names."""
    return {"core": ROOT / "core" / "migrations", part: migration_folder(part)}


def _check_server(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    version = connection.info.server_version
    if version < OLDEST * 10_000:
        raise GroundError(
            f"The database server is PostgreSQL {version // 10_000}; version {OLDEST} or later is needed.",
            "upgrade it, or leave DATABASE_URL unset to use the embedded one.",
        )
    row = connection.execute(
        "SELECT rolsuper OR rolcreaterole, has_database_privilege(current_database(), 'CREATE'),"
        " pg_encoding_to_char(encoding), current_database(), current_user"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
    ).fetchone()
    assert row is not None
    may_make_roles, may_make_schemas, encoding, database, user = row
    if not may_make_roles:
        raise GroundError(
            f"The role {user} may not make roles, and every part needs one of its own.",
            f"as an administrator: ALTER ROLE {user} CREATEROLE",
        )
    if not may_make_schemas:
        raise GroundError(
            f"The role {user} may not make schemas in the database {database}.",
            f"as an administrator: GRANT CREATE ON DATABASE {database} TO {user}, or make it the owner",
        )
    if encoding != "UTF8":
        raise GroundError(
            f"The database {database} is encoded in {encoding}; UTF8 is needed for Chinese text.",
            f"make another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0 OWNER {user}",
        )


def _ensure_role(
    connection: psycopg.Connection[tuple[object, ...]], admin_dsn: str, role: str, dsn_file: Path
) -> None:
    """Makes the role with the password in its DSN file, which is written first: a crash loses neither.

    A role that exists is never given another password: another city may be using it.
    """
    exists = _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role)
    if exists and not dsn_file.exists():
        raise GroundError(
            f"The server has the role {role} already, but its password file {dsn_file} is missing.",
            "restore the file with the city's other keys. If the role is left over from a city that is gone: "
            f"DROP OWNED BY {role}; DROP ROLE {role}. Two cities cannot share one server.",
        )
    kept = dsn_file.read_text().strip() if dsn_file.exists() else ""
    password = urlsplit(kept).password or secrets.token_urlsafe(32)
    dsn = _with_login(admin_dsn, role, password)
    if dsn != kept:
        files.write_private(dsn_file, dsn)
    if exists:
        _check_login(dsn, role, dsn_file)
        return
    # The server, and so its log, sees only what it would keep anyway: the password's SCRAM verifier.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
            sql.Identifier(role), sql.Literal(verifier.decode())
        )
    )


def _check_login(dsn: str, role: str, dsn_file: Path) -> None:
    try:
        psycopg.connect(dsn, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        raise GroundError(
            f"The role {role} cannot log in with the password in {dsn_file}: {str(error).strip()}",
            f"restore the right file, or give the role that password: ALTER ROLE {role} PASSWORD …",
        ) from error


def _ensure_schema(connection: psycopg.Connection[tuple[object, ...]], part: str) -> None:
    if not _exists(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", part):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(part)))
    connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(part), sql.Identifier(role_of(part)))
    )


def _apply(connection: psycopg.Connection[tuple[object, ...]], part: str) -> list[str]:
    try:
        return apply_migrations(connection, part, _folders(part))
    except MigrationError as error:
        raise GroundError(
            f"The migration {error.name} failed for {part}: {error}",
            "nothing of it was kept; correct the migration or the database and start again.",
        ) from error
    except ChangedMigrationError as error:
        raise GroundError(
            f"The migration {error.name} is not the one that {part}'s tables were made by: {error}.",
            f"put {error.path} back as it was; what is to change is a migration of its own.",
        ) from error


def _exists(connection: psycopg.Connection[tuple[object, ...]], query: str, name: str) -> bool:
    return connection.execute(query.encode(), (name,)).fetchone() is not None


def _with_login(dsn: str, role: str, password: str) -> str:
    """The same address with another login; a client certificate is each role's own.

    Where the address names the files `<its role>.crt` and `<its role>.key`, the part's role gets `<role>.crt`
    and `<role>.key` of the same folder.
    """
    address = urlsplit(dsn)
    query = "&".join(_of_role(pair, address.username, role) for pair in address.query.split("&"))
    host = address.netloc.rpartition("@")[2]
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    return urlunsplit(address._replace(netloc=f"{login}@{host}", query=query))


def _of_role(parameter: str, owner: str | None, role: str) -> str:
    name, _, value = parameter.partition("=")
    path = Path(unquote(value))
    if name not in {"sslcert", "sslkey"} or path.stem != owner:
        return parameter
    return f"{name}={quote(str(path.with_stem(role)))}"


def main() -> int:
    home = Path(os.environ.get("ONESTOP_HOME", ROOT / ".onestop"))
    dsn = os.environ.get("DATABASE_URL", "")
    try:
        if not dsn:
            raise GroundError("DATABASE_URL is not set.", "give the database's address in it.")
        applied = migrate(dsn, PARTS, home / "keys")
    except GroundError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(applied) if applied else "nothing to do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
