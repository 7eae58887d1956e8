"""`POST /matters/{code}:autofill`: a form's fields from the registers and the licences.

The sources are read one after another on the request's one session, which cannot run two statements at once.
Reading them side by side would take a connection for each, and serve fewer requests with the same pool.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

from fastapi import APIRouter, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer_group

from tests.bench.peers.catalogue import LICENCE, LicenceType
from tests.bench.peers.database import SessionDep
from tests.bench.peers.models import (
    HolderIndex,
    LandContract,
    LandParcel,
    Licence,
    Person,
    Record,
    SubjectIndex,
    Subsidy,
)
from tests.bench.peers.rules import CHINA_TIME, Found, LicenceState, Source, Stored, fill, shown, state_on
from tests.bench.peers.schemas import FilledField, FormAnswer, FormQuery, Provenance, SourceReport

REGISTERS: Mapping[str, type[Record]] = {
    "population.person": Person,
    "land.contract": LandContract,
    "land.parcel": LandParcel,
    "subsidy.arable": Subsidy,
}

router = APIRouter()


@router.post("/matters/{code}:autofill", response_model_exclude_none=True)
async def autofill(code: str, query: FormQuery, request: Request, session: SessionDep) -> FormAnswer:
    """The fields that are asked for, each with where it comes from."""
    state = request.app.state
    form = state.forms.get(code)
    if form is None:
        raise HTTPException(404, "there is no such matter")
    if unknown := [name for name in query.field_names if name not in form.fields]:
        raise HTTPException(422, f"the form cannot fill: {', '.join(unknown)}")
    wanted = {name: form.fields[name] for name in query.field_names}
    found: dict[tuple[str, str], Sequence[Stored]] = {}
    for role, resources in _asked(wanted.values(), query.subjects).items():
        subject = query.subjects[role]
        types = [name.removeprefix(LICENCE) for name in resources if name.startswith(LICENCE)]
        registers = [name for name in resources if not name.startswith(LICENCE)]
        if types:
            held = await _licences(session, state.holder_index(subject), types)
            for one in types:
                found[f"{LICENCE}{one}", role] = _newest(held, one, state.types[one])
        if registers:
            records = await _records(session, state.register_index(subject), registers)
            found |= {(name, role): rows for name, rows in records.items()}
    return FormAnswer(
        matter_code=form.code,
        form_version=form.version,
        fields=[_field(name, sources, found) for name, sources in wanted.items()],
        sources=[
            SourceReport(resource=resource, outcome="answered" if records else "no_data")
            for (resource, _), records in found.items()
        ],
    )


def _asked(fields: Iterable[Sequence[Source]], roles: Collection[str]) -> dict[str, set[str]]:
    """The resources that the fields may come from, by the role of whom they are asked about."""
    asked: defaultdict[str, set[str]] = defaultdict(set)
    for source in (source for sources in fields for source in sources):
        if source.role in roles:
            asked[source.role].add(source.resource)
    return asked


async def _licences(session: AsyncSession, index: bytes, type_codes: Sequence[str]) -> Sequence[Licence]:
    """The holder's licences of these types with their contents."""
    found: Sequence[Licence] = (
        await session.scalars(
            select(Licence)
            .options(undefer_group("contents"))
            .join(HolderIndex, HolderIndex.subject_id == Licence.subject_id)
            .where(
                HolderIndex.blind_index == index,
                Licence.type_code.in_(type_codes),
                Licence.superseded_on.is_(None),
            )
        )
    ).all()
    return found


async def _records(
    session: AsyncSession, index: bytes, registers: Sequence[str]
) -> dict[str, Sequence[Stored]]:
    """What each of the registers holds about a subject."""
    subject_id = await session.scalar(
        select(SubjectIndex.subject_id).where(SubjectIndex.blind_index == index)
    )
    if subject_id is None:
        return dict.fromkeys(registers, ())
    found: dict[str, Sequence[Stored]] = {}
    for name in registers:
        table = REGISTERS[name]
        rows = await session.scalars(
            select(table).where(table.subject_id == subject_id).order_by(table.record_no)
        )
        found[name] = [Stored(vars(row), f"{row.record_no}.{row.version}", row.as_of) for row in rows]
    return found


def _newest(licences: Sequence[Licence], type_code: str, licence_type: LicenceType) -> Sequence[Stored]:
    """The newest licence of the type that is in force, as a record; none where there is none."""
    today = datetime.now(CHINA_TIME).date()
    in_force = [
        one
        for one in licences
        if one.type_code == type_code and state_on(one, today) is LicenceState.IN_FORCE
    ]
    if not in_force:
        return ()
    newest = max(in_force, key=_age)
    sealed = {name: getattr(newest, column) for name, column in licence_type.columns.items()}
    return [Stored({**newest.facts, **sealed}, str(newest.licence_id), newest.recorded_at)]


def _age(licence: Licence) -> tuple[date, date, int]:
    return licence.valid_from, licence.issued_on, licence.version


def _field(name: str, sources: Sequence[Source], found: Found) -> FilledField:
    filled = fill(sources, found)
    if filled is None:
        return FilledField(name=name, status="no_data")
    return FilledField(
        name=name,
        status="filled",
        value=shown(filled.value),
        provenance=Provenance(
            resource=filled.resource, record_version=filled.record.version, as_of=filled.record.as_of
        ),
    )
