"""What `make run` promises of itself: up when it says so, down without a trace, plain about what is wrong."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.migrate import PARTS
from deploy.local.postgres import Cluster
from tests.city import City

SMALL = ["ledger", "issuer"]

MakeCity = Callable[..., City]


@pytest.fixture(scope="module")
def small() -> Iterator[City]:
    made = City(only=SMALL, town=False, anew=True)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def _wait(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_the_city_is_up_when_it_says_so_and_its_first_command_works(city: City) -> None:
    lines = [line.strip() for line in city.output.splitlines()]
    token_command = next(line for line in lines if line.startswith("curl"))
    demo_command = next(line for line in lines if line.endswith("make demo"))

    done = subprocess.run(shlex.split(token_command), capture_output=True, check=True)
    with urllib.request.urlopen(f"{city.operations}/readyz", timeout=5) as readiness:
        assert readiness.status == 200

    assert json.loads(done.stdout)["token_type"] == "Bearer"
    assert f"ONESTOP_HOME={city.home}" in demo_command
    assert all(city.pid(part) for part in (*PARTS, "postgres"))


def test_a_part_that_dies_is_started_again(small: City) -> None:
    old = small.kill("ledger")

    small.wait_well("ledger", other_than=old)

    assert "ledger was ended by SIGKILL" in small.output


def test_the_database_is_started_again_and_keeps_what_was_committed(small: City) -> None:
    with psycopg.connect(small.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")

    small.restart("postgres")

    def answers() -> bool:
        try:
            with psycopg.connect(small.admin_dsn) as connection:
                return connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)
        except psycopg.OperationalError:
            return False

    assert _wait(answers)


def test_a_part_that_is_held_down_stays_down_until_it_is_let_go(small: City) -> None:
    with small.held_down("issuer"):
        time.sleep(1.0)
        assert small.pid("issuer") is None

    assert small.pid("issuer") is not None


def test_everything_secret_is_its_owners_alone(small: City) -> None:
    for folder in (small.settings.keys, small.settings.pki, small.settings.logs, small.settings.run):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (*small.settings.keys.iterdir(), *small.settings.pki.glob("*.key")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.suffix == ".vkey"


def test_a_second_city_in_the_same_folder_is_refused(small: City) -> None:
    second = City(only=SMALL, town=False, environment={"ONESTOP_HOME": str(small.home)})
    second.start(wait=False)
    assert second.process is not None

    code = second.process.wait(30)

    output = (second.home / "output").read_text()
    second.process = None
    second.remove()
    assert code == 1
    assert "runs in" in output
    assert "What to do" in output
    small.wait_well("ledger")


def test_stopping_is_clean_and_a_second_start_is_quick(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    city.start()
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT 42 AS answer")

    assert city.stop() == 0

    assert city.remains() == []
    assert "database system is shut down" in (city.settings.logs / "postgres.log").read_text()
    began = time.monotonic()
    city.start()
    assert time.monotonic() - began < 15
    with psycopg.connect(city.admin_dsn) as connection:
        assert connection.execute("SELECT answer FROM public.kept").fetchone() == (42,)


def test_no_process_outlives_a_supervisor_that_is_killed(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    city.start()
    assert city.process is not None

    city.process.kill()
    city.process.wait()

    assert _wait(lambda: city.remains() == []), city.remains()
    city.start()  # And the folder is as good as before.


def test_a_taken_port_is_named(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    with socket.create_server(("127.0.0.1", city.settings.ports["ledger"])):
        city.start(wait=False)
        assert city.process is not None
        code = city.process.wait(60)

    assert code == 1
    assert f"{city.settings.ports['ledger']} (for ledger)" in city.output
    assert "ONESTOP_LEDGER_PORT" in city.output
    assert city.remains() == []


def test_a_damaged_data_folder_is_named(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    city.start()
    city.stop()
    (city.home / "pg" / "data" / "global" / "pg_control").unlink()

    city.start(wait=False)

    assert city.process is not None
    assert city.process.wait(60) == 1
    assert "is damaged: global/pg_control is missing" in city.output
    assert "restore it from a backup" in city.output


def test_a_part_that_keeps_dying_is_named_with_its_last_words(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    city.settings.keys.mkdir(mode=0o700)
    (city.settings.keys / "ledger-keyring.json").write_text("{}")

    city.start(wait=False)

    assert city.process is not None
    assert city.process.wait(90) == 1
    assert "The city cannot start: ledger ended with code" in city.output
    assert "is no keyring" in city.output
    assert str(city.settings.logs / "ledger.log") in city.output
    assert city.remains() == []


@pytest.fixture
def outside() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="onestop-outside-"))
    folder.chmod(0o711)
    cluster = Cluster(
        folder / "pg",
        5432,
        password_file=folder / "keys" / "postgres.password",
        log_file=folder / "postgres.log",
        tcp=False,
        settings={"fsync": "off", "shared_buffers": "16MB"},
    )
    cluster.start()
    yield cluster
    cluster.kill()
    shutil.rmtree(folder)


def test_it_runs_on_an_outside_database_without_being_its_superuser(
    own_city: MakeCity, outside: Cluster
) -> None:
    with psycopg.connect(outside.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE somebody LOGIN CREATEROLE PASSWORD 'outside'")
        connection.execute("CREATE DATABASE elsewhere OWNER somebody")
    address = {"DATABASE_URL": outside.dsn_for("somebody", "outside", "elsewhere")}
    city, other = (own_city(only=SMALL, town=False, environment=address) for _ in range(2))

    city.start()
    other.start(wait=False)

    assert not (city.home / "pg").exists()
    assert other.process is not None
    assert other.process.wait(60) == 1
    assert "has the role onestop_ledger already" in other.output
    city.restart("ledger")  # The other one has harmed nothing.
    assert city.stop() == 0
    assert "outside" not in city.output.replace(str(outside.folder), "")


def test_ctrl_c_in_a_terminal_stops_everything(own_city: MakeCity) -> None:
    city = own_city(only=SMALL, town=False)
    city.start()
    assert city.process is not None

    os.killpg(city.process.pid, signal.SIGINT)  # As a terminal does: to the whole group.

    assert city.process.wait(30) == 0
    assert "ledger has stopped" in city.output
