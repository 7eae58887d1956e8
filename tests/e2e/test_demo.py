"""What a stranger sees: the demo runs, and what it leaves behind can be checked without the city."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.migrate import ROOT
from tests.city import City


@pytest.fixture(scope="module")
def told(city: City) -> str:
    """What the demo says when it has been run against the city."""
    command = [sys.executable, "-m", "cli", "demo"]
    done = subprocess.run(
        command, env=dict(city.settings.environment), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def verify(city: City, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`./onestop verify` with the ledger's public key and nothing else of the city."""
    environment = {"PATH": os.environ["PATH"]}
    command = [ROOT / "onestop", "verify", "--key", city.settings.keys / "ledger.vkey", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_demo_tells_its_story(told: str) -> None:
    for line in (
        "looked up the applicant's licences",
        "name = 林晓棠   [filled; licence.11100000000013127D001",
        "birth_date: mismatch",
        "name: match",
        "sealed the decision letter with 武江区市场监督管理局行政审批专用章",
        "the bank fetched land_rights, decrypted the answer and checked the city's signature",
        "403 CONSENT_REVOKED",
    ):
        assert line in told


def test_every_receipt_that_it_leaves_can_be_proved(city: City, told: str) -> None:
    folder = city.home / "demo"
    receipts = sorted(folder.glob("*.receipt.json"))
    assert {path.name.removesuffix(".receipt.json") for path in receipts} >= {
        "autofill",
        "consent-granted",
        "consent-request",
        "consent-revoked",
        "land_rights",
        "letter-ofd-verified",
        "letter-sealed.ofd",
        "letter-sealed.pdf",
        "letter-verified",
        "licences",
        "subsidies",
        "verify",
    }

    for receipt in receipts:
        content = receipt.with_name(receipt.name.removesuffix(".receipt.json"))
        with_it = (
            ["--file", content] if content.suffix in (".pdf", ".ofd") else ["--answer", f"{content}.json"]
        )
        done = verify(city, receipt, *with_it)
        assert done.returncode == 0, done.stderr
        assert "is the one that the entry was written for\nPROVED" in done.stdout


def test_a_receipt_of_another_answer_proves_nothing(city: City, told: str) -> None:
    folder = city.home / "demo"

    swapped = verify(city, folder / "autofill.receipt.json", "--answer", folder / "verify.json")
    cut = folder / "letter-cut.pdf"
    cut.write_bytes((folder / "letter-sealed.pdf").read_bytes()[:-1])
    altered = verify(city, folder / "letter-sealed.pdf.receipt.json", "--file", cut)
    cut.unlink()

    assert (swapped.returncode, altered.returncode) == (1, 1)
    assert "NOT PROVED: the answer is not the one" in swapped.stderr
    assert "NOT PROVED" in altered.stderr


def test_what_it_leaves_is_its_owner_s_alone(city: City, told: str) -> None:
    left = [path for path in (city.home / "demo").iterdir() if path.name != "cast.json"]

    assert (city.home / "demo" / "letter-sealed.pdf").read_bytes().startswith(b"%PDF-")
    assert all(path.stat().st_mode & 0o077 == 0 for path in left)
