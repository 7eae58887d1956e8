"""Answers of the licence desk as they leave: the contract's message, and the JSON that is committed to.

A search's JSON, the most frequent by far, is written from the answer itself: the same as the message's,
without the way through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import cast

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from onestop.common.v1 import provenance_pb2
from onestop.licence.v1 import licence_pb2 as pb

from core.disclosure import Presented
from core.public_json import Json, canonical, canonical_json
from core.wire import put, set_instant
from services.licence.domain import HOLDER_NAME, NUMBER, FieldValue, Licence, LicenceState, Verdict
from services.licence.service import FieldsAnswer, GetAnswer, SearchAnswer, Summary, VerifyAnswer

_STATE_WORDS = {state: state.name.lower() for state in LicenceState}


def present(answer: object) -> Presented:
    """A presenter of the disclosure protocol."""
    wire = answer_to_pb(answer)
    if isinstance(answer, SearchAnswer):
        return Presented(wire, canonical_json(search_to_json(answer), plain=True), is_json=True)
    return Presented(wire, canonical(wire), is_json=True)


def search_to_json(answer: SearchAnswer) -> Json:
    """The public JSON of what a search found."""
    document: Json = {
        "licences": [_summary_json(one) for one in answer.licences],
        "missing_type_codes": list(answer.missing_type_codes),
        "use_code": answer.use_code,
    }
    if answer.use_code_expires_at is not None:
        moment = answer.use_code_expires_at.astimezone(UTC).replace(tzinfo=None)
        document["use_code_expires_at"] = f"{moment.isoformat()}Z"
    return document


def _summary_json(summary: Summary) -> Json:
    licence = summary.licence
    document: Json = {
        "id": str(licence.key.licence_id),
        "type_code": licence.type_code,
        "type_name": summary.type_name,
        "issuer_name": licence.issuer_name,
        "state": _STATE_WORDS[summary.state],
        "valid_from": licence.valid_from.isoformat(),
        "version": licence.version,
    }
    if licence.valid_until is not None:
        document["valid_until"] = licence.valid_until.isoformat()
    return document


def answer_to_pb(answer: object) -> Message:
    """An answer of the desk as the contract has it."""
    match answer:
        case SearchAnswer():
            return _search_answer(answer)
        case GetAnswer():
            return _get_answer(answer)
        case VerifyAnswer():
            return _verify_answer(answer)
    raise TypeError(f"the licence desk answers nothing of type {type(answer).__name__}")


def _search_answer(answer: SearchAnswer) -> pb.SearchLicencesAnswer:
    message = pb.SearchLicencesAnswer(
        licences=[_summary(one) for one in answer.licences],
        missing_type_codes=answer.missing_type_codes,
        use_code=answer.use_code,
    )
    if answer.use_code_expires_at is not None:
        set_instant(message.use_code_expires_at, answer.use_code_expires_at)
    return message


def _get_answer(answer: GetAnswer) -> pb.GetLicenceAnswer:
    licence = answer.summary.licence
    face = dict(answer.fields)
    number, holder_name = face.pop(NUMBER, None), face.pop(HOLDER_NAME, None)
    message = pb.GetLicenceAnswer(
        licence=_summary(answer.summary),
        identifier=licence.identifier,
        number=None if number is None else str(number),
        holder_name=None if holder_name is None else str(holder_name),
        issuer_code=licence.issuer_code,
        issued_on=licence.issued_on.isoformat(),
        provenance=_provenance(licence),
    )
    _set_fields(message.fields, face)
    return message


def _verify_answer(answer: VerifyAnswer) -> pb.VerifyLicenceAnswer:
    message = pb.VerifyLicenceAnswer(verdict=_verdict(answer.verdict), as_of=answer.as_of.isoformat())
    if answer.summary is not None:
        message.state = _state(answer.summary.state)
        message.type_name = answer.summary.type_name
        message.issuer_name = answer.summary.licence.issuer_name
        message.superseded = answer.summary.licence.superseded
    return message


def fields_answer(answer: FieldsAnswer | None) -> pb.ReadLicenceFieldsAnswer:
    if answer is None:
        return pb.ReadLicenceFieldsAnswer(found=False)
    message = pb.ReadLicenceFieldsAnswer(
        found=True, state=_state(answer.summary.state), provenance=_provenance(answer.summary.licence)
    )
    _set_fields(message.fields, answer.fields)
    return message


def _summary(summary: Summary) -> pb.LicenceSummary:
    licence = summary.licence
    return pb.LicenceSummary(
        id=str(licence.key.licence_id),
        type_code=licence.type_code,
        type_name=summary.type_name,
        issuer_name=licence.issuer_name,
        state=_state(summary.state),
        valid_from=licence.valid_from.isoformat(),
        valid_until=licence.valid_until.isoformat() if licence.valid_until else None,
        version=licence.version,
    )


def _provenance(licence: Licence) -> provenance_pb2.Provenance:
    message = provenance_pb2.Provenance(resource=licence.resource, record_version=str(licence.key.licence_id))
    set_instant(message.as_of, licence.recorded_at)
    return message


def _set_fields(target: object, fields: Mapping[str, FieldValue]) -> None:
    values = cast("dict[str, Value]", target)  # a protobuf map makes a missing value when it is looked up
    for name, value in fields.items():
        put(values[name], value)


def _state(state: LicenceState) -> pb.LicenceState.ValueType:
    return cast("pb.LicenceState.ValueType", state.value)


def _verdict(verdict: Verdict) -> pb.LicenceVerdict.ValueType:
    return cast("pb.LicenceVerdict.ValueType", verdict.value)
