"""One request on its way: proved caller, checked headers and body, and how the answer is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import grpc
import orjson
from aiohttp import web
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.common.v1 import context_pb2, receipt_pb2

from core.errors import FieldFault, InvalidError, fault_error
from core.public_json import render
from core.public_parse import encodable, parse
from core.receipt_json import with_receipt
from core.trace import current_trace_parent
from core.validation import validate
from core.wire import set_instant
from gateway.accepts import best_type
from gateway.auth import Certificate, Identity
from gateway.bodies import Upload
from gateway.cases import Case, parse_case
from gateway.observe import RECEIPT
from gateway.parts import Parts
from gateway.shapes import CaseIn, JsonBody, Key, Shape, UploadBody

KEY_HEADER = "Idempotency-Key"
DEADLINE_HEADER = "Deadline-Ms"

_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_MILLISECONDS = re.compile(r"[1-9][0-9]{0,5}")

M = TypeVar("M", bound=Message)
Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


class MissingReceiptError(Exception):
    """A part answered without a receipt; the answer does not leave (design, invariant 1)."""


@dataclass
class Call:
    """A request that may be handled: nothing in it is unchecked but what the contract's rules check."""

    request: web.Request
    parts: Parts
    route: Shape
    received_at: datetime
    deadline: datetime
    key: str = ""
    identity: Identity | None = None
    certificate: Certificate | None = None
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    form: Mapping[str, list[str]] = field(default_factory=dict, repr=False)
    upload: Upload | None = None

    @property
    def credential(self) -> context_pb2.Credential:
        """What is relayed to the services."""
        assert self.identity is not None, "the route names who may call"
        return self.identity.credential

    def case(self) -> Case:
        """The case of the body, or of the upload's JSON part."""
        source = self.upload.request if self.upload else self.body
        in_path = isinstance(self.route.body, JsonBody) and self.route.body.case is CaseIn.BODY_AND_PATH
        case = parse_case(source.get("case"), matter_code=self.path("code") if in_path else "")
        assert case is not None
        return case

    def case_context(self, case: Case) -> context_pb2.RequestContext:
        """The context of a call for a case."""
        return self.context(
            basis=case.basis(), office=case.office, operator=case.operator, purpose=case.purpose
        )

    def context(
        self,
        *,
        basis: context_pb2.Basis | None = None,
        office: str = "",
        operator: str = "",
        purpose: str = "",
    ) -> context_pb2.RequestContext:
        """The context of a call. The caller is in the credential, never here."""
        context = context_pb2.RequestContext(
            basis=basis,
            office=office,
            operator=operator,
            purpose=purpose,
            request_id=self.key,
            trace_parent=current_trace_parent(),
        )
        set_instant(context.received_at, self.received_at)
        set_instant(context.deadline, self.deadline)
        return context

    def query(self, kind: type[M]) -> M:
        """The contract's message that the body says. Raises InvalidError naming each field at fault."""
        shape = self.route.body
        assert isinstance(shape, JsonBody)
        for name in shape.without:
            if name in self.body:
                raise fault_error(name, "unknown", "is not a field of this request")
        beside = self._beside_names(shape)
        return parse({name: v for name, v in self.body.items() if name not in beside}, kind)

    def said(self, kind: type[M]) -> M:
        """The contract's message that an upload's JSON part says beside the case, as far as the route has it.

        Raises InvalidError naming each field at fault.
        """
        assert self.upload is not None
        shape = self.route.body
        assert isinstance(shape, UploadBody)
        said = {name: value for name, value in self.upload.request.items() if name != "case"}
        if unknown := [name for name in said if name not in shape.fields]:
            faults = [
                FieldFault(f"request.{name}", "unknown", "is not a field of this request") for name in unknown
            ]
            raise InvalidError("the part request has unknown fields", faults=faults)
        return parse(said, kind, "request")

    def text(self, name: str) -> str:
        """A text of the body that is no field of the contract's query."""
        value = self.body.get(name)
        if not isinstance(value, str) or not value:
            raise fault_error(name, "required", "is required, a string")
        return value

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return self.request.match_info[name]

    def header(self, name: str, *, required: bool = False) -> str:
        """A header's value, once; empty where it is absent."""
        values = self.request.headers.getall(name, [])
        if len(values) > 1:
            raise fault_error(name, "once", "must come once")
        if required and not values:
            raise fault_error(name, "required", "this header is required")
        value = values[0] if values else ""
        if not encodable(value):
            raise fault_error(name, "utf8", "must be text, in UTF-8")
        return value

    def argument(self, name: str, *, required: bool = False) -> str:
        """A query parameter, once; empty where it is absent."""
        values = self.request.query.getall(name, [])
        if len(values) > 1:
            raise fault_error(name, "once", "must come once")
        if required and not values:
            raise fault_error(name, "required", "this query parameter is required")
        return values[0] if values else ""

    def page_size(self) -> int:
        """The page size asked for; 0 leaves it to the service."""
        text = self.argument("page_size")
        if not text:
            return 0
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
            raise fault_error("page_size", "range", "must be a whole number from 1 to 100")
        return int(text)

    def instant(self, name: str) -> Timestamp | None:
        """A query parameter that is a moment, RFC 3339; None where it is absent."""
        text = self.argument(name)
        if not text:
            return None
        moment = Timestamp()
        try:
            moment.FromJsonString(text)
        except ValueError:
            message = "must be an instant, RFC 3339, such as 2026-01-31T08:00:00Z"
            raise fault_error(name, "type", message) from None
        return moment

    def flag(self, name: str) -> bool:
        """A query parameter that is `true` or `false`; False where it is absent."""
        text = self.argument(name)
        if text not in {"", "true", "false"}:
            raise fault_error(name, "type", "must be true or false")
        return text == "true"

    async def ask(self, part: str, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q) -> A:
        """A part's answer to a request that keeps the contract's rules, or the part's error."""
        return await self.parts.clients.call(part, method, self.checked(request), self.deadline)

    def checked(self, message: M) -> M:
        """The message, if it keeps the contract's rules; InvalidError naming each field otherwise."""
        validate(message)
        return message

    def answer(self, message: Message, receipt: receipt_pb2.Receipt | None = None) -> web.Response:
        """The answer as public JSON, with its receipt. Refuses to answer without one where one belongs."""
        status = self.route.answer.status
        if not self.route.answer.receipt:
            return json_response(render(message), status=status)
        if receipt is None or not receipt.id:
            raise MissingReceiptError(f"{self.route.name} was answered without a receipt")
        self.leaves_with(receipt.id)
        # What the part committed to leaves as it is, so that the receipt proves it whatever our version.
        answer = receipt.answer_json or orjson.dumps(render(message))
        return raw_json_response(with_receipt(answer, receipt), status=status)

    def leaves_with(self, receipt_id: str) -> None:
        """Notes for the log under which receipt the answer leaves."""
        self.request[RECEIPT] = receipt_id

    def _beside_names(self, shape: JsonBody) -> set[str]:
        names = {"case"} if shape.case is not CaseIn.NOWHERE else set()
        return names | {"consent_id"} if shape.consent else names


def json_response(
    document: Mapping[str, object], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer that nobody keeps."""
    return raw_json_response(orjson.dumps(document), status=status, headers=headers)


def raw_json_response(
    body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The same for an answer that is JSON already."""
    return web.Response(
        body=body,
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def wanted_type(request: web.Request, offered: Sequence[str]) -> str:
    """The offered type that the caller wants."""
    return _best_type(",".join(request.headers.getall("Accept", [])), tuple(offered))


_best_type = lru_cache(maxsize=1024)(best_type)
"""Callers say the same again and again."""


def read_key(request: web.Request, rule: Key) -> str:
    """The Idempotency-Key. Raises InvalidError naming the header."""
    values = request.headers.getall(KEY_HEADER, [])
    if rule is Key.NONE or (rule is Key.OPTIONAL and not values):
        return ""
    if not values:
        raise MissingKeyError(
            f"the header {KEY_HEADER} is required: this request changes state, and a retry must do it once",
            faults=[FieldFault(KEY_HEADER, "required", "is required")],
        )
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise fault_error(KEY_HEADER, "pattern", "must be 1 to 128 of A-Z a-z 0-9 _ . : - and come once")
    return values[0]


def is_key(text: str) -> bool:
    """Whether a text is in form to name a request."""
    return _KEY.fullmatch(text) is not None


def read_patience(request: web.Request, longest: float) -> float:
    """How long the caller waits, in seconds: what it asks for, and never longer than the setting."""
    value = request.headers.get(DEADLINE_HEADER)
    if value is None:
        return longest
    if not _MILLISECONDS.fullmatch(value):
        raise fault_error(DEADLINE_HEADER, "range", "must be a whole number of milliseconds from 1")
    return min(longest, int(value) / 1000)


def refuse_unknown_arguments(request: web.Request, route: Shape) -> None:
    """Raises 400 for a query parameter that the route does not take: nothing personal goes into URLs."""
    if not request.query_string:
        return
    unknown = [name for name in request.query if name not in route.query_names]
    if unknown and not route.any_query:
        faults = [
            FieldFault(name[:64], "unknown", "is not a query parameter of this path") for name in unknown
        ]
        raise InvalidError("unknown query parameters", faults=faults)


class MissingKeyError(InvalidError):
    """A request that changes state came without an Idempotency-Key."""

    reason = "IDEMPOTENCY_KEY_MISSING"
