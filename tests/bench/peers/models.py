"""The tables that the peer reads, as far as it reads them; `consent` is the one that it changes."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Numeric, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Area = Numeric(10, 2, asdecimal=False)


class Base(DeclarativeBase):
    """How column types follow from the annotations."""

    type_annotation_map = {datetime: DateTime(timezone=True), str: Text()}  # noqa: RUF012


class HolderIndex(Base):
    """Finds a holder of licences by number."""

    __tablename__ = "holder_index"
    __table_args__ = {"schema": "licence"}  # noqa: RUF012

    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID]


class Licence(Base):
    """An e-licence; its contents are loaded where they are asked for."""

    __tablename__ = "licence"
    __table_args__ = {"schema": "licence"}  # noqa: RUF012

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    licence_id: Mapped[UUID] = mapped_column(primary_key=True)
    type_code: Mapped[str]
    version: Mapped[int] = mapped_column(SmallInteger)
    superseded_on: Mapped[date | None]
    issuer_name: Mapped[str]
    issued_on: Mapped[date]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    suspended_from: Mapped[date | None]
    suspended_until: Mapped[date | None]
    revoked_on: Mapped[date | None]
    recorded_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, deferred=True, deferred_group="contents")
    sealed_number: Mapped[bytes] = mapped_column(deferred=True, deferred_group="contents")
    sealed_holder_name: Mapped[bytes] = mapped_column(deferred=True, deferred_group="contents")
    sealed_person: Mapped[bytes | None] = mapped_column(deferred=True, deferred_group="contents")
    sealed_place: Mapped[bytes | None] = mapped_column(deferred=True, deferred_group="contents")


class SubjectIndex(Base):
    """Finds a subject of the registers by number."""

    __tablename__ = "subject_index"
    __table_args__ = {"schema": "datanode"}  # noqa: RUF012

    blind_index: Mapped[bytes] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID]


class Record(Base):
    """What every register's records have."""

    __abstract__ = True

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    record_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    version: Mapped[int]
    as_of: Mapped[datetime]


class Person(Record):
    """A person in the population register."""

    __tablename__ = "population_person"
    __table_args__ = {"schema": "datanode"}  # noqa: RUF012

    citizen_number: Mapped[bytes]
    name: Mapped[bytes]
    registered_address: Mapped[bytes]
    phone: Mapped[bytes | None]


class LandContract(Record):
    """A household's contract of land (土地承包合同)."""

    __tablename__ = "land_contract"
    __table_args__ = {"schema": "datanode"}  # noqa: RUF012

    contract_code: Mapped[str]
    certificate_code: Mapped[str]
    contractor_code: Mapped[str]
    issuer_name: Mapped[str]
    contractor_name: Mapped[bytes]
    acquired_by: Mapped[str]
    term_from: Mapped[date]
    term_until: Mapped[date]
    total_area_mu: Mapped[float] = mapped_column(Area)
    transferred_out_mu: Mapped[float] = mapped_column(Area)
    taken_in_mu: Mapped[float] = mapped_column(Area)
    mortgaged: Mapped[bool | None]
    disputed: Mapped[bool | None]
    state: Mapped[str]


class LandParcel(Record):
    """A contracted parcel (承包地块)."""

    __tablename__ = "land_parcel"
    __table_args__ = {"schema": "datanode"}  # noqa: RUF012

    parcel_code: Mapped[str]
    contract_code: Mapped[str]
    name: Mapped[str]
    contract_area_mu: Mapped[float] = mapped_column(Area)
    measured_area_mu: Mapped[float] = mapped_column(Area)
    land_use_code: Mapped[str]
    grade: Mapped[str]
    basic_farmland: Mapped[bool]


class Subsidy(Record):
    """A year's subsidy for arable land (耕地地力保护补贴)."""

    __tablename__ = "subsidy_arable"
    __table_args__ = {"schema": "datanode"}  # noqa: RUF012

    year: Mapped[int] = mapped_column(SmallInteger)
    area_mu: Mapped[float] = mapped_column(Area)
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    bank_name: Mapped[str | None]
    bank_account: Mapped[bytes | None]


class Partner(Base):
    """A lending partner."""

    __tablename__ = "partner"
    __table_args__ = {"schema": "agricredit"}  # noqa: RUF012

    partner_id: Mapped[str] = mapped_column(primary_key=True)
    encryption_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]


class Consent(Base):
    """A farmer's consent (授权)."""

    __tablename__ = "consent"
    __table_args__ = {"schema": "agricredit"}  # noqa: RUF012

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    consent_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[str]
    purpose_code: Mapped[str]
    items: Mapped[list[str]] = mapped_column(ARRAY(Text))
    max_uses: Mapped[int]
    uses: Mapped[int]
    valid_until: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
