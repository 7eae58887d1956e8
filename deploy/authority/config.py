"""The authority's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AuthorityConfig:
    """What the authority needs: where it listens, and the folder of its certificates and keys.

    Read without the library of the other parts' settings, which takes longer to load than everything here.
    """

    listen: str
    """`host:port`."""
    authority_pki: Path
    """Its own certificates and keys, those of the authorities that it speaks for, and `revoked.json`."""

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> AuthorityConfig:
        """From ONESTOP_LISTEN and ONESTOP_AUTHORITY_PKI. Raises ValueError: a line for each bad one."""
        listen, folder = (environment.get(f"ONESTOP_{name}", "") for name in ("LISTEN", "AUTHORITY_PKI"))
        faults = []
        if environment.get("ONESTOP_MODE") != "development":
            faults.append("ONESTOP_MODE: this authority is for development; name authorities of your own")
        if not listen.rpartition(":")[2].isdigit() or not listen.rpartition(":")[0]:
            faults.append("ONESTOP_LISTEN: write host:port")
        if not folder or not Path(folder).is_dir():
            faults.append("ONESTOP_AUTHORITY_PKI: name the folder of the authorities' certificates")
        if faults:
            raise ValueError("\n".join(faults))
        return cls(listen, Path(folder))
