"""The gateway's settings are complete and right, or each wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_config
from gateway.config import GatewayConfig


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment."""
    file = tmp_path / "file"
    file.touch()
    for name in ("TLS_CA", "TLS_CERT", "TLS_KEY", "DATABASE_DSN_FILE", "KEYRING"):
        monkeypatch.setenv(f"ONESTOP_{name}", str(file))
    for name in ("MACHINES", "PEOPLE", "OPERATIONS"):
        monkeypatch.setenv(f"ONESTOP_{name}_LISTEN", "127.0.0.1:0")
    monkeypatch.setenv("ONESTOP_MODE", "development")
    monkeypatch.setenv("ONESTOP_PEOPLE_URL", "https://localhost:8444")
    monkeypatch.setenv("ONESTOP_OIDC_ISSUER", "https://localhost:8480")
    monkeypatch.setattr("sys.argv", ["gateway"])
    return monkeypatch


def test_complete_settings_are_taken(environment: pytest.MonkeyPatch) -> None:
    config = load_config(GatewayConfig)

    assert config.deadline_seconds == 10
    assert config.largest_document == 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PEOPLE_URL", "http://localhost:8444"),
        ("PEOPLE_URL", "https://localhost:8444/"),
        ("OIDC_ISSUER", "http://provider.example"),
        ("APPROVAL_LIMIT", "plenty"),
        ("DEADLINE_SECONDS", "0"),
        ("TLS_CERT", "/does/not/exist"),
    ],
)
def test_bad_setting_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    environment.setenv(f"ONESTOP_{name}", value)
    environment.delenv("ONESTOP_MACHINES_LISTEN")

    with pytest.raises(SystemExit) as ended:
        load_config(GatewayConfig)

    written = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"ONESTOP_{name}:" in written
    assert "ONESTOP_MACHINES_LISTEN:" in written
