"""What is asked and what is answered, as the city's public contract has it, without receipts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from tests.bench.peers.rules import CITIZEN_NUMBER, LicenceState, check_citizen_number, normalise


def _unique(codes: list[str]) -> list[str]:
    if len(set(codes)) != len(codes):
        raise ValueError("each at most once")
    return codes


class Question(BaseModel):
    """A body; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class Subject(Question):
    """A person or an organisation, by an official number."""

    code_type: Annotated[str, Field(pattern=r"^[0-9]{3}$")]
    code: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(normalise)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.code_type == CITIZEN_NUMBER:
            check_citizen_number(self.code)
        return self


class Case(Question):
    """The case that is handled, and by whom."""

    matter_code: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_-]{2,63})?$")] = ""
    case_number: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    office: Annotated[str, Field(pattern=r"^[0-9A-HJ-NPQRTUW-Y]{18}$")]
    operator: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{0,64}$")] = ""
    purpose: Annotated[str, Field(max_length=200)] = ""


TypeCode = Annotated[str, Field(pattern=r"^[0-9A-Z]{21}$")]


class SearchQuery(Question):
    """Which licences of whom."""

    case: Case
    holder: Subject
    type_codes: Annotated[list[TypeCode], Field(min_length=1, max_length=20), AfterValidator(_unique)]


class LicenceSummary(BaseModel):
    """A licence without its contents."""

    id: UUID
    type_code: str
    type_name: str
    issuer_name: str
    state: LicenceState
    valid_from: date
    valid_until: date | None
    version: int


class SearchAnswer(BaseModel):
    """What was found, and the code to read it with."""

    licences: list[LicenceSummary]
    missing_type_codes: list[str]
    use_code: str = ""
    use_code_expires_at: datetime | None = None


class FormQuery(Question):
    """Which fields of a matter's form are to be filled, and about whom."""

    case: Case
    subjects: Annotated[dict[str, Subject], Field(min_length=1, max_length=8)]
    field_names: Annotated[list[str], Field(min_length=1, max_length=200), AfterValidator(_unique)]


class Provenance(BaseModel):
    """Where a value comes from."""

    resource: str
    record_version: str
    as_of: datetime


class FilledField(BaseModel):
    """One field; a value that is sealed in its table is told as it lies there, in base64."""

    name: str
    status: str
    value: JsonValue = None
    provenance: Provenance | None = None


class SourceReport(BaseModel):
    """What a source that was asked had."""

    resource: str
    outcome: str


class FormAnswer(BaseModel):
    """A form's fields."""

    matter_code: str
    form_version: int
    fields: list[FilledField]
    sources: list[SourceReport]


class FetchQuery(Question):
    """What a lending partner asks on the strength of a consent."""

    consent_id: UUID
    purpose_code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,63}$")]


class Parcel(BaseModel):
    """One contracted parcel; areas in mu."""

    code: str
    name: str
    contract_area_mu: float
    measured_area_mu: float
    land_use_code: str
    grade: str
    basic_farmland: bool


class LandRight(BaseModel):
    """One land right; areas in mu."""

    certificate_code: str
    contract_code: str
    term_from: date
    term_until: date
    acquired_by: str
    state: str
    total_area_mu: float
    transferred_out_mu: float
    mortgaged: bool | None
    disputed: bool | None
    parcels: list[Parcel]
    record_version: str
    as_of: datetime


class LandRightsAnswer(BaseModel):
    """What a partner learns of a farmer's land."""

    consent_id: UUID
    status: str
    land_rights: list[LandRight]
    uses_left: int


class SealedAnswer(BaseModel):
    """An answer signed by the city and encrypted to the partner."""

    jwe: str
