"""The licence service's rows, in the form that the service itself prescribes (services/licence/rows.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from itertools import repeat

from deploy.town.calendar import AS_OF
from deploy.town.copying import Rows, Table
from deploy.town.licence_draft import LicenceDraft
from deploy.town.numbers import licence_identifier
from deploy.town.pgcopy import instant
from deploy.town.sealing import ID_BYTES, BulkVault, random_blocks, scattered
from deploy.town.spool import Spool
from services.licence import rows as form
from services.licence.catalogue import load_types

SCHEMA = "licence"
TABLES = {
    name: Table(SCHEMA, name, columns)
    for name, columns in (
        ("holder", form.HOLDER_COLUMNS),
        ("holder_index", form.HOLDER_INDEX_COLUMNS),
        ("licence", form.LICENCE_COLUMNS),
        ("licence_index", form.LICENCE_INDEX_COLUMNS),
    )
}
_JSONB = b"\x01"
"""The version of jsonb's binary form; the document follows it."""


class LicenceRows:
    """Turns licences into rows of the licence service's tables."""

    def __init__(self, vault: BulkVault, spool: Spool) -> None:
        self._vault = vault
        self._spool = spool
        self._types = {one.key: one.type_code for one in load_types().values()}
        self._forms = {one.key: form.FaceForm(one) for one in load_types().values()}

    def add(self, held: Sequence[Sequence[LicenceDraft]]) -> None:
        """Adds the licences of some holders, of whom each has one at least."""
        ids, holders = scattered(held)
        self._holders(ids, [drafts[0] for drafts in holders])
        self._licences(
            [me for me, drafts in zip(ids, holders, strict=True) for _ in drafts],
            [draft for drafts in holders for draft in drafts],
        )

    def _holders(self, ids: Sequence[bytes], ones: Sequence[LicenceDraft]) -> None:
        rows = Rows(TABLES["holder"], self._vault, ids)
        rows.ids("subject_id", ids)
        rows.words("code_type", [one.holder_type for one in ones])
        rows.seal("sealed_code", [one.holder for one in ones])
        self._spool.add(rows)

        indexes = self._vault.index_all([(one.holder_type, one.holder) for one in ones])
        found = sorted(zip(indexes, ids, strict=True))
        rows = Rows(TABLES["holder_index"], self._vault, [me for _, me in found])
        rows.raw("blind_index", [index for index, _ in found])
        rows.smallints("index_version", repeat(self._vault.index_version, rows.count))
        rows.ids("subject_id", rows.row_ids)
        self._spool.add(rows)

    def _licences(self, subjects: Sequence[bytes], ones: Sequence[LicenceDraft]) -> None:
        types = [self._types[one.key] for one in ones]
        identifiers = [
            licence_identifier(type_code, one.issuer.uscc, one.serial, one.version)
            for type_code, one in zip(types, ones, strict=True)
        ]
        faces = [self._forms[one.key].documents(one.face) for one in ones]
        licence_ids = random_blocks(len(ones), ID_BYTES)
        rows = Rows(TABLES["licence"], self._vault, licence_ids)
        rows.ids("subject_id", subjects)
        rows.ids("licence_id", licence_ids)
        rows.words("type_code", types)
        rows.texts("identifier", identifiers)
        rows.smallints("version", [one.version for one in ones])
        rows.days("superseded_on", [one.superseded_on for one in ones])
        rows.words("issuer_code", [one.issuer.uscc for one in ones])
        rows.words("issuer_name", [one.issuer.name for one in ones])
        rows.days("issued_on", [one.issued_on for one in ones])
        rows.days("valid_from", [one.issued_on for one in ones])
        rows.days("valid_until", [one.valid_until for one in ones])
        rows.days("suspended_from", [one.suspended_from for one in ones])
        rows.days("suspended_until", [one.suspended_until for one in ones])
        rows.words("suspension_reason", [one.suspension_reason for one in ones])
        rows.days("revoked_on", [one.revoked_on for one in ones])
        rows.words("revocation_kind", [one.revocation_kind for one in ones])
        rows.words("revocation_reason", [one.revocation_reason for one in ones])
        rows.raw("facts", [_JSONB + (facts or b"{}") for facts, _, _ in faces])
        rows.seal("sealed_number", [one.number for one in ones])
        rows.seal("sealed_holder_name", [one.holder_name for one in ones])
        rows.seal_documents("sealed_person", [person or None for _, person, _ in faces])
        rows.seal_documents("sealed_place", [place or None for _, _, place in faces])
        rows.put("recorded_at", [_recorded_at(one.version) for one in ones])
        self._spool.add(rows)

        found = sorted(zip(identifiers, subjects, licence_ids, strict=True))
        rows = Rows(TABLES["licence_index"], self._vault, [mine for _, _, mine in found])
        rows.texts("identifier", [identifier for identifier, _, _ in found])
        rows.ids("subject_id", [me for _, me, _ in found])
        rows.ids("licence_id", rows.row_ids)
        self._spool.add(rows)


@cache
def _recorded_at(version: int) -> bytes:
    return instant(AS_OF - timedelta(hours=version))
