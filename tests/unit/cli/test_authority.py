"""An operator revokes certificates of the development authority, and lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.authority.__main__ import main
from deploy.authority.config import AuthorityConfig
from deploy.authority.revocations import REVOKED, Revocations
from tests.pages import page, rows, section, words

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Runs the command in a city of its own: exit code, output, errors."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / REVOKED).write_text("[]\n")
    monkeypatch.setenv("ONESTOP_HOME", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onestop authority", *arguments])
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_what_is_revoked_stays_so_and_is_listed(said: Said, tmp_path: Path) -> None:
    assert said("list") == (0, "no certificate is revoked\n", "")

    first = said("revoke", "1A:2b", "--reason", "superseded", "--issuer", "seal-ca-sm2")
    again = said("revoke", "1a2b", "--reason", "key_compromise", "--issuer", "seal-ca-sm2")
    other = said("revoke", "1a2b", "--reason", "key_compromise")

    assert (first[0], again[0], other[0]) == (0, 0, 0)
    assert first[1].startswith("revoked: 1a2b  seal-ca-sm2  ")
    assert again[1].startswith("was revoked already: 1a2b  seal-ca-sm2  ")
    assert again[1].endswith("superseded\n")
    assert said("list")[1].count("\n") == 2
    held = Revocations(tmp_path / "pki" / REVOKED).all()
    assert {key: one.reason for key, one in held.items()} == {
        ("seal-ca-sm2", 0x1A2B): "superseded",
        ("seal-ca", 0x1A2B): "key_compromise",
    }
    assert (tmp_path / "pki" / REVOKED).stat().st_mode & 0o777 == 0o600


def test_what_is_no_number_or_reason_is_refused(said: Said) -> None:
    for words_ in (["xyz", "--reason", "superseded"], ["1a", "--reason", "whim"], ["1a"]):
        code, _, told = said("revoke", *words_)
        assert code == 2
        assert "usage" in told


def test_where_there_is_no_such_authority_nothing_is_written(said: Said, tmp_path: Path) -> None:
    (tmp_path / "pki" / REVOKED).unlink()

    code, _, told = said("revoke", "1a", "--reason", "superseded")

    assert code == 1
    assert "holds no development authority" in told
    assert list((tmp_path / "pki").iterdir()) == []


def test_its_settings_are_in_their_table_and_production_is_refused(tmp_path: Path) -> None:
    described = {words(row[0])[0] for row in rows(section(page("operators"), "`authority`"))}
    assert described == {f"ONESTOP_{name.upper()}" for name in AuthorityConfig.__dataclass_fields__}

    right = {
        "ONESTOP_MODE": "development",
        "ONESTOP_LISTEN": "127.0.0.1:0",
        "ONESTOP_AUTHORITY_PKI": str(tmp_path),
    }
    assert AuthorityConfig.from_env(right) == AuthorityConfig("127.0.0.1:0", tmp_path)
    for name in right:
        with pytest.raises(ValueError, match=name):
            AuthorityConfig.from_env({**right, name: ""})
    with pytest.raises(ValueError, match="is for development"):
        AuthorityConfig.from_env({**right, "ONESTOP_MODE": "production"})
