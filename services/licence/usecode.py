"""Use codes (用证码): grants sealed by the vault, so that no table has to remember them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from core.vault import SealBrokenError
from services.licence.domain import CaseBinding, UseCodeInvalidError, UseGrant

_ROW = UUID("9c5de0a5-5f0d-4b53-8b3e-6a4a2b0f6c11")
"""Stands for a row in what the seal is bound to: a value sealed for another use never opens as a use code."""
_COLUMN = "use_code"
_LENGTH_BYTES = 2
_UUID_BYTES = 16


class Sealer(Protocol):
    """What of core.vault a use code needs."""

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes: ...
    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes: ...


class SealedUseCodes:
    """Issues and opens use codes: base64url of a sealed JSON head and the ids of the licences."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def issue(self, grant: UseGrant) -> str:
        """The code of a grant. Expiry counts in whole seconds."""
        bound = grant.binding
        head = json.dumps(
            [
                bound.caller,
                bound.office,
                bound.operator,
                bound.matter_code,
                bound.case_number,
                grant.purpose,
                grant.subject_id.hex,
                int(grant.expires_at.timestamp()),
            ],
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        ids = b"".join(licence_id.bytes for licence_id in grant.licence_ids)
        plaintext = len(head).to_bytes(_LENGTH_BYTES, "big") + head + ids
        return _text(self._sealer.seal(plaintext, row=_ROW, column=_COLUMN))

    def open(self, code: str) -> UseGrant:
        """The grant of a code. Raises UseCodeInvalidError for whatever is not exactly a code of ours."""
        try:
            sealed = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
            plaintext = self._sealer.unseal(sealed, row=_ROW, column=_COLUMN)
        except (SealBrokenError, ValueError):
            raise UseCodeInvalidError from None
        if _text(sealed) != code:
            # Base64 has several spellings of the same bytes; only ours counts.
            raise UseCodeInvalidError
        return _grant(plaintext)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def _grant(plaintext: bytes) -> UseGrant:
    end = _LENGTH_BYTES + int.from_bytes(plaintext[:_LENGTH_BYTES], "big")
    head, ids = json.loads(plaintext[_LENGTH_BYTES:end]), plaintext[end:]
    caller, office, operator, matter_code, case_number, purpose, subject_id, expires_at = head
    return UseGrant(
        binding=CaseBinding(caller, office, operator, matter_code, case_number),
        purpose=purpose,
        subject_id=UUID(hex=subject_id),
        licence_ids=tuple(
            UUID(bytes=ids[start : start + _UUID_BYTES]) for start in range(0, len(ids), _UUID_BYTES)
        ),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )
