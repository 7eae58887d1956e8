"""`POST /farmers:land_rights`: the land rights of a farmer who consented, signed and encrypted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from joserfc import jwe, jws
from joserfc.jwk import ECKey
from sqlalchemy import select, update

from tests.bench.peers.database import SessionDep, in_transaction
from tests.bench.peers.models import Consent, LandContract, LandParcel, Partner
from tests.bench.peers.schemas import FetchQuery, LandRight, LandRightsAnswer, Parcel, SealedAnswer

SIGNATURE = "ES256"
KEY_AGREEMENT = "ECDH-ES+A256KW"
ENCRYPTION = "A256GCM"
ITEM = "land_rights"

router = APIRouter()


@router.post("/farmers:land_rights")
async def land_rights(query: FetchQuery, request: Request, session: SessionDep) -> SealedAnswer:
    """In one transaction checks the consent, counts a use and reads the land; then seals the answer."""
    await in_transaction(session)
    row = (
        await session.execute(
            select(Consent, Partner.encryption_jwk)
            .join(Partner, Partner.partner_id == Consent.partner_id)
            .where(Consent.consent_id == query.consent_id, Partner.state == "active")
        )
    ).one_or_none()
    if row is None:
        raise HTTPException(404, "there is no such consent")
    consent, partner_jwk = row
    _permit(consent, query.purpose_code)
    uses = await session.scalar(
        update(Consent)
        .where(
            Consent.subject_id == consent.subject_id,
            Consent.consent_id == consent.consent_id,
            Consent.revoked_at.is_(None),
            Consent.uses < Consent.max_uses,
        )
        .values(uses=Consent.uses + 1)
        .returning(Consent.uses)
        .execution_options(synchronize_session=False)
    )
    if uses is None:
        raise HTTPException(409, "the consent's uses are used up")
    contracts = await session.scalars(
        select(LandContract)
        .where(LandContract.subject_id == consent.subject_id)
        .order_by(LandContract.record_no)
    )
    parcels = await session.scalars(
        select(LandParcel).where(LandParcel.subject_id == consent.subject_id).order_by(LandParcel.parcel_code)
    )
    rights = _rights(contracts, parcels)
    await session.commit()
    answer = LandRightsAnswer(
        consent_id=consent.consent_id,
        status="ok" if rights else "no_data",
        land_rights=rights,
        uses_left=consent.max_uses - uses,
    )
    payload = answer.model_dump_json(exclude_none=True).encode()
    return SealedAnswer(jwe=request.app.state.envelope.seal(payload, partner_jwk))


class Envelope:
    """Signs with the city's key and encrypts to a partner's."""

    def __init__(self, key: Path) -> None:
        self._key = ECKey.import_key(key.read_bytes())
        self._kid = self._key.thumbprint()

    def seal(self, payload: bytes, recipient: dict[str, str]) -> str:
        """A JWE in compact form to the recipient's JWK; inside is a JWS over the JSON `payload`."""
        header = {"alg": SIGNATURE, "kid": self._kid, "typ": "JOSE", "cty": "json"}
        signed = jws.serialize_compact(header, payload, self._key, [SIGNATURE])
        key = _key(json.dumps(recipient, sort_keys=True))
        kid = key.kid or key.thumbprint()
        outer = {"alg": KEY_AGREEMENT, "enc": ENCRYPTION, "kid": kid, "typ": "JOSE", "cty": "JOSE"}
        return jwe.encrypt_compact(outer, signed, key, [KEY_AGREEMENT, ENCRYPTION])


@lru_cache(maxsize=256)
def _key(jwk: str) -> ECKey:
    return ECKey.import_key(json.loads(jwk))


def _permit(consent: Consent, purpose_code: str) -> None:
    """Passes where the consent covers this now, else answers 403."""
    if consent.revoked_at is not None:
        raise HTTPException(403, "the farmer has revoked this consent")
    if datetime.now(UTC) >= consent.valid_until:
        raise HTTPException(403, "this consent's time is over")
    if purpose_code != consent.purpose_code or ITEM not in consent.items:
        raise HTTPException(403, "this consent was given for something else")


def _rights(contracts: Iterable[LandContract], parcels: Iterable[LandParcel]) -> list[LandRight]:
    by_contract: defaultdict[str, list[Parcel]] = defaultdict(list)
    for parcel in parcels:
        by_contract[parcel.contract_code].append(
            Parcel(
                code=parcel.parcel_code,
                name=parcel.name,
                contract_area_mu=parcel.contract_area_mu,
                measured_area_mu=parcel.measured_area_mu,
                land_use_code=parcel.land_use_code,
                grade=parcel.grade,
                basic_farmland=parcel.basic_farmland,
            )
        )
    return [
        LandRight(
            certificate_code=contract.certificate_code,
            contract_code=contract.contract_code,
            term_from=contract.term_from,
            term_until=contract.term_until,
            acquired_by=contract.acquired_by,
            state=contract.state,
            total_area_mu=contract.total_area_mu,
            transferred_out_mu=contract.transferred_out_mu,
            mortgaged=contract.mortgaged,
            disputed=contract.disputed,
            parcels=by_contract[contract.contract_code],
            record_version=f"{contract.record_no}.{contract.version}",
            as_of=contract.as_of,
        )
        for contract in contracts
    ]
