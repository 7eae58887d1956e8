"""The embedded PostgreSQL: survives kill -9, runs as root, and says what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.errors import GroundError
from deploy.local.postgres import Cluster

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}


def _cluster(folder: Path, *, port: int = 5432, tcp: bool = False, fsync: str = "on") -> Cluster:
    return Cluster(
        folder / "pg",
        port,
        password_file=folder / "keys" / "postgres.password",
        log_file=folder / "postgres.log",
        tcp=tcp,
        settings={**SMALL, "fsync": fsync},
    )


# pytest's scratch folders are closed to others: as root, every test here also tries the way through them.
@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = _cluster(tmp_path)
    made.start()
    yield made
    made.kill()


def test_it_is_made_with_checksums_scram_and_a_private_password(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn()) as connection:
        row = connection.execute(
            "SELECT current_setting('data_checksums'), current_setting('fsync'),"
            " current_setting('synchronous_commit'), pg_encoding_to_char(encoding), datcollate"
            " FROM pg_database WHERE datname = 'postgres'"
        ).fetchone()
    wrong = cluster.dsn_for("onestop_owner", "guess", "postgres")

    assert row == ("on", "on", "on", "UTF8", "C")
    assert stat.S_IMODE(cluster.password_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.data.stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_an_acknowledged_commit_survives_kill_9(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id integer)")
        for number in range(50):
            connection.execute("INSERT INTO kept VALUES (%s)", (number,))
    assert cluster.process is not None
    cluster.process.send_signal(signal.SIGKILL)
    cluster.process.wait()

    cluster.start()

    with psycopg.connect(cluster.dsn()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (50,)


def test_it_stops_cleanly_while_somebody_is_connected(cluster: Cluster) -> None:
    connection = psycopg.connect(cluster.dsn())

    cluster.stop()

    assert not (cluster.data / "postmaster.pid").exists()
    assert "database system is shut down" in cluster.log_file.read_text()
    connection.close()


def test_it_does_not_outlive_its_starter(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from tests.unit.local.test_postgres import _cluster;"
        f"c = _cluster(Path({str(tmp_path)!r})); c.start(); print(c.process.pid, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cluster = _cluster(tmp_path, port=port, tcp=True, fsync="off")
        cluster.prepare()

        with pytest.raises(GroundError, match=f"Port {port}") as refused:
            cluster.spawn()

    assert "ONESTOP_POSTGRES_PORT" in refused.value.advice


@pytest.mark.parametrize("lost", ["PG_VERSION", "global/pg_control", "base"])
def test_a_damaged_folder_is_named_and_left_alone(tmp_path: Path, lost: str) -> None:
    cluster = _cluster(tmp_path, fsync="off")
    cluster.prepare()
    path = cluster.data / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = sorted(str(path) for path in cluster.data.rglob("*"))

    with pytest.raises(GroundError, match="is damaged") as refused:
        cluster.prepare()

    assert "restore it from a backup" in refused.value.advice
    assert sorted(str(path) for path in cluster.data.rglob("*")) == before


def test_damage_that_only_the_server_sees_is_told_in_its_words(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path, fsync="off")
    cluster.prepare()
    (cluster.data / "global" / "pg_control").write_bytes(os.urandom(8192))

    with pytest.raises(GroundError, match="did not start") as refused:
        cluster.start()

    assert "FATAL" in str(refused.value)
    assert "restore it from a backup" in refused.value.advice


def test_another_versions_folder_is_named(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path, fsync="off")
    cluster.prepare()
    (cluster.data / "PG_VERSION").write_text("12\n")

    with pytest.raises(GroundError, match="made by PostgreSQL 12; this is PostgreSQL 17"):
        cluster.prepare()


def test_a_lost_password_file_is_named(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path, fsync="off")
    cluster.prepare()
    cluster.password_file.unlink()

    with pytest.raises(GroundError, match=r"postgres\.password is missing"):
        cluster.prepare()


def test_a_start_that_was_cut_off_begins_again(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path, fsync="off")
    (cluster.folder / "data.new").mkdir(parents=True)
    (cluster.folder / "data.new" / "half").write_text("")

    cluster.start()

    cluster.kill()
    assert cluster.data.exists()
    assert not (cluster.folder / "data.new").exists()
