"""A small catalogue for tests: one resource of each sharing class."""

from __future__ import annotations

from datetime import UTC, datetime

from services.datanode.domain import Catalogue, DataType, Resource, ResourceField, SharingClass

UPDATED = datetime(2026, 11, 1, tzinfo=UTC)


def resource(code: str, sharing_class: SharingClass, *names: str) -> Resource:
    """A resource with plain text fields."""
    fields = {name: ResourceField(name, name, DataType.STRING, "", identifying=True) for name in names}
    return Resource(code, code, "office", "11440299MB2L000118", sharing_class, "daily", UPDATED, fields)


CATALOGUE = Catalogue(
    {
        one.code: one
        for one in (
            resource("population.person", SharingClass.CONDITIONAL, "name", "phone", "sex"),
            resource("company.register", SharingClass.UNCONDITIONAL, "name", "address"),
            resource("civil_aid.survey", SharingClass.NOT_SHARED, "deposits"),
            resource("subsidy.arable", SharingClass.CONDITIONAL, "year", "amount_cents", "bank_account"),
        )
    },
    {("residence-permit", "population.person"): frozenset({"name", "sex"})},
    {"subsidy.arable": frozenset({"year", "amount_cents"})},
)
