"""An operator's commands beside the containers: the same commands, on the city's folder and database."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from core.config import Mode
from core.note import Checkpoint, VerifierKey, signature_line
from deploy.compose import operate as subject
from deploy.compose.handing import DATABASE
from deploy.compose.keys import prepare
from deploy.compose.operate import LAST_CHECKPOINT, link_released, operate
from deploy.local.errors import GroundError
from deploy.local.migrate import ROOT
from deploy.local.settings import PROCESSES
from services.ledger.released import LastReleasedFile
from tests.database import CityDatabase

KEY = VerifierKey("onestop.example/ledger", b"k" * 32)


def note(size: int) -> str:
    text = Checkpoint(KEY.name, size, b"r" * 32).text
    return f"{text}\n{signature_line(KEY, b's' * 64)}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_database: CityDatabase) -> Path:
    """The volumes as an operator's container has them, with a real database; the city's folder is `city`."""
    for part in (DATABASE, *PROCESSES):
        (tmp_path / "own" / part).mkdir(parents=True)
    (tmp_path / "released").mkdir()
    prepare(tmp_path / "city", tmp_path / "own", Mode.DEVELOPMENT)
    shutil.copy(fresh_database.dsn_file("auditor"), tmp_path / "city" / "keys" / "auditor.dsn")
    for name, path in (("CITY", "city"), ("OWN", "own"), ("RELEASED", "released")):
        monkeypatch.setattr(subject, name, tmp_path / path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "gen"))))
    monkeypatch.setattr(subject, "owner_dsn", lambda city: fresh_database.admin_dsn)
    return tmp_path


async def test_an_audit_reads_the_database_and_what_the_ledger_s_volume_keeps(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await LastReleasedFile(place / "released" / LAST_CHECKPOINT).keep(note(7))

    code = operate(["audit", "--json"])

    said = capfd.readouterr()
    assert said.out, said.err
    report = json.loads(said.out)
    # The database of this test has no entry: a log that had seven was rolled back, or signed by another key.
    assert code == 1
    assert {one["kind"] for one in report["findings"]} & {"rolled_back", "wrong_key"}
    assert any("no log files" in limit for limit in report["limits"])


def test_a_command_that_is_none_here_is_refused_with_what_there_is(place: Path) -> None:
    for words in ([], ["keys", "rotate", "kek"], ["demo"]):
        with pytest.raises(GroundError, match="no command here") as refused:
            operate(words)
        assert "audit, authority, backup, export" in refused.value.advice
    assert not (place / "city" / "ledger").exists()


def test_a_restore_that_fails_leaves_the_way_to_the_ledger_s_volume(place: Path) -> None:
    (place / "own" / "ledger" / "signing.key").write_text("another one")

    (place / "nothing").mkdir()

    code = operate(["restore", str(place / "nothing")])

    assert code == 1
    assert (place / "city" / "ledger").readlink() == place / "released"
    kept = (place / "city" / "keys" / "ledger-signing.key").read_text()
    assert (place / "own" / "ledger" / "signing.key").read_text() == kept


@pytest.mark.parametrize(("left", "there", "after"), [(9, None, 9), (9, 7, 9), (7, 9, 9)])
async def test_what_a_restore_has_left_goes_once_the_newer_checkpoint_is_kept(
    tmp_path: Path, left: int, there: int | None, after: int
) -> None:
    released, folder = tmp_path / "released", tmp_path / "city" / "ledger"
    released.mkdir()
    folder.mkdir(parents=True)
    await LastReleasedFile(folder / LAST_CHECKPOINT).keep(note(left))
    if there is not None:
        await LastReleasedFile(released / LAST_CHECKPOINT).keep(note(there))

    await asyncio.to_thread(link_released, tmp_path / "city", released)
    await asyncio.to_thread(link_released, tmp_path / "city", released)

    assert folder.readlink() == released
    assert await LastReleasedFile(folder / LAST_CHECKPOINT).read() == note(after)
