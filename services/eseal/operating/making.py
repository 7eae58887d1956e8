"""Makes seals: key, certificate and picture.

The seal service makes what was applied for; whoever sets a city up makes seals by the same code, as the owner
of the schema, with the same history.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

from core import queries
from core.db import Connection
from core.identifiers import check_uscc
from core.vault import Vault
from services.eseal import keystore
from services.eseal.addresses import AUTHORITY, SM2_AUTHORITY, SM2_MAKER, SOURCES
from services.eseal.domain import Algorithm, Picture
from services.eseal.gm.ses_making import SealFace, seal_info, seal_of
from services.eseal.gm.sm2 import Sm2, Sm2Key
from services.eseal.gm.sm2_certificate import Sm2Authority, load_certificates, load_credential
from services.eseal.lifecycle import Action, Application, OwnerType, SealKind, Shape, Upload
from services.eseal.operating.keeping import MadeKey, MadeSeal, Making
from services.eseal.operating.store import columns
from services.eseal.pictures.shapes import Look, look_of
from services.eseal.refusals import SealAuthorityMissingError, SealPictureInvalidError
from services.eseal.trust.authority import SealAuthority
from services.eseal.trust.sources import addresses_of

Q = queries.load(__package__)

SETUP_MAKER, SETUP_APPROVER = "setup.maker", "setup.approver"
"""Who makes and who enables a seal when a city is set up, where there are no operators yet."""
_WHY = "set up with the city"


@dataclass(frozen=True)
class SealOrder:
    """A seal to be made at once: `kind` such as 行政审批专用章; `division` 6 digits that begin its code."""

    owner_code: str
    owner_name: str
    kind: str
    division: str
    valid_from: datetime
    valid_until: datetime
    users: Sequence[tuple[str, str]]
    """Office USCC and matter code, or '' for every matter."""
    algorithm: Algorithm = Algorithm.ECDSA_P256_SHA256
    """Of a seal for PDF; who makes seals with SM2 makes them for OFD, whatever this says."""
    use: SealKind = SealKind.OFFICIAL
    owner_type: OwnerType = OwnerType.OFFICE
    shape: Shape = Shape.ROUND

    @property
    def name(self) -> str:
        """The seal's full name."""
        return self.owner_name + (self.kind or "印章")


@dataclass(frozen=True)
class Sm2Maker:
    """Makes seals with SM2 (制章者): its own certificate (DER) and key, and the seals' authority."""

    sm2: Sm2
    authority: Sm2Authority
    certificate: bytes
    key: Sm2Key


def load_sm2_maker(folder: Path, sm2: Sm2 | None) -> Sm2Maker | None:
    """The maker with SM2 whose files lie in a folder; None where there is none, or no SM2.

    Raises ValueError.
    """
    certificate, key = (folder / f"{SM2_MAKER}{ending}" for ending in (".crt", ".key"))
    if sm2 is None or not certificate.exists():
        return None
    own, private = (folder / f"{SM2_AUTHORITY}{ending}" for ending in (".crt", ".key"))
    (der,) = load_certificates(own)
    authority = Sm2Authority.load(sm2, own, private, addresses_of(folder / SOURCES, der))
    return Sm2Maker(sm2, authority, *load_credential(sm2, certificate, key))


def load_authorities(folder: Path | None, sm2: Sm2 | None) -> tuple[SealAuthority | None, Sm2Maker | None]:
    """Who issues certificates of seals for PDF, and makes seals with SM2; nobody without a folder.

    Raises ValueError, and OSError where a file is missing.
    """
    if folder is None:
        return None, None
    authority = SealAuthority.load(folder / f"{AUTHORITY}.crt", folder / f"{AUTHORITY}.key")
    return authority, load_sm2_maker(folder, sm2)


class PictureReader(Protocol):
    """Reads pictures that owners bring, out of reach of keys and data."""

    async def read_picture(self, file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
        """For PDF and for OFD. Errors: SEAL_PICTURE_INVALID, WORKSHOP_BUSY."""
        ...


class VaultSealMaker:
    """Makes seals whose keys the vault seals, under authorities whose keys lie here; the embedded default.

    Pictures that owners bring are read elsewhere: their files are not to be trusted.
    """

    def __init__(
        self,
        vault: Vault,
        authority: SealAuthority | None = None,
        sm2_maker: Sm2Maker | None = None,
        reader: PictureReader | None = None,
    ) -> None:
        self._vault = vault
        self._authority = authority
        self._sm2_maker = sm2_maker
        self._reader = reader

    async def make(self, wanted: Making) -> MadeSeal:
        """Off the event loop: a long RSA key takes seconds.

        Raises InvalidError, SealPictureInvalidError, WorkshopBusyError, and SealAuthorityMissingError where
        nobody here issues such a certificate.
        """
        application = wanted.application
        application.require_sound()
        check_uscc(application.owner_code, "owner_code")
        if application.upload is None:
            look = look_of(application, wanted.code)
        else:
            look = await self._uploaded(application.upload)
        return await asyncio.to_thread(self._make, wanted, look)

    async def _uploaded(self, upload: Upload) -> Look:
        if self._reader is None:
            raise SealPictureInvalidError.by("reader", "nobody here reads uploaded pictures")
        picture, face = await self._reader.read_picture(upload.file, upload.width_mm)
        return Look(lambda: picture, lambda: face)

    def _make(self, wanted: Making, look: Look) -> MadeSeal:
        application = wanted.application
        if wanted.has_key:
            return MadeSeal(look.picture(), None)
        if application.algorithm is Algorithm.SM2_SM3:
            if self._sm2_maker is None:
                raise _nobody("with SM2")
            key = _with_sm2(self._vault, self._sm2_maker, wanted, look)
        else:
            if self._authority is None:
                raise _nobody("for PDF")
            key = _for_pdf(self._vault, self._authority, application)
        return MadeSeal(look.picture(), key)


async def make_seal(
    connection: Connection, vault: Vault, authority: SealAuthority | Sm2Maker, order: SealOrder
) -> tuple[UUID, bool]:
    """The seal of this owner and name, made and enabled unless it is there; its id, and whether it is new.

    Who makes it decides what it is for: an authority for PDF, or a maker with SM2 for OFD.
    `connection` finds the service's tables by its search path, and may write them.
    """
    async with connection.transaction():
        await connection.execute(Q.one_maker)
        existing = await connection.fetchval(Q.seal_by_owner_and_name, order.owner_code, order.name)
        if existing is not None:
            return existing, False
        return await _make_now(connection, vault, authority, order), True


async def _make_now(
    connection: Connection, vault: Vault, authority: SealAuthority | Sm2Maker, order: SealOrder
) -> UUID:
    national = isinstance(authority, Sm2Maker)
    application = Application(
        owner_code=order.owner_code,
        owner_name=order.owner_name,
        title=order.kind,
        division=order.division,
        valid_from=order.valid_from,
        valid_until=order.valid_until,
        kind=order.use,
        owner_type=order.owner_type,
        shape=order.shape,
        algorithm=Algorithm.SM2_SM3 if national else order.algorithm,
    )
    maker = VaultSealMaker(
        vault,
        None if isinstance(authority, Sm2Maker) else authority,
        authority if isinstance(authority, Sm2Maker) else None,
    )
    seal_id = uuid4()
    await connection.execute(Q.insert_application, *_application_row(seal_id, application))
    await connection.execute(Q.put_act, seal_id, Action.APPLY.value, SETUP_MAKER, _WHY, "{}")
    code = await connection.fetchval(Q.code_of, seal_id)
    made = await maker.make(Making(application, code, has_key=False))
    await connection.execute(Q.keep_made, seal_id, *columns(made))
    await connection.execute(Q.put_act, seal_id, Action.MAKE.value, SETUP_MAKER, _WHY, "{}")
    await connection.execute(Q.put_act, seal_id, Action.ENABLE.value, SETUP_APPROVER, _WHY, "{}")
    for office, matter in order.users:
        rule = json.dumps({"office": office, "matter": matter})
        await connection.execute(Q.put_act, seal_id, Action.PERMIT.value, SETUP_APPROVER, _WHY, rule)
    return seal_id


def _application_row(seal_id: UUID, application: Application) -> tuple[object, ...]:
    return (
        seal_id,
        application.owner_code,
        application.owner_name,
        application.owner_type.value,
        application.kind.value,
        application.title,
        application.name,
        application.shape.value,
        application.division,
        application.algorithm.value,
        application.valid_from,
        application.valid_until,
    )


def _for_pdf(vault: Vault, authority: SealAuthority, wanted: Application) -> MadeKey:
    key_id = uuid4()
    sealed, public = keystore.generate(vault, key_id, wanted.algorithm)
    certificate = authority.issue(
        public,
        seal_name=wanted.name,
        owner_code=wanted.owner_code,
        owner_name=wanted.owner_name,
        valid_from=wanted.valid_from,
        valid_until=wanted.valid_until,
    )
    return MadeKey(key_id, wanted.algorithm, sealed, certificate)


def _with_sm2(vault: Vault, maker: Sm2Maker, making: Making, look: Look) -> MadeKey:
    """With the seal by GB/T 38540 that names the key's certificate, signed by its maker."""
    wanted, key_id = making.application, uuid4()
    sealed, public = keystore.generate_sm2(vault, key_id, maker.sm2)
    certificate = maker.authority.issue(
        public,
        seal_name=wanted.name,
        owner_code=wanted.owner_code,
        owner_name=wanted.owner_name,
        valid_from=wanted.valid_from,
        valid_until=wanted.valid_until,
    )
    info = seal_info(
        seal_id=making.code,
        name=wanted.name,
        certificate=certificate,
        face=look.face(),
        created_at=wanted.valid_from,
        valid_from=wanted.valid_from,
        valid_until=wanted.valid_until,
    )
    structure = seal_of(info, maker_certificate=maker.certificate, signature=maker.key.sign(info))
    return MadeKey(key_id, Algorithm.SM2_SM3, sealed, certificate, structure)


def _nobody(what: str) -> SealAuthorityMissingError:
    return SealAuthorityMissingError(
        f"no authority here issues certificates of seals {what} (ONESTOP_SEAL_AUTHORITY names its folder)"
    )
