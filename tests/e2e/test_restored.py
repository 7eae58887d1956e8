"""A whole city, backed up under load and restored: it goes on, or it gives nothing out and says why."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import httpx2
import pytest

from tests.city import City
from tests.command import onestop
from tests.e2e.contract import refused
from tests.story import ID_CARD, case_of, cast_of, patiently, person, platform_of, proved

pytestmark = pytest.mark.timeout(420)

SEARCH = "/approval/v1/licences:search"


@pytest.fixture
def backup() -> Path:
    """Where the backup goes; removed by the test."""
    return Path(mkdtemp(prefix="onestop-backup-")) / "b"


def test_restored_city_goes_on_and_one_that_is_behind_gives_nothing_out(
    own_city: Callable[..., City], backup: Path
) -> None:
    city = own_city(people=100)
    city.start()
    search = {
        "case": case_of(city),
        "holder": person(cast_of(city)["applicant"]["code"]),
        "type_codes": [ID_CARD],
    }
    stop, answers, broken = threading.Event(), [], list[BaseException]()

    def keep_asking() -> None:
        try:
            with platform_of(city) as platform:
                while not stop.is_set():
                    answers.append(platform.post(SEARCH, search))
        except BaseException as failure:
            broken.append(failure)

    load = threading.Thread(target=keep_asking)
    load.start()
    try:
        code, said = onestop(city, "backup", "make", "--to", backup)
        under_load = len(answers)
    finally:
        stop.set()
        load.join()
    assert not broken
    assert code == 0, said
    assert under_load > 1
    assert {path.stat().st_mode & 0o077 for path in backup.rglob("*")} <= {0, 0o044}
    assert all(path.stat().st_mode & 0o077 == 0 for path in backup.rglob("*.key"))
    with platform_of(city) as platform:
        key = uuid.uuid4().hex
        later = platform.post(SEARCH, search, key)
    assert city.stop() == 0

    # The city's own file says that more was released than the backup holds.
    code, said = onestop(city, "restore", backup, "--replace")
    assert code == 3, said
    (aside,) = city.home.glob("replaced-*")
    city.start()
    assert "The ledger is READ-ONLY" in city.output
    ready = httpx2.get(f"{city.operations}/readyz")
    assert ready.status_code == 503
    assert {part: state for part, state in ready.json()["parts"].items() if state != "ok"} == {
        "ledger": "down"
    }
    with platform_of(city) as platform:
        refused(platform.ask("POST", SEARCH, json=search), 503, "LEDGER_READ_ONLY")
        # A receipt that was given before the backup is still there to be had.
        kept = answers[0]["receipt"]["id"]
        assert patiently(lambda: platform.ask("GET", f"/ledger/v1/receipts/{kept}")).is_success
    assert city.stop() == 0

    # What was moved aside is the whole city as it was: moved back, it goes on.
    shutil.rmtree(city.home / "pg")
    for piece in ("pg", "ledger"):
        shutil.rmtree(city.home / piece, ignore_errors=True)
        (aside / piece).rename(city.home / piece)
    city.start()
    with platform_of(city) as platform:
        assert platform.post(SEARCH, search, key)["receipt"]["id"] == later["receipt"]["id"]
        proved(city, platform.post(SEARCH, search))
    deadline = time.monotonic() + 30
    while httpx2.get(f"{city.operations}/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert city.stop() == 0
    shutil.rmtree(backup.parent)
