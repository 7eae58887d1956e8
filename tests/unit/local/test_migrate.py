"""Migrations: repeatable, least privilege, told plainly."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from deploy.local import migrate as subject
from deploy.local.errors import GroundError
from deploy.local.migrate import PARTS, migrate
from deploy.local.migrations import ChangedMigrationError, MigrationError, apply_migrations
from tests.conftest import PoolFactory
from tests.database import CityDatabase


def test_a_second_run_changes_nothing(fresh_database: CityDatabase, tmp_path: Path) -> None:
    before = {part: fresh_database.dsn(part) for part in PARTS}

    applied = migrate(fresh_database.admin_dsn, PARTS, fresh_database.keys)

    assert applied == []
    assert {part: fresh_database.dsn(part) for part in PARTS} == before


def test_dsn_files_are_readable_by_their_owner_alone(city_database: CityDatabase) -> None:
    for part in PARTS:
        assert stat.S_IMODE(city_database.dsn_file(part).stat().st_mode) == 0o600


@pytest.mark.parametrize("part", PARTS)
def test_a_role_sees_its_own_schema_and_no_other(city_database: CityDatabase, part: str) -> None:
    with psycopg.connect(city_database.dsn(part)) as connection:
        row = connection.execute("SELECT current_user, current_schema()").fetchone()
        rights = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) AND has_schema_privilege(oid, 'USAGE')",
            ([*PARTS, "public"],),
        ).fetchall()
        makes = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')"
        ).fetchone()
        database = connection.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE'),"
            " has_database_privilege(current_database(), 'TEMP')"
        ).fetchone()
        attributes = connection.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == (f"onestop_{part}", part)
    assert rights == [(part,)]
    assert makes == (0,)
    assert database == (False, False)
    assert attributes == (False, False, False, False, False)


@pytest.mark.parametrize("part", PARTS)
def test_no_role_may_touch_the_migrations_books(city_database: CityDatabase, part: str) -> None:
    with (
        psycopg.connect(city_database.dsn(part)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM _yoyo_migration")


async def test_a_pool_is_the_parts_own_role(pool: PoolFactory) -> None:
    licence = await pool("licence")

    assert await licence.fetchval("SELECT current_user") == "onestop_licence"
    assert await licence.fetchval("SELECT count(*) FROM reply") == 0


def test_a_role_is_never_given_another_password(fresh_database: CityDatabase, tmp_path: Path) -> None:
    with pytest.raises(GroundError, match=r"role onestop_idp already, but its password file .* is missing"):
        migrate(fresh_database.admin_dsn, ["idp"], tmp_path)

    with psycopg.connect(fresh_database.dsn("idp")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("onestop_idp",)


def test_a_password_that_does_not_fit_is_told(fresh_database: CityDatabase) -> None:
    dsn = fresh_database.dsn("idp")
    fresh_database.dsn_file("idp").write_text(re.sub(r"(onestop_idp:)[^@]+", r"\1another", dsn))

    with pytest.raises(GroundError, match="onestop_idp cannot log in") as refused:
        migrate(fresh_database.admin_dsn, ["idp"], fresh_database.keys)

    assert "another" not in str(refused.value)


def test_a_start_that_was_cut_off_before_the_role_was_made_goes_on(
    fresh_database: CityDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"trial_{uuid4().hex}"
    monkeypatch.setattr(subject, "role_of", lambda part: role)
    monkeypatch.setattr(subject, "migration_folder", lambda part: Path("nowhere"))
    monkeypatch.setattr(subject, "_apply", lambda connection, part: [])
    planned = re.sub(r"//[^@]+@", f"//{role}:chosenbefore@", fresh_database.admin_dsn)
    (fresh_database.keys / "trial.dsn").write_text(planned)

    migrate(fresh_database.admin_dsn, ["trial"], fresh_database.keys)

    with psycopg.connect(planned) as connection:
        assert connection.execute("SELECT current_schema()").fetchone() == ("trial",)
    with psycopg.connect(fresh_database.admin_dsn, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_migration_that_fails_leaves_nothing(fresh_database: CityDatabase, tmp_path: Path) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE kept (id integer);")
    (tmp_path / "0002_bad.sql").write_text("CREATE TABLE lost (id integer); SELECT 1/0;")
    with psycopg.connect(fresh_database.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA trial")

        with pytest.raises(MigrationError, match="division by zero") as refused:
            apply_migrations(connection, "trial", {"trial": tmp_path})

        assert refused.value.name == "trial/0002_bad"
        assert connection.execute(
            "SELECT to_regclass('trial.kept'), to_regclass('trial.lost')"
        ).fetchone() == (
            "trial.kept",
            None,
        )
        (tmp_path / "0002_bad.sql").write_text("CREATE TABLE found (id integer);")
        assert apply_migrations(connection, "trial", {"trial": tmp_path}) == ["trial/0002_bad"]


def test_a_migration_that_changes_after_it_was_applied_is_refused_by_name(
    fresh_database: CityDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "0001_first.sql"
    first.write_text("CREATE TABLE kept (id integer);\n")
    with psycopg.connect(fresh_database.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA trial")
        apply_migrations(connection, "trial", {"trial": tmp_path})

        first.write_bytes(b"CREATE TABLE kept (id integer);\r\n")  # As another system checks it out.
        assert apply_migrations(connection, "trial", {"trial": tmp_path}) == []
        first.write_text("CREATE TABLE kept (id bigint);\n")
        (tmp_path / "0002_second.sql").write_text("CREATE TABLE never (id integer);")
        with pytest.raises(ChangedMigrationError, match=r"0001_first\.sql was changed") as refused:
            apply_migrations(connection, "trial", {"trial": tmp_path})
        assert refused.value.name == "trial/0001_first"
        assert connection.execute("SELECT to_regclass('trial.never')").fetchone() == (None,)

        # A start of the city says the same, with what to do.
        connection.execute("UPDATE idp._yoyo_migration SET text_sha256 = 'other'")
    with pytest.raises(GroundError, match=r"core/0001_shared is not the one that idp's tables") as told:
        migrate(fresh_database.admin_dsn, ["idp"], fresh_database.keys)
    assert "0001_shared.sql back as it was" in told.value.advice


def test_a_database_without_sums_gets_them_at_the_next_start(fresh_database: CityDatabase) -> None:
    with psycopg.connect(fresh_database.admin_dsn, autocommit=True) as connection:
        before = connection.execute("SELECT migration_id, text_sha256 FROM idp._yoyo_migration").fetchall()
        connection.execute("ALTER TABLE idp._yoyo_migration DROP COLUMN text_sha256")

        applied = migrate(fresh_database.admin_dsn, ["idp"], fresh_database.keys)

        after = connection.execute("SELECT migration_id, text_sha256 FROM idp._yoyo_migration").fetchall()
    assert applied == []
    assert sorted(after) == sorted(before)
    assert all(len(str(text_sum)) == 64 for _, text_sum in after)


def test_an_unreachable_database_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(GroundError) as refused:
        migrate("postgresql://someone:verysecret@127.0.0.1:1/nowhere", PARTS, tmp_path)

    assert "cannot be reached" in str(refused.value)
    assert "DATABASE_URL" in refused.value.advice
    assert "verysecret" not in str(refused.value)


def test_a_text_that_is_no_address_is_told(tmp_path: Path) -> None:
    with pytest.raises(GroundError, match="not a PostgreSQL address"):
        migrate("mysql//oh no", PARTS, tmp_path)


def test_missing_rights_are_named(city_database: CityDatabase, tmp_path: Path) -> None:
    with pytest.raises(GroundError, match="may not make roles") as refused:
        migrate(city_database.dsn("licence"), PARTS, tmp_path)

    assert "CREATEROLE" in refused.value.advice


def test_a_server_that_is_too_old_is_named(
    city_database: CityDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "OLDEST", 99)

    with pytest.raises(GroundError, match="version 99 or later is needed"):
        migrate(city_database.admin_dsn, PARTS, tmp_path)


def test_a_parts_address_names_the_certificate_of_its_own_role() -> None:
    owner = "postgresql://owner:x@db/city?sslmode=verify-full&sslcert=/pki/owner.crt&sslkey=/pki/owner.key"

    assert subject._with_login(f"{owner}&application_name=a%20b", "onestop_ledger", "p") == (
        "postgresql://onestop_ledger:p@db/city?sslmode=verify-full"
        "&sslcert=/pki/onestop_ledger.crt&sslkey=/pki/onestop_ledger.key&application_name=a%20b"
    )


@pytest.mark.parametrize("query", ["", "?sslmode=require", "?sslcert=/pki/shared.crt&sslkey=/pki/shared.key"])
def test_an_address_without_certificates_of_roles_stays_as_it_is(query: str) -> None:
    dsn = subject._with_login(f"postgresql://owner:x@db/city{query}", "onestop_ledger", "p")

    assert dsn == f"postgresql://onestop_ledger:p@db/city{query}"
