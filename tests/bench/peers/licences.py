"""`POST /licences:search`: a holder's licences of given types."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta

from fastapi import APIRouter, Request
from sqlalchemy import select

from tests.bench.peers.database import SessionDep
from tests.bench.peers.models import HolderIndex, Licence
from tests.bench.peers.rules import CHINA_TIME, state_on
from tests.bench.peers.schemas import LicenceSummary, SearchAnswer, SearchQuery

USE_CODE_LIFE = timedelta(minutes=10)

router = APIRouter()


@router.post("/licences:search", response_model_exclude_none=True)
async def search(query: SearchQuery, request: Request, session: SessionDep) -> SearchAnswer:
    """The licences, without those a newer version has replaced, and a code to read them with."""
    found = await session.scalars(
        select(Licence)
        .join(HolderIndex, HolderIndex.subject_id == Licence.subject_id)
        .where(
            HolderIndex.blind_index == request.app.state.holder_index(query.holder),
            Licence.type_code.in_(query.type_codes),
            Licence.superseded_on.is_(None),
        )
        .order_by(Licence.type_code, Licence.valid_from.desc(), Licence.licence_id)
    )
    now = datetime.now(UTC)
    today = now.astimezone(CHINA_TIME).date()
    types = request.app.state.types
    licences = [_summary(licence, types[licence.type_code].name, today) for licence in found]
    held = {licence.type_code for licence in licences}
    return SearchAnswer(
        licences=licences,
        missing_type_codes=[code for code in query.type_codes if code not in held],
        use_code=secrets.token_urlsafe(48) if licences else "",
        use_code_expires_at=(now + USE_CODE_LIFE).replace(microsecond=0) if licences else None,
    )


def _summary(licence: Licence, type_name: str, today: date) -> LicenceSummary:
    return LicenceSummary(
        id=licence.licence_id,
        type_code=licence.type_code,
        type_name=type_name,
        issuer_name=licence.issuer_name,
        state=state_on(licence, today),
        valid_from=licence.valid_from,
        valid_until=licence.valid_until,
        version=licence.version,
    )
