"""Routes as data: what each takes and answers. The application and the OpenAPI document read the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from aiohttp import web
from google.protobuf.message import Message
from pydantic import BaseModel

from core.identity import Scope
from gateway.limits import Limit


class Listener(StrEnum):
    """Where a route is served."""

    MACHINES = "machines"
    PEOPLE = "people"


class Who(Enum):
    """Who may call."""

    ANYBODY = "anybody"
    MACHINE = "machine"
    """A registered machine: client certificate and the token bound to it."""
    CERTIFIED = "certified"
    """Whoever has a client certificate of ours, token or not: the token endpoint."""
    CITIZEN = "citizen"
    """A signed-in person."""


class Key(Enum):
    """Whether the header Idempotency-Key is taken."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class CaseIn(Enum):
    """Where the body keeps the case."""

    NOWHERE = "nowhere"
    BODY = "body"
    BODY_AND_PATH = "body and path"
    """In the body, its matter in the path."""


@dataclass(frozen=True)
class Parameter:
    """A parameter in path, query or header."""

    name: str
    place: str
    description: str
    required: bool = False
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class JsonBody:
    """A JSON object: the fields of a contract's message, and what stands beside them."""

    query: type[Message] | None = None
    case: CaseIn = CaseIn.NOWHERE
    consent: bool = False
    """Whether `consent_id` stands beside the fields."""
    without: Sequence[str] = ()
    """Fields of the message that this route does not take."""
    model: type[BaseModel] | None = None
    """Where the form is somebody else's standard and so no contract's message."""
    largest: int = 0
    """Bytes; as the setting says where it is 0. A body that is larger than that is counted among the
    uploads."""


@dataclass(frozen=True)
class UploadBody:
    """A multipart body: the file `document`, and the JSON `request` with the case and fields of a message."""

    message: type[Message] | None = None
    fields: tuple[str, ...] = ()
    """Which of the message's."""
    document_alone: bool = False
    """Whether there is no `request` beside it."""


@dataclass(frozen=True)
class LinesBody:
    """Lines of JSON, read by the handler as it wants them: a key, a case and fields of a message each."""

    message: type[Message]
    fields: tuple[str, ...]
    """Which of the message's; the first one is required."""
    other: type[Message] | None = None
    """A message whose fields a line may have instead."""


@dataclass(frozen=True)
class FormBody:
    """A form (RFC 6749): its fields and what they mean."""

    fields: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What a route answers on success."""

    message: type[Message] | None = None
    receipt: bool = False
    status: int = 200
    types: Sequence[str] = ("application/json",)
    description: str = "The answer."
    schema: Mapping[str, object] | None = None
    """Where it is no contract's message."""
    inside: type[Message] | None = None
    """The message, with its receipt, that is encrypted in the answer."""
    lines: bool = False
    """Whether it is a line for each of many, and in the end one with the sums."""
    model: type[BaseModel] | None = None
    """Where the form is somebody else's standard and so no contract's message."""
    each: Sequence[str] = ()
    """Where it is a list, `results`, with a message and its receipt, or an error, for each of many: by which
    fields of the message an error names the one that it is about."""

    @property
    def has_body(self) -> bool:
        """Whether anything is answered but the status."""
        return self.message is not None or self.schema is not None or self.model is not None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One route without what handles it.

    `rpc` is the contract's method, whose comment describes it; `renames` map the contract's field paths to
    the names that this route's caller uses, where the usual rules do not fit.
    """

    listener: Listener
    method: str
    path: str
    name: str
    summary: str
    who: Who
    answer: Answer
    rpc: str = ""
    scope: Scope | None = None
    limit: Limit = Limit.ADDRESS
    key: Key = Key.NONE
    body: JsonBody | UploadBody | LinesBody | FormBody | None = None
    parameters: Sequence[Parameter] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    pattern: str = ""
    """The path as the router has it, where a parameter may hold slashes, which OpenAPI cannot say."""
    any_query: bool = False
    """Whether query parameters that are not listed are let pass."""
    refusal: Callable[[Exception], web.Response] | None = None
    """How errors are told, where it is not by problem documents."""
    refused: Mapping[str, object] = field(
        default_factory=lambda: {"description": "An error of RFC 6749 section 5.2."}
    )
    """What the API document says of that."""

    @property
    def part(self) -> str:
        """The part that answers; `gateway` where the gateway itself does."""
        return self.rpc.split(".")[1] if self.rpc else "gateway"

    @property
    def query_names(self) -> frozenset[str]:
        """The query parameters that it takes."""
        return frozenset(one.name for one in self.parameters if one.place == "query")


def path_id(name: str, description: str) -> Parameter:
    """A parameter in the path."""
    return Parameter(name, "path", description, required=True)


PAGING = (
    Parameter(
        "page_size",
        "query",
        "How many at most, 1 to 100; 50 unless told.",
        schema={"type": "integer", "minimum": 1, "maximum": 100},
    ),
    Parameter(
        "page_token",
        "query",
        "`next_page_token` of the page before.",
        schema={"type": "string", "maxLength": 256},
    ),
)

CASE_HEADERS = (
    Parameter("Office", "header", "USCC of the office; must agree with the use code."),
    Parameter("Operator", "header", "The clerk; must agree with the use code."),
    Parameter("Matter-Code", "header", "The matter; must agree with the use code."),
    Parameter("Case-Number", "header", "The case; must agree with the use code. Goes with Matter-Code."),
)
