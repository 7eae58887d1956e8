"""The first one-shot container: certificates and keys, and each part's share of them.

`python -m deploy.compose.keys`. In development it makes what is missing; in production the certificates are
the data centre's own, and it names those that are not there. Keys are made once, in either mode, and never
again: they open what the database holds. Running it again renews certificates and hands out what has changed.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from core.config import Mode
from deploy.authority.pki import make_authority
from deploy.compose.handing import (
    CITY,
    DATABASE,
    OPTIONAL,
    OWN,
    OWNER,
    PROVIDER,
    belongings,
    hand_out,
    missing,
    mode_of,
    origin_of,
    parts_of,
    roles_of,
)
from deploy.idp.accounts import ensure_password
from deploy.idp.keys import open_signing_key
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.keys import make_keys, write_policy
from deploy.local.pki import make_pki
from deploy.local.settings import AUTHORITY, PORTS, WITNESS


def prepare(city: Path, own: Path, mode: Mode, origin: str = "") -> list[str]:
    """Makes or checks what the city needs, hands it out, and returns the certificates made now.

    `origin` names the log; a city of production has one.
    """
    parts = parts_of(mode)
    made: list[str] = []
    if mode is Mode.DEVELOPMENT:
        made = make_pki(city / "pki", (*parts, WITNESS, DATABASE), clients=roles_of(parts))
        make_authority(city / "pki", f"http://{AUTHORITY}:{PORTS[AUTHORITY]}", lists=False)
        for name in ("oidc-ca.crt", "callers-ca.crt"):
            if not (trusted := city / "pki" / name).exists():
                files.write_private(trusted, (city / "pki" / "ca.crt").read_bytes(), mode=0o644)
        root = (city / "pki" / "time-ca.crt").read_bytes()
        files.write_private(city / "pki" / "timestamp-ca.crt", root, mode=0o644)
    elif absent := missing(city, brought(parts)):
        raise GroundError(
            f"Certificates of the data centre's own authority are missing in {city}: {', '.join(absent)}.",
            "put them there, owned by and readable for user "
            f"{os.getuid()} alone; docs/deploy-compose.md says what each must name.",
        )
    make_keys(city / "keys", parts, origin=origin)
    write_policy(city / "keys", f"https://{WITNESS}:{PORTS[WITNESS]}")
    password = city / "keys" / "owner.password"
    if not password.exists():
        files.write_private(password, secrets.token_urlsafe(32) + "\n")
    if PROVIDER in parts:
        ensure_password(city / "keys" / "idp-password")
        open_signing_key(city / "keys" / "idp-signing.key")
    hand_out(city, own, parts)
    return made


def brought(parts: Sequence[str]) -> list[str]:
    """The files below the city's folder that a data centre brings."""
    given = {file for part in (DATABASE, *parts, WITNESS) for file in belongings(part).values()} - OPTIONAL
    owners = {f"pki/{OWNER}.{kind}" for kind in ("crt", "key")}
    return sorted({file for file in given if file.startswith("pki/")} | owners)


def main() -> int:
    """0 when everything is there; 1 with what is wrong otherwise."""
    try:
        mode = mode_of(os.environ)
        made = prepare(CITY, OWN, mode, origin_of(os.environ, mode))
    except GroundError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"certificates made for {', '.join(made)}" if made else "certificates and keys are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
