"""The accounts of the town's people: password hashes, and the rows that the town's loader copies in.

The loader calls `account_row` for each person and copies the rows with `ACCOUNT_COLUMNS`; it leaves the
password alone, because the provider itself stores the shared one at its start.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

SHARED_CREDENTIAL = 1
"""The credential of every generated person: the one development password."""

ACCOUNT_COLUMNS = ("subject_id", "login", "credential_id", "profile")
PROFILE_COLUMN = "profile"

# RFC 7914 section 2; 16 MiB and about 40 ms a try on the machines this runs on.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 1


class Sealer(Protocol):
    """What encrypts a column (core/vault.py)."""

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """The sealed column value."""
        ...


class Unsealer(Protocol):
    """What decrypts a column (core/vault.py)."""

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        """The plain column value."""
        ...


@dataclass(frozen=True)
class Person:
    """A person with an account. Its repr shows neither name nor number."""

    subject_id: UUID
    login: str
    name: str = field(repr=False)
    id_number: str = field(repr=False)


def account_row(sealer: Sealer, person: Person) -> tuple[UUID, str, int, bytes]:
    """One row in the order of ACCOUNT_COLUMNS, its profile sealed.

    `login` is 3 to 64 of a-z, 0-9, dot, dash and underscore, and must not be made from the ID number.
    """
    profile = json.dumps({"name": person.name, "id_number": person.id_number}, ensure_ascii=False)
    sealed = sealer.seal(profile.encode(), row=person.subject_id, column=PROFILE_COLUMN)
    return (person.subject_id, person.login, SHARED_CREDENTIAL, sealed)


def person_of(unsealer: Unsealer, subject_id: UUID, login: str, sealed: bytes) -> Person:
    """The person of an account row."""
    profile = json.loads(unsealer.unseal(sealed, row=subject_id, column=PROFILE_COLUMN))
    return Person(subject_id, login, profile["name"], profile["id_number"])


def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`, salt and hash in base64, with a fresh salt."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    parts = ("scrypt", str(SCRYPT_N), str(SCRYPT_R), str(SCRYPT_P), _text(salt), _text(digest))
    return "$".join(parts)


def password_matches(password: str, password_hash: str) -> bool:
    """Whether the password is the one that was hashed. Takes as long for a wrong one as for a right one."""
    name, n, r, p, salt, digest = password_hash.split("$")
    if name != "scrypt":
        raise ValueError("the password hash is of an unknown kind")
    tried = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(tried, base64.b64decode(digest))


def ensure_password(path: Path) -> str:
    """The development password in the file, which is made (0600, one line) if it does not exist."""
    make_once(path, secrets.token_urlsafe(12) + "\n")
    return path.read_text(encoding="utf-8").strip()


def make_once(path: Path, content: str) -> None:
    """Writes a private file (0600) whole, unless it exists; of two who try at once, one wins."""
    if path.exists():
        return  # The folder may be one that we may only read.
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        with suppress(FileExistsError):
            os.link(scratch, path)
    finally:
        Path(scratch).unlink()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # OpenSSL refuses to use more memory than it is allowed; 128 * n * r bytes is what scrypt takes.
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
