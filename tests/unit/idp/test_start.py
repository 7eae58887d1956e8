"""The provider starts where it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_config
from deploy.idp.__main__ import main
from deploy.idp.config import IdpConfig


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A complete environment."""
    file = tmp_path / "file"
    file.touch()
    for name in ("TLS_CA", "TLS_CERT", "TLS_KEY", "DATABASE_DSN_FILE", "KEYRING"):
        monkeypatch.setenv(f"ONESTOP_{name}", str(file))
    monkeypatch.setattr("sys.argv", ["idp"])
    return monkeypatch


@pytest.mark.parametrize("mode", ["production", None])
def test_provider_refuses_to_start_unless_it_is_told_that_this_is_development(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str | None
) -> None:
    if mode:
        environment.setenv("ONESTOP_MODE", mode)
    else:
        environment.delenv("ONESTOP_MODE", raising=False)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert "ONESTOP_MODE" in capsys.readouterr().err


def test_gateway_and_command_line_are_registered_unless_others_are(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("ONESTOP_GATEWAY_URL", "https://people.example")
    usual = load_config(IdpConfig)
    environment.setenv("ONESTOP_CLIENTS", '[{"client_id": "mine", "redirect_uris": ["https://x/cb"]}]')
    own = load_config(IdpConfig)

    assert [one.client_id for one in usual.registered_clients()] == ["onestop-gateway", "onestop-cli"]
    assert usual.registered_clients()[0].redirect_uris == ("https://people.example/citizen/callback",)
    assert [one.client_id for one in own.registered_clients()] == ["mine"]
    assert usual.password_path() == tmp_path / "idp-password"
