"""What the peer is told by its environment."""

from __future__ import annotations

from pydantic import DirectoryPath, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every variable is `PEER_` and the name here; none has a default that hides a missing one."""

    model_config = SettingsConfigDict(env_prefix="PEER_", frozen=True)

    database_url: SecretStr
    """The database owner's address."""
    keys: DirectoryPath
    """The city's keys: keyrings, and the key that signs answers."""
    pool_size: int = 10
    """Database connections of one worker. It opens no further ones: those would be closed after each use."""
