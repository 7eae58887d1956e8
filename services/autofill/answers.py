"""Answers of the form desk as they leave: the contract's message, and the public JSON that is committed to.

A filled form's JSON is written from the form itself: the same as the message's, without the way through it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from onestop.autofill.v1 import autofill_pb2 as pb
from onestop.common.v1 import provenance_pb2

from core.disclosure import Presented
from core.public_json import Json, canonical, canonical_json
from core.wire import put, set_instant
from services.autofill.comparison import Json as Value
from services.autofill.domain import Candidate, CheckedField, FieldStatus, FilledField, SourceReport, Verdict
from services.autofill.matter import Provenance
from services.autofill.service import FillAnswer, VerifyAnswer

_STATUSES = {status: pb.FieldStatus.ValueType(status.value) for status in FieldStatus}
_WORDS = {status: status.name.lower() for status in FieldStatus}
_SMALLEST_USUAL, _LARGEST_USUAL = 1e-4, 1e15
"""Between them JavaScript writes numbers without an exponent, as everybody does."""
_MATCHES = {verdict: pb.Match.ValueType(verdict.value) for verdict in Verdict}


def present(answer: object) -> Presented:
    """A presenter of the disclosure protocol."""
    match answer:
        case FillAnswer():
            shown = [one for field in answer.fields for one in (field.chosen, *field.candidates) if one]
            usual = all(_is_usual(one.value) for one in shown)
            return Presented(
                fill_to_pb(answer), canonical_json(fill_to_json(answer), plain=usual), is_json=True
            )
        case VerifyAnswer():
            wire = verify_to_pb(answer)
            return Presented(wire, canonical(wire), is_json=True)
    raise TypeError(f"the form desk answers nothing of type {type(answer).__name__}")


def fill_to_pb(answer: FillAnswer) -> pb.AutofillAnswer:
    """A filled form as the contract has it. What comes of one record has one provenance, made once."""
    made = pb.AutofillAnswer(
        matter_code=answer.matter_code,
        form_version=answer.form_version,
        sources=[_report(report) for report in answer.sources],
    )
    provenances: dict[Provenance, provenance_pb2.Provenance] = {}

    def show(candidate: Candidate, target: pb.FilledField | pb.Candidate) -> None:
        put(target.value, candidate.value)
        source = candidate.provenance
        known = provenances.get(source)
        if known is None:
            known = provenances[source] = _provenance(source)
        target.provenance.CopyFrom(known)

    for field in answer.fields:
        filled = made.fields.add(name=field.name, status=_STATUSES[field.status], source=field.source)
        if field.chosen is not None:
            show(field.chosen, filled)
        for candidate in field.candidates:
            show(candidate, filled.candidates.add())
    return made


def fill_to_json(answer: FillAnswer) -> Json:
    """The public JSON of a filled form."""
    provenances: dict[Provenance, Json] = {}

    def shown(candidate: Candidate) -> Json:
        source = candidate.provenance
        known = provenances.get(source)
        if known is None:
            known = provenances[source] = {
                "resource": source.resource,
                "record_version": source.record_version,
                "as_of": _moment(source.as_of),
            }
        return {"value": _as_sent(candidate.value), "provenance": known}

    def field_json(field: FilledField) -> Json:
        return {
            "name": field.name,
            "status": _WORDS[field.status],
            "candidates": [shown(candidate) for candidate in field.candidates],
            "source": field.source,
            **(shown(field.chosen) if field.chosen is not None else {}),
        }

    return {
        "matter_code": answer.matter_code,
        "form_version": answer.form_version,
        "fields": [field_json(field) for field in answer.fields],
        "sources": [
            {"resource": one.resource, "outcome": one.outcome.value, "elapsed_ms": one.elapsed_ms}
            for one in answer.sources
        ],
    }


def verify_to_pb(answer: VerifyAnswer) -> pb.VerifyFieldsAnswer:
    """Verdicts as the contract has them."""
    return pb.VerifyFieldsAnswer(
        matter_code=answer.matter_code,
        form_version=answer.form_version,
        fields=[_checked(field) for field in answer.fields],
        sources=[_report(report) for report in answer.sources],
    )


def _checked(field: CheckedField) -> pb.FieldVerdict:
    made = pb.FieldVerdict(name=field.name, verdict=_MATCHES[field.verdict], reason=field.reason)
    if field.decided_by is not None:
        made.provenance.CopyFrom(_provenance(field.decided_by.provenance))
    return made


def _report(report: SourceReport) -> pb.SourceReport:
    return pb.SourceReport(
        resource=report.resource, outcome=report.outcome.value, elapsed_ms=report.elapsed_ms
    )


def _provenance(provenance: Provenance) -> provenance_pb2.Provenance:
    made = provenance_pb2.Provenance(resource=provenance.resource, record_version=provenance.record_version)
    set_instant(made.as_of, provenance.as_of)
    return made


def _moment(moment: datetime) -> str:
    """An instant, RFC 3339 in UTC, without a fraction where it is a whole second."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _is_usual(value: Value) -> bool:
    """Whether a value's JSON is the same by RFC 8785 and by any library; where unsure, no."""
    if isinstance(value, str | bool):
        return True
    return isinstance(value, int | float) and (value == 0 or _SMALLEST_USUAL <= abs(value) <= _LARGEST_USUAL)


def _as_sent(value: Value) -> Value:
    """A value as a message holds it, which knows doubles alone: whole numbers are whole."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping):
        return {name: _as_sent(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_as_sent(one) for one in value]
    return value
