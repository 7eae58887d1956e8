"""What production refuses: keys, addresses and secrets that are fit for development only.

Each rule answers `(variable, what is wrong and what to do)`; nothing here tells what a file holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

Refusal = tuple[str, str]

DEVELOPMENT_AUTHORITY = "Onestop development"
"""How the names of the authorities that `make run` makes begin."""
DEVELOPMENT_MARK = b"Onestop development key\n"
"""Explanatory text (RFC 7468 section 2) before a signing key that development has made."""
DEVELOPMENT_MEMBER = "development"
"""Member of a keyring's file that says the same."""
DEVELOPMENT_ORIGIN = "onestop.example/ledger"
"""The log's origin in development. A city's own is a name under its control (C2SP signed-note)."""

LEAST_SECRET = 16
_USUAL = ("password", "postgres", "onestop", "changeme", "change-me", "secret", "admin", "default", "123456")
_OTHERS_MAY_READ, _OTHERS_MAY_WRITE = 0o004, 0o022

_TELLING = {
    "SSLKEYLOGFILE": "would write down the keys of every TLS connection; unset it",
    "GRPC_TRACE": "would log what the parts send each other; unset it",
}


def unsafe_environment(environment: Mapping[str, str]) -> Iterator[Refusal]:
    """Variables by which libraries write down what nobody may read."""
    for name, why in _TELLING.items():
        if environment.get(name):
            yield name, why


def unsafe_certificates(variable: str, path: Path | None) -> Iterator[Refusal]:
    """A file of certificates, own or trusted, with one of the development authorities or from one."""
    try:
        found = certificates(path) if path else []
    except ValueError:
        yield variable, f"{path} holds no certificate in PEM form"
        return
    if any(_is_of_development(name) for one in found for name in (one.subject, one.issuer)):
        yield variable, "is of the development authority; bring certificates of an authority of your own"


def unsafe_callers(variable: str, callers: Path | None, city: Path) -> Iterator[Refusal]:
    """Authorities of outside callers that could give somebody a certificate with a part's name."""
    if callers is None:
        yield (
            variable,
            "is unset: callers need an authority of their own, or it could vouch for a part's name",
        )
        return
    yield from unsafe_certificates(variable, callers)
    try:
        shared = set(certificates(callers)) & set(certificates(city))
    except ValueError:
        return  # Told already, each under its own name.
    if shared:
        yield variable, "shares an authority with ONESTOP_TLS_CA; callers need one of their own"


def certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises ValueError where there is none."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def unsafe_keys(variable: str, paths: Iterable[Path | None]) -> Iterator[Refusal]:
    """Signing keys that development made, or that others on the machine can read."""
    for path in filter(None, paths):
        yield from open_file(variable, path)
        if DEVELOPMENT_MARK in path.read_bytes():
            yield variable, f"{path} is a development key; have one made for this city"


def unsafe_origin(variable: str, path: Path) -> Iterator[Refusal]:
    """A verifier key (C2SP signed-note) that names the log as development does."""
    if path.read_text(encoding="utf-8").startswith(f"{DEVELOPMENT_ORIGIN}+"):
        yield (
            variable,
            f"{DEVELOPMENT_ORIGIN} is development's log; name this city's own, as <its domain>/<log>",
        )


def unsafe_keyring(variable: str, path: Path) -> Iterator[Refusal]:
    """A keyring that development made, or that others on the machine can read."""
    yield from open_file(variable, path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return  # What is no keyring is told when it is loaded.
    if isinstance(document, dict) and document.get(DEVELOPMENT_MEMBER):
        yield variable, f"{path} is a development keyring; have one made for this city"


def open_file(variable: str, path: Path) -> Iterator[Refusal]:
    """A secret file that is not its owner's alone; its group may read it, as container platforms need."""
    mode = path.stat().st_mode
    if mode & _OTHERS_MAY_READ:
        yield variable, f"{path} can be read by everybody on this machine; chmod o-rwx"
    elif mode & _OTHERS_MAY_WRITE:
        yield variable, f"{path} can be written by others than its owner; chmod go-w"


def unsafe_database(variable: str, path: Path) -> Iterator[Refusal]:
    """A database address that proves too little: verify-full and a client certificate are needed."""
    yield from open_file(variable, path)
    address = urlsplit(path.read_text(encoding="utf-8").strip())
    given = {name: values[-1] for name, values in parse_qs(address.query).items()}
    if (mode := given.get("sslmode", "")) != "verify-full":
        yield variable, f"sslmode is {mode or 'not set'} where it must be verify-full"
    if lacking := [name for name in ("sslrootcert", "sslcert", "sslkey") if not given.get(name)]:
        yield (
            variable,
            f"lacks {', '.join(lacking)}: the database and its client prove themselves by certificate",
        )
    password = unquote(address.password or given.get("password", ""))
    if password and is_weak(password, unquote(address.username or "")):
        yield variable, f"has a password that can be guessed; take at least {LEAST_SECRET} random characters"


def unsafe_secret(variable: str, path: Path | None) -> Iterator[Refusal]:
    """A secret in a file that can be guessed, or that others can read."""
    if path is None or not path.is_file():
        return
    yield from open_file(variable, path)
    if is_weak(path.read_text(encoding="utf-8").strip()):
        yield variable, f"holds what can be guessed; take at least {LEAST_SECRET} random characters"


def is_weak(secret: str, name: str = "") -> bool:
    """Whether a secret is short, usual, or its owner's name."""
    folded = secret.casefold()
    return len(secret) < LEAST_SECRET or folded == name.casefold() or folded.startswith(_USUAL)


def unsafe_address(variable: str, url: str, whose: str) -> Iterator[Refusal]:
    """An address on this very machine, where production needs one that others reach."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost") or _is_loopback(host):
        yield variable, f"{host} is this machine itself; set the address of {whose}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_of_development(name: x509.Name) -> bool:
    return any(
        str(attribute.value).startswith(DEVELOPMENT_AUTHORITY)
        for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)
    )
