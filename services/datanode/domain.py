"""The catalogue's rules: which resource there is, and who may have which of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from core.errors import FieldFault, InvalidError, Kind, ServiceError

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

MATTER = "matter"
CONSENT = "consent"


class ResourceNotFoundError(ServiceError):
    """The catalogue has no such resource."""

    kind = Kind.NOT_FOUND
    reason = "RESOURCE_NOT_FOUND"


class ResourceNotSharedError(ServiceError):
    """The resource is catalogued as not shared (不予共享): no basis opens it."""

    kind = Kind.FORBIDDEN
    reason = "RESOURCE_NOT_SHARED"


class FieldNotEntitledError(ServiceError):
    """The basis may not have some of the fields asked for; a fault names each, as `field_names.<name>`.

    A field that the resource does not have is refused alike: the catalogue says which there are.
    """

    kind = Kind.FORBIDDEN
    reason = "FIELD_NOT_ENTITLED"


class PageTokenError(InvalidError):
    """A page token that this list did not give out."""

    reason = "PAGE_TOKEN_INVALID"


class SharingClass(Enum):
    """Sharing class (共享类型)."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NOT_SHARED = "not_shared"


class DataType(Enum):
    """JSON type of a field's value."""

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"


@dataclass(frozen=True)
class ResourceField:
    """One information item (信息项). What identifies is sealed at rest, each field by itself."""

    name: str
    label: str
    data_type: DataType
    unit: str
    identifying: bool


@dataclass(frozen=True)
class Resource:
    """One catalogued data resource (数据资源)."""

    code: str
    name: str
    provider_name: str
    provider_code: str
    sharing_class: SharingClass
    update_cycle: str
    updated_at: datetime
    fields: Mapping[str, ResourceField]


@dataclass(frozen=True)
class Ground:
    """Why somebody asks: of a matter its code and the office that handles it; of a consent, neither.

    Which kinds of data a consent covers is known to the service that keeps consents; here counts what
    any consent can cover.
    """

    basis: str
    item: str = ""
    office: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All resources by code, and the entitlements to conditionally shared fields."""

    resources: Mapping[str, Resource]
    by_matter: Mapping[tuple[str, str], frozenset[str]]
    """(matter code, resource) → fields."""
    by_consent: Mapping[str, frozenset[str]]
    """resource → fields."""

    def authorise(self, code: str, field_names: Sequence[str], ground: Ground) -> Resource:
        """The resource, when the ground is entitled to every field asked for.

        Unconditional sharing is between offices, so a consent is always held to its own fields.
        Raises ResourceNotFoundError, ResourceNotSharedError, FieldNotEntitledError.
        """
        resource = self.resources.get(code)
        if resource is None:
            raise ResourceNotFoundError(f"the catalogue has no resource {code}")
        if resource.sharing_class is SharingClass.NOT_SHARED:
            raise ResourceNotSharedError(f"{code} is catalogued as not shared")
        entitled = self._entitled(resource, ground)
        refused = [name for name in field_names if name not in entitled]
        if refused:
            raise _not_entitled(code, refused)
        return resource

    def _entitled(self, resource: Resource, ground: Ground) -> frozenset[str]:
        if ground.basis == CONSENT:
            return self.by_consent.get(resource.code, frozenset())
        if resource.sharing_class is SharingClass.UNCONDITIONAL:
            return frozenset(resource.fields) if ground.office else frozenset()
        return self.by_matter.get((ground.item, resource.code), frozenset())


@dataclass(frozen=True)
class ReadQuery:
    """Fields of a resource that are wanted."""

    resource: str
    field_names: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The fields asked for of one record, with its version and the moment the source vouches for."""

    values: Mapping[str, Json] = field(repr=False)
    version: str
    as_of: datetime


@dataclass(frozen=True)
class ResourcePage:
    """A page of the catalogue, in the order of the codes."""

    resources: tuple[Resource, ...]
    next_page_token: str


def page_of(catalogue: Catalogue, size: int, token: str) -> ResourcePage:
    """The page that follows `token`, the last code of the page before; empty starts at the beginning."""
    codes = sorted(catalogue.resources)
    if token and token not in catalogue.resources:
        message = "take the next_page_token of the page before"
        raise PageTokenError(f"page_token: {message}", faults=[FieldFault("page_token", "known", message)])
    rest = [code for code in codes if code > token]
    taken = rest[:size]
    return ResourcePage(
        tuple(catalogue.resources[code] for code in taken), taken[-1] if len(rest) > size else ""
    )


def _not_entitled(code: str, refused: Sequence[str]) -> FieldNotEntitledError:
    message = "the basis is not entitled to it"
    return FieldNotEntitledError(
        f"{code}: not entitled to {', '.join(refused)}",
        faults=[FieldFault(f"field_names.{name}", "entitled", message) for name in refused],
    )
