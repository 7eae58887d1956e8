"""What the environment may say, and what each part is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import PARTS as SERVICES
from deploy.local.embedded import embedded, keep_settings
from deploy.local.errors import GroundError
from deploy.local.migrate import PARTS
from deploy.local.settings import PORTS, PROCESSES, STAGES, STANDBY, read_settings


def test_every_usual_port_is_below_the_kernels_own() -> None:
    assert max(PORTS.values()) < 32768
    assert len(set(PORTS.values())) == len(PORTS)


def test_an_offset_moves_every_port_but_those_that_are_set() -> None:
    settings = read_settings({"ONESTOP_PORT_OFFSET": "100", "ONESTOP_LEDGER_PORT": "9000"})

    assert settings.ports["postgres"] == 5644
    assert settings.ports["ledger"] == 9000
    assert settings.part_environment("licence")["ONESTOP_LEDGER"] == "127.0.0.1:9000"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ONESTOP_LEDGER_PORT", "many"), ("TOWN_SIZE", "1e6"), ("ONESTOP_PEOPLE_PORT", "70000")],
)
def test_what_is_no_number_or_no_port_is_named(name: str, value: str) -> None:
    with pytest.raises(GroundError, match=name):
        read_settings({name: value})


@pytest.mark.parametrize("part", PARTS)
def test_no_part_is_told_the_administrators_address(part: str) -> None:
    settings = read_settings({"DATABASE_URL": "postgresql://owner:secret@db/onestop", "ONESTOP_HOME": "/x"})

    environment = settings.part_environment(part)

    assert "secret" not in "".join(environment.values())
    assert environment["ONESTOP_DATABASE_DSN_FILE"] == f"/x/keys/{part}.dsn"
    assert environment["ONESTOP_TLS_CERT"] == f"/x/pki/{part}.crt"
    assert all(environment[f"ONESTOP_{service.upper()}"] for service in SERVICES)


def test_another_identity_provider_can_be_set() -> None:
    settings = read_settings({"ONESTOP_OIDC_ISSUER": "https://provider.example"})

    assert settings.part_environment("issuer")["ONESTOP_OIDC_ISSUER"] == "https://provider.example"


def test_every_part_has_its_place_in_the_order_of_stopping() -> None:
    assert sorted(part for stage in STAGES for part in stage) == sorted(PROCESSES)


def test_the_witness_knows_neither_database_nor_keyring_and_keeps_its_own_memory() -> None:
    environment = read_settings({"ONESTOP_HOME": "/x"}).part_environment("witness")

    assert not [name for name in environment if "DATABASE" in name or "KEYRING" in name]
    assert environment["ONESTOP_MEMORY"] == "/x/witness/memory.db"
    assert environment["ONESTOP_LISTEN"] == "127.0.0.1:7108"


def test_other_witnesses_can_be_set() -> None:
    settings = read_settings({"ONESTOP_WITNESSES": "/etc/onestop/witnesses.policy"})

    assert settings.part_environment("ledger")["ONESTOP_WITNESSES"] == "/etc/onestop/witnesses.policy"


def test_the_home_may_lie_elsewhere(tmp_path: Path) -> None:
    settings = read_settings({"ONESTOP_HOME": str(tmp_path)})

    assert settings.keys == tmp_path / "keys"
    assert settings.part_environment("idp")["ONESTOP_KEYRING"] == str(tmp_path / "keys" / "idp-keyring.json")


def test_second_ledger_has_its_own_place_and_everybody_knows_both() -> None:
    settings = read_settings({"LEDGER_STANDBY": "1"})
    one = read_settings({})

    first, second = (settings.part_environment(name) for name in ("ledger", STANDBY))

    assert settings.processes == (*PROCESSES, STANDBY)
    assert one.processes == PROCESSES
    assert one.part_environment("licence")["ONESTOP_LEDGER"] == "127.0.0.1:7101"
    assert settings.part_environment("licence")["ONESTOP_LEDGER"] == "127.0.0.1:7101,127.0.0.1:7121"
    assert first["ONESTOP_LISTEN"] != second["ONESTOP_LISTEN"]
    assert first["ONESTOP_LAST_CHECKPOINT"] != second["ONESTOP_LAST_CHECKPOINT"]
    assert first["ONESTOP_TLS_CERT"] == second["ONESTOP_TLS_CERT"]
    assert settings.command(STANDBY) == settings.command("ledger")


def test_the_log_is_archived_where_and_as_soon_as_is_wished() -> None:
    assert read_settings({}).wal_archive is None
    settings = read_settings({"ONESTOP_WAL_ARCHIVE": "/srv/wal", "ONESTOP_WAL_ARCHIVE_SECONDS": "5"})
    assert (settings.wal_archive, settings.wal_archive_seconds) == (Path("/srv/wal"), 5)


@pytest.mark.parametrize(
    "more", [{"ONESTOP_WAL_ARCHIVE_SECONDS": "0"}, {"DATABASE_URL": "postgresql://elsewhere/onestop"}]
)
def test_an_archive_that_cannot_be_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(GroundError):
        read_settings({"ONESTOP_WAL_ARCHIVE": "/srv/wal", **more})


def test_a_command_archives_as_the_city_did_that_ran_last(tmp_path: Path) -> None:
    running = {"ONESTOP_HOME": str(tmp_path), "ONESTOP_WAL_ARCHIVE": str(tmp_path / "wal")}
    keep_settings(read_settings(running))

    cluster = embedded(read_settings({"ONESTOP_HOME": str(tmp_path)}))

    assert cluster.settings["archive_mode"] == "on"
    assert cluster.settings["basic_archive.archive_directory"] == str(tmp_path / "wal")
