"""What each container is given of the city's certificates and keys: its own, and nothing else.

The city's folder, with everything in it, is seen by the one-shot containers alone. Each part has a volume of
its own, filled from that folder here and mounted read-only in the part's container.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from core.config import Mode
from core.production import DEVELOPMENT_ORIGIN
from deploy.authority.issuers import AUTHORITIES, SM2_ROOT, TIME
from deploy.authority.revocations import REVOKED
from deploy.local import files
from deploy.local.errors import GroundError
from deploy.local.migrate import AUDITOR_ROLE, PARTS, role_of
from deploy.local.settings import AUTHORITY, WITNESS
from services.eseal.addresses import SOURCES

CITY = Path("/city")
"""Where the city's folder is mounted: `pki/`, `keys/`, `demo/` as on one machine."""
OWN = Path("/own")
"""Where the parts' own volumes are mounted in the one-shot containers, one below it for each."""
MOUNTED = Path("/onestop")
"""Where a part finds its own volume."""

DATABASE = "postgres"
"""The database server: its container's name, and the name in its certificate."""
DATABASE_NAME = "onestop"
OWNER = "onestop_owner"
"""The role that owns the database; the one-shot containers log in as it."""

PROVIDER = "idp"
"""The development identity provider; there is none in production."""

ACCESS = """# Over the network: TLS, a password and a client certificate with the role's name, all three.
local   all all     scram-sha-256
hostssl all all all scram-sha-256 clientcert=verify-full
"""

PRIVATE, SHARED = 0o600, 0o640

_ORIGIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+/[a-z0-9/._-]+")


def mode_of(environment: Mapping[str, str]) -> Mode:
    """ONESTOP_MODE; unset or empty means production, as for every part. Raises GroundError."""
    text = environment.get("ONESTOP_MODE") or Mode.PRODUCTION.value
    try:
        return Mode(text)
    except ValueError:
        raise GroundError(
            f"ONESTOP_MODE is {text!r}.", f"write {' or '.join(mode.value for mode in Mode)}."
        ) from None


def origin_of(environment: Mapping[str, str], mode: Mode) -> str:
    """What a city's new log is called: ONESTOP_LEDGER_ORIGIN; empty in development. Raises GroundError."""
    origin = environment.get("ONESTOP_LEDGER_ORIGIN", "")
    if mode is Mode.DEVELOPMENT:
        return ""
    if not _ORIGIN.fullmatch(origin) or origin == DEVELOPMENT_ORIGIN:
        raise GroundError(
            f"ONESTOP_LEDGER_ORIGIN is {origin!r}, which is no name of a city's log.",
            "write a domain of the city's own and a path, as data.city.example/ledger; it stays for good.",
        )
    return origin


def parts_of(mode: Mode) -> tuple[str, ...]:
    """The parts that a city of this mode has."""
    return PARTS if mode is Mode.DEVELOPMENT else tuple(part for part in PARTS if part != PROVIDER)


def roles_of(parts: Sequence[str]) -> tuple[str, ...]:
    """The roles of the database that need a client certificate."""
    return (OWNER, AUDITOR_ROLE, *(role_of(part) for part in parts))


def belongings(part: str) -> dict[str, str]:
    """What a part is given: the name in its volume, and the file below the city's folder."""
    own = {
        "ca.crt": "pki/ca.crt",
        "tls.crt": f"pki/{part}.crt",
        "tls.key": f"pki/{part}.key",
    }
    if part == DATABASE:
        return own | {"owner.password": "keys/owner.password"}
    if part == AUTHORITY:
        return dict(_AUTHORITY)
    if part == WITNESS:
        return own | {
            "signing.key": "keys/witness-signing.key",
            "witness.vkey": "keys/witness.vkey",
            "ledger.vkey": "keys/ledger.vkey",
        }
    return (
        own
        | {
            "database.crt": f"pki/{role_of(part)}.crt",
            "database.key": f"pki/{role_of(part)}.key",
            "keyring.json": f"keys/{part}-keyring.json",
        }
        | dict(_SPECIAL.get(part, {}))
    )


_PROVIDER = {"oidc-ca.crt": "pki/oidc-ca.crt"}  # Authorities of the identity provider's certificate.
_CALLERS = {"callers-ca.crt": "pki/callers-ca.crt"}  # Authorities of the outside callers' certificates.

# No key of an authority's own: it has responders of theirs speak.
_AUTHORITY = {
    name: f"pki/{name}"
    for name in (
        *(
            f"{authority}{ending}"
            for authority in AUTHORITIES
            for ending in (".crt", "-ocsp.crt", "-ocsp.key")
        ),
        *(f"{TIME}{ending}" for ending in (".crt", ".key")),
        REVOKED,
    )
}

_SPECIAL: Mapping[str, Mapping[str, str]] = {
    "ledger": {
        "signing.key": "keys/ledger-signing.key",
        "ledger.vkey": "keys/ledger.vkey",
        "witnesses.policy": "keys/witnesses.policy",
    },
    "issuer": {"signing.key": "keys/issuer-signing.key"} | _PROVIDER,
    "gateway": _PROVIDER | _CALLERS,
    "agricredit": {"answer.key": "keys/answer-signing.key"},
    "eseal": {
        "seal-ca.crt": "pki/seal-ca.crt",
        "seal-ca-sm2.crt": "pki/seal-ca-sm2.crt",
        "timestamp-ca.crt": "pki/timestamp-ca.crt",
        "time-ca.crt": "pki/time-ca.crt",
        SOURCES: f"pki/{SOURCES}",
    },
    "idp": {"idp-password": "keys/idp-password", "idp-signing.key": "keys/idp-signing.key"},
}


OPTIONAL = frozenset(
    {
        *(f"pki/{SM2_ROOT}{ending}" for ending in (".crt", "-ocsp.crt", "-ocsp.key")),
        "pki/time-ca.crt",
        f"pki/{SOURCES}",
    }
)
"""What a city may lack: the part is given an empty file, and believes nobody by it."""


def hand_out(city: Path, own: Path, parts: Sequence[str]) -> None:
    """Fills the volumes of the database, of these parts, of the witness, and of the development authority
    where the city has one; what no longer belongs there is removed.

    The database server runs as a user of its own, who reads by the group. Raises GroundError that names a
    file that is missing.
    """
    beside = (WITNESS, AUTHORITY) if (city / "pki" / REVOKED).exists() else (WITNESS,)
    for part in (DATABASE, *parts, *beside):
        content = {
            name: b"" if file in OPTIONAL and not (city / file).exists() else _read(city / file)
            for name, file in belongings(part).items()
        }
        if part == DATABASE:
            content["pg_hba.conf"] = ACCESS.encode()
        elif (dsn := city / "keys" / f"{part}.dsn").exists():
            content["database.dsn"] = part_dsn(dsn.read_text(encoding="utf-8").strip()).encode()
        _fill(own / part, content, SHARED if part == DATABASE else PRIVATE)


def owner_dsn(city: Path) -> str:
    """The database's address as its owner, from a one-shot container."""
    password = _read(city / "keys" / "owner.password").decode().strip()
    pki = quote(str(city / "pki"))
    return (
        f"postgresql://{OWNER}:{quote(password, safe='')}@{DATABASE}:5432/{DATABASE_NAME}?sslmode=verify-full"
        f"&sslrootcert={pki}/ca.crt&sslcert={pki}/{OWNER}.crt&sslkey={pki}/{OWNER}.key"
    )


def part_dsn(dsn: str) -> str:
    """A part's DSN as its own container needs it: the same, with the files that it has there."""
    there = {"sslrootcert": "ca.crt", "sslcert": "database.crt", "sslkey": "database.key"}
    address = urlsplit(dsn)
    pairs = [pair.partition("=") for pair in address.query.split("&")]
    query = "&".join(
        f"{name}={MOUNTED / there[name] if name in there else value}" for name, _, value in pairs
    )
    given = {name: unquote(value) for name, _, value in pairs}
    if given.get("sslmode") != "verify-full" or not there.keys() <= given.keys():
        raise GroundError(
            "A part's database address does not check the server's name, or brings no certificate.",
            "remove the city's keys/*.dsn files only together with the database; start again.",
        )
    return urlunsplit(address._replace(query=query))


def missing(city: Path, wanted: Sequence[str]) -> list[str]:
    """Those of the files that do not exist."""
    return [name for name in wanted if not (city / name).is_file()]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise GroundError(f"{path} is missing.", "restore the city's folder, with all its keys.") from None


def _fill(folder: Path, content: Mapping[str, bytes], mode: int) -> None:
    try:
        folder.chmod(0o750 if mode == SHARED else 0o700)
        for name, data in content.items():
            path = folder / name
            if not path.exists() or path.read_bytes() != data:
                files.write_private(path, data, mode)
        for path in folder.iterdir():
            if path.name not in content:
                path.unlink()
    except PermissionError as error:
        raise GroundError(
            f"{error.filename} cannot be written: it does not belong to user {os.getuid()}.",
            f"give it to that user: as root, `chown -R {os.getuid()} <the volume's folder on the host>`.",
        ) from error
