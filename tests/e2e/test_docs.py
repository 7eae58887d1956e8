"""The documentation's examples run in front of the city, in their order, and answer what the pages show."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from deploy.local.migrate import ROOT
from tests.city import City
from tests.pages import Reader, page, read_examples, rows, section, words
from tests.story import ID_CARD, Json, Machine, case_of, person

PAGES = {
    "approval-platform": 9,
    "lending-partner": 9,
    "operators": 9,
    "ledger": 4,
    "receipts": 9,
    "remote-signing": 12,
}
"""Each with how many examples it has at least."""
READMES = ("README.md", "README.zh-CN.md")


@pytest.fixture
def reader(city: City, mended: None, tmp_path: Path) -> Iterator[Reader]:
    """Somebody who reads a page in front of the shared city, and leaves it whole."""
    ports = city.settings.ports
    places = {
        ".onestop/": f"{city.home}/",
        "ONESTOP=.onestop": f"ONESTOP={city.home}",
        "https://localhost:8443": city.machines,
        "https://localhost:8444": city.people,
        "https://localhost:8480": city.identity_provider,
        "http://127.0.0.1:8445": city.operations,
        "DATABASE_PORT=5544": f"DATABASE_PORT={ports['postgres']}",
    }
    try:
        with Reader(tmp_path, places, {"ONESTOP_HOME": str(city.home)}) as made:
            yield made
    finally:
        for hold in city.settings.run.glob("*.hold"):
            hold.unlink()
        for pid in city.settings.run.glob("*.pid"):
            with suppress(ProcessLookupError, ValueError):
                os.kill(int(pid.read_text()), signal.SIGCONT)


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_do_what_it_says(
    name: str, reader: Reader, city: City, platform: Machine, cast: Json
) -> None:
    # A page about the log needs an entry in it, whatever ran before.
    holder = person(cast["applicant"]["code"])
    body = {"case": case_of(city), "holder": holder, "type_codes": [ID_CARD]}
    platform.post("/approval/v1/licences:search", body)
    until_cosigned(city)
    assert reader.read(page(name)) >= PAGES[name]


def until_cosigned(city: City) -> None:
    """Returns when a witness has cosigned, as it does within seconds after the city is up."""
    with httpx2.Client(verify=city.tls()) as people:
        deadline = time.monotonic() + 15
        while people.get(f"{city.people}/ledger/v1/checkpoint?cosigned=true").status_code != 200:
            assert time.monotonic() < deadline, "no witness has cosigned"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def told(city: City) -> str:
    """What the demo says in front of the shared city; its files are left there."""
    command = [sys.executable, "-m", "cli", "demo"]
    demo = subprocess.run(
        command, env=dict(city.settings.environment), cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    return demo.stdout


def steps(transcript: str) -> list[str]:
    """What was done, without the times that it took."""
    return re.findall(r"^ *✓ (.*?)(?: \(\d+ ms\))?$", transcript, re.MULTILINE)


@pytest.mark.parametrize("readme", READMES)
def test_the_transcript_of_the_readme_is_the_demo(readme: str, told: str) -> None:
    shown = steps((ROOT / readme).read_text(encoding="utf-8"))
    happened = iter(steps(told))

    assert shown, f"{readme} shows no step of the demo"
    assert all(step in happened for step in shown), shown


@pytest.mark.parametrize("readme", READMES)
def test_the_receipt_of_the_readme_verifies(readme: str, told: str, reader: Reader) -> None:
    commands = [one.code for one in read_examples((ROOT / readme).read_text(encoding="utf-8"))]
    (verify,) = [code for code in commands if "onestop verify" in code]

    assert reader.read(f"```sh\n{verify}```\n\n```text\nentry …\nPROVED\n```\n") == 1


def test_every_file_of_the_city_is_in_its_table_with_its_mode(city: City) -> None:
    table = {words(row[0])[0]: int(row[1], 8) for row in rows(section(page("operators"), "Files"))}
    folders = [name for name in table if name.endswith("/")]
    up_since = (city.settings.run / "ready").stat().st_mtime

    for pattern, mode in table.items():
        found = [path for path in city.home.glob(pattern.rstrip("/")) if path.stat().st_mtime <= up_since]
        if pattern.endswith("/") or pattern.startswith(("ledger/", "witness/", "pki/revoked")):
            found = [city.home / pattern]  # These change while the city runs.
        assert found, pattern
        for path in found:
            assert stat.S_IMODE(path.stat().st_mode) == mode, path.name

    assert {f"{path.name}/" for path in city.home.iterdir() if path.is_dir()} == set(folders)
    for folder in ("pki", "keys", "ledger"):
        for path in (city.home / folder).iterdir():
            if path.stat().st_mtime <= up_since:  # What is newer, other tests have made.
                assert any(path.relative_to(city.home).match(one) for one in table), path.name
