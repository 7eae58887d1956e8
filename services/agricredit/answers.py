"""Answers of the two desks as the contract has them."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.agricredit.v1 import agricredit_pb2 as pb

from core.wire import set_instant
from services.agricredit.domain import Consent, Item, State
from services.agricredit.registers import LandRight, LandRightsAnswer, Parcel, SubsidiesAnswer, Subsidy
from services.agricredit.service import ConsentAnswer, RequestAnswer, RequestsAnswer

ITEMS = {
    Item.LAND_RIGHTS: pb.CONSENT_ITEM_LAND_RIGHTS,
    Item.SUBSIDIES: pb.CONSENT_ITEM_SUBSIDIES,
}
STATES = {
    State.PENDING: pb.CONSENT_STATE_PENDING,
    State.GRANTED: pb.CONSENT_STATE_GRANTED,
    State.REVOKED: pb.CONSENT_STATE_REVOKED,
    State.EXPIRED: pb.CONSENT_STATE_EXPIRED,
}
ITEM_OF = {number: item for item, number in ITEMS.items()}


def answer_to_pb(answer: object) -> Message:
    """What is released, and what its receipt commits to."""
    match answer:
        case RequestAnswer():
            return pb.ConsentRequestAnswer(consent_request=_request(answer))
        case RequestsAnswer():
            return pb.ListConsentRequestsAnswer(
                consent_requests=[_request(one) for one in answer.requests],
                next_page_token=answer.next_page_token,
            )
        case ConsentAnswer():
            return pb.ConsentAnswer(consent=_consent(answer.consent, answer.state))
        case LandRightsAnswer():
            return pb.LandRightsAnswer(
                consent_id=str(answer.consent_id),
                status=pb.DATA_STATUS_OK if answer.land_rights else pb.DATA_STATUS_NO_DATA,
                land_rights=[_land_right(one) for one in answer.land_rights],
                uses_left=answer.uses_left,
            )
        case SubsidiesAnswer():
            return pb.SubsidiesAnswer(
                consent_id=str(answer.consent_id),
                status=pb.DATA_STATUS_OK if answer.subsidies else pb.DATA_STATUS_NO_DATA,
                subsidies=[_subsidy(one) for one in answer.subsidies],
                uses_left=answer.uses_left,
            )
    raise TypeError(f"no desk answers anything of type {type(answer).__name__}")


def _request(answer: RequestAnswer) -> pb.ConsentRequest:
    request = answer.request
    consent = request.consent
    return pb.ConsentRequest(
        id=str(request.request_id),
        state=STATES[answer.state],
        partner_name=request.partner_name,
        partner_contact=request.partner_contact,
        purpose_code=request.purpose_code,
        purpose_text=request.purpose_text,
        items=[ITEMS[item] for item in request.items],
        max_uses=request.max_uses,
        valid_until=_instant(request.valid_until),
        requested_at=_instant(request.requested_at),
        consent_id=str(consent.consent_id) if consent else None,
        text=request.text,
        text_sha256=request.text_sha256,
        uses=consent.uses if consent else None,
        granted_items=[ITEMS[item] for item in consent.items] if consent else (),
    )


def _consent(consent: Consent, state: State) -> pb.Consent:
    return pb.Consent(
        id=str(consent.consent_id),
        state=STATES[state],
        partner_name=consent.partner_name,
        purpose_code=consent.purpose_code,
        items=[ITEMS[item] for item in consent.items],
        max_uses=consent.max_uses,
        uses=consent.uses,
        granted_at=_instant(consent.granted_at),
        valid_until=_instant(consent.valid_until),
        revoked_at=_instant(consent.revoked_at) if consent.revoked_at else None,
        text_sha256=consent.text_sha256,
    )


def _land_right(right: LandRight) -> pb.LandRight:
    return pb.LandRight(
        certificate_code=right.certificate_code,
        contract_code=right.contract_code,
        term_from=right.term_from,
        term_until=right.term_until,
        acquired_by=right.acquired_by,
        state=right.state,
        total_area_mu=right.total_area_mu,
        transferred_out_mu=right.transferred_out_mu,
        mortgaged=right.mortgaged,
        disputed=right.disputed,
        parcels=[_parcel(one) for one in right.parcels],
        record_version=right.record_version,
        as_of=_instant(right.as_of),
    )


def _parcel(parcel: Parcel) -> pb.Parcel:
    return pb.Parcel(
        code=parcel.code,
        name=parcel.name,
        contract_area_mu=parcel.contract_area_mu,
        measured_area_mu=parcel.measured_area_mu,
        land_use_code=parcel.land_use_code,
        grade=parcel.grade,
        basic_farmland=parcel.basic_farmland,
    )


def _subsidy(subsidy: Subsidy) -> pb.Subsidy:
    return pb.Subsidy(
        year=subsidy.year,
        area_mu=subsidy.area_mu,
        amount_cents=subsidy.amount_cents,
        state=subsidy.state,
        paid_on=subsidy.paid_on,
        record_version=subsidy.record_version,
        as_of=_instant(subsidy.as_of),
    )


def _instant(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    set_instant(stamp, moment)
    return stamp
