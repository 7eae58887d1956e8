"""Keys that a command gets from an outside service: taken in, written back, and never shown."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from core.keyring import Keyring


def file_of(folder: Path, **document: object) -> Path:
    """A key file that names a command."""
    path = folder / "eseal-keyring.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


def program(folder: Path, text: str) -> list[str]:
    """A command that runs these lines."""
    (folder / "service.py").write_text(text)
    return [sys.executable, "-S", str(folder / "service.py")]


def outside(folder: Path) -> tuple[Path, Keyring]:
    """A service that keeps the keys in a file of its own, and a key file that names it."""
    ring = Keyring.generate()
    ring.save(folder / "outside.json")
    lines = "import pathlib, sys; kept = pathlib.Path(sys.argv[1])\n"
    lines += "if sys.argv[2] == 'get': sys.stdout.write(kept.read_text())\n"
    lines += "else: kept.write_text(sys.stdin.read())\n"
    command = [*program(folder, lines), str(folder / "outside.json")]
    return file_of(folder, command=[*command, "get"], write=[*command, "put"]), ring


def test_the_keys_are_what_the_command_says(tmp_path: Path) -> None:
    path, ring = outside(tmp_path)

    assert Keyring.load(path) == ring
    assert Keyring.load(path).path == path


def test_new_keys_go_to_the_service_and_the_file_stays_what_it_is(tmp_path: Path) -> None:
    path, ring = outside(tmp_path)
    before, said = path.stat().st_mtime_ns, path.read_bytes()

    ring.with_new_kek().save(path)

    assert Keyring.load(path).current_kek == 2
    assert path.read_bytes() == said
    assert path.stat().st_mtime_ns > before


def test_a_service_that_is_not_written_to_keeps_its_keys(tmp_path: Path) -> None:
    path = file_of(tmp_path, command=["true"])

    with pytest.raises(ValueError, match="where it gets them from"):
        Keyring.generate().save(path)

    assert json.loads(path.read_text()) == {"command": ["true"]}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("import sys; print('SECRET'); sys.exit(3)", "exit code 3"),
        ("print('SECRET')", "no keyring"),
        ('print(\'{"kek": {"1": "SECRET"}}\')', "no keyring"),
        ("print('SECRET' * 20000)", "more than 65536 bytes"),
        ("import time; print('SECRET', flush=True); time.sleep(60)", "longer than 0.5 s"),
        ("import sys; print('SECRET', file=sys.stderr); sys.exit(1)", "exit code 1"),
    ],
)
def test_a_command_that_fails_is_told_and_what_it_said_is_not(
    tmp_path: Path, lines: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = file_of(tmp_path, command=program(tmp_path, lines), seconds=0.5 if "sleep" in lines else 10)
    began = time.monotonic()

    with pytest.raises(ValueError, match=complaint) as failure:
        Keyring.load(path)

    assert "SECRET" not in str(failure.value)
    assert "SECRET" not in "".join(capfd.readouterr())
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "document",
    [
        {"command": "echo {}"},
        {"command": []},
        {"command": ["true", 1]},
        {"command": ["true"], "seconds": 0},
        {"command": ["true"], "seconds": 3600},
        {"command": ["true"], "seconds": "10"},
        {"command": ["/nowhere/at/all"]},
    ],
)
def test_a_command_that_is_none_is_told(tmp_path: Path, document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"eseal-keyring\.json"):
        Keyring.load(file_of(tmp_path, **document))


def test_a_file_that_others_may_write_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = file_of(tmp_path, command=["touch", str(marker)])
    path.chmod(0o620)

    with pytest.raises(ValueError, match="chmod go-w"):
        Keyring.load(path)

    assert not marker.exists()
