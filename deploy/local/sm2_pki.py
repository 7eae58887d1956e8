"""The development authority and maker of seals with SM2: the national half of the seals' PKI.

Where this machine has no libcrypto that knows SM2 nothing is made, and the city has seals with P-256 alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.production import DEVELOPMENT_AUTHORITY
from deploy.local import files
from deploy.local.errors import GroundError
from services.eseal.addresses import SM2_AUTHORITY, SM2_MAKER
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.gm.sm2_certificate import Sm2Authority, certificate_pem, private_pem
from services.eseal.refusals import Sm2UnavailableError

if TYPE_CHECKING:
    from services.eseal.operating.making import Sm2Maker

AUTHORITY, MAKER = SM2_AUTHORITY, SM2_MAKER
LIFETIME = timedelta(days=3650)
BACKDATED = timedelta(minutes=5)
_NAME = f"{DEVELOPMENT_AUTHORITY} SM2 seal CA"
_MAKER_NAME = f"{DEVELOPMENT_AUTHORITY} seal maker"
_CITY = "11440299MB2L00003D"
"""The data bureau of the model city."""


def make_sm2_pki(folder: Path, now: datetime) -> None:
    """The authority and the maker, `.crt` and `.key` each, unless they are there.

    Raises GroundError where half of one is lost.
    """
    sm2 = _sm2()
    if sm2 is None:
        return
    if not _is_there(folder / AUTHORITY):
        made = Sm2Authority.make(sm2, _NAME, valid_from=now - BACKDATED, valid_until=now + LIFETIME)
        _write(folder / AUTHORITY, made.certificate_pem(), made.private_pem())
    if not _is_there(folder / MAKER):
        authority = Sm2Authority.load(sm2, *_paths(folder / AUTHORITY))
        key = sm2.generate()
        certificate = authority.issue(
            key,
            seal_name=_MAKER_NAME,
            owner_code=_CITY,
            owner_name=_MAKER_NAME,
            valid_from=now - BACKDATED,
            valid_until=now + LIFETIME - timedelta(days=1),
        )
        _write(folder / MAKER, certificate_pem(certificate), private_pem(key))


def make_sm2_responder(folder: Path, name: str, now: datetime) -> bool:
    """Who says what became of the authority's certificates, as `name`, unless it is there.

    Answers whether it is there now. Raises GroundError where half of it is lost.
    """
    sm2 = _sm2()
    if sm2 is None or not _is_there(folder / AUTHORITY):
        return False
    if not _is_there(folder / name):
        key = sm2.generate()
        certificate = Sm2Authority.load(sm2, *_paths(folder / AUTHORITY)).issue_responder(
            key,
            f"{DEVELOPMENT_AUTHORITY} {name}",
            valid_from=now - BACKDATED,
            valid_until=now + LIFETIME - timedelta(days=1),
        )
        _write(folder / name, certificate_pem(certificate), private_pem(key))
    return True


def load_maker(folder: Path) -> Sm2Maker | None:
    """The maker of seals; None where there is none, or no SM2 here."""
    # A city that starts draws no seals, and starts the sooner.
    from services.eseal.operating.making import load_sm2_maker  # noqa: PLC0415

    return load_sm2_maker(folder, _sm2())


def _sm2() -> Sm2 | None:
    try:
        return load_sm2()
    except Sm2UnavailableError:
        return None


def _is_there(path: Path) -> bool:
    there = [file for file in _paths(path) if file.exists()]
    if len(there) == 1:
        (lost,) = set(_paths(path)) - set(there)
        raise GroundError(
            f"{lost} is missing, while the other half is there.",
            f"restore it, or move the folder {path.parent} away to make a new PKI.",
        )
    return bool(there)


def _paths(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".crt"), path.with_suffix(".key")


def _write(path: Path, certificate: bytes, key: bytes) -> None:
    public, private = _paths(path)
    files.write_private(private, key)
    files.write_private(public, certificate, mode=0o644)
