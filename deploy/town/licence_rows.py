"""The licence service's rows, in the form that the service itself prescribes (services/licence/rows.py)."""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import UUID

from asyncpg.pgproto import pgproto

from core.identifiers import LicenceIdentifier
from core.identity import Subject
from core.vault import Vault
from deploy.town.calendar import AS_OF
from deploy.town.copying import Batch, Table, as_date, as_date_or_none
from deploy.town.licence_draft import LicenceDraft
from services.licence import rows
from services.licence.catalogue import load_types

SCHEMA = "licence"
TABLES = {
    name: Table(SCHEMA, name, columns)
    for name, columns in (
        ("holder", rows.HOLDER_COLUMNS),
        ("holder_index", rows.HOLDER_INDEX_COLUMNS),
        ("licence", rows.LICENCE_COLUMNS),
        ("licence_index", rows.LICENCE_INDEX_COLUMNS),
    )
}


class LicenceRows:
    """Turns licences into rows of the licence service's tables."""

    def __init__(self, vault: Vault, batch: Batch) -> None:
        self._vault = vault
        self._types = {one.key: one for one in load_types().values()}
        self._into = {name: batch.records_into(table) for name, table in TABLES.items()}

    def add(self, drafts: list[LicenceDraft]) -> None:
        """Adds the licences of one holder."""
        if not drafts:
            return
        holder = Subject(drafts[0].holder_type, drafts[0].holder)
        subject_id: UUID = pgproto.UUID(os.urandom(16))
        self._into["holder"](rows.holder_row(self._vault, subject_id, holder))
        self._into["holder_index"](rows.holder_index_row(self._vault, subject_id, holder))
        for draft in drafts:
            self._licence(subject_id, draft)

    def _licence(self, subject_id: UUID, draft: LicenceDraft) -> None:
        kind = self._types[draft.key]
        identifier = LicenceIdentifier(kind.type_code, draft.issuer.uscc, draft.serial, f"{draft.version:03}")
        record = rows.LicenceRecord(
            subject_id=subject_id,
            licence_id=pgproto.UUID(os.urandom(16)),
            identifier=str(identifier),
            version=draft.version,
            issuer_code=draft.issuer.uscc,
            issuer_name=draft.issuer.name,
            issued_on=as_date(draft.issued_on),
            valid_from=as_date(draft.issued_on),
            valid_until=as_date_or_none(draft.valid_until),
            recorded_at=AS_OF - timedelta(hours=draft.version),
            number=draft.number,
            holder_name=draft.holder_name,
            face=draft.face,
            superseded_on=as_date_or_none(draft.superseded_on),
            suspended_from=as_date_or_none(draft.suspended_from),
            suspended_until=as_date_or_none(draft.suspended_until),
            suspension_reason=draft.suspension_reason,
            revoked_on=as_date_or_none(draft.revoked_on),
            revocation_kind=draft.revocation_kind,
            revocation_reason=draft.revocation_reason,
        )
        self._into["licence"](rows.licence_row(self._vault, kind, record))
        self._into["licence_index"](rows.licence_index_row(record))
