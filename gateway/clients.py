"""The parts behind the gateway: one channel each, calls under a deadline, look-ups that share batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from onestop.agricredit.v1 import agricredit_pb2, agricredit_pb2_grpc
from onestop.autofill.v1 import autofill_pb2, autofill_pb2_grpc
from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import bulk_pb2_grpc, eseal_pb2_grpc, remote_pb2_grpc, template_pb2_grpc
from onestop.issuer.v1 import issuer_pb2_grpc
from onestop.ledger.v1 import ledger_pb2_grpc
from onestop.licence.v1 import licence_pb2, licence_pb2_grpc

from core.coalesce import Coalescer
from core.config import PARTS
from core.errors import LateError
from core.heartbeat import loop_delay
from core.status import from_rpc_error, from_status
from core.trace import current_trace_parent
from core.wire import instant_of
from gateway.metrics import Metrics

HEALTH_SECONDS = 2.0

GRACE_SECONDS = 0.3
"""A part stops at the deadline; what it says then is waited for this much longer."""

Credentials = Sequence[context_pb2.Credential]


class Item(Protocol):
    """An item of a batch."""

    @property
    def context(self) -> context_pb2.RequestContext: ...


class Result(Protocol):
    """A result of a batch: an answer, or an error."""

    @property
    def error(self) -> status_pb2.Status: ...


I = TypeVar("I", bound=Item)  # noqa: E741
R = TypeVar("R", bound=Result)
Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)


class Part:
    """One part: its channel, and how its calls are timed and their errors told."""

    def __init__(self, name: str, channel: grpc.aio.Channel, metrics: Metrics) -> None:
        self.name = name
        self.channel = channel
        self._metrics = metrics
        self._check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    async def call(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, deadline: datetime) -> A:
        """The answer of a unary call. Raises the part's own error, or LateError when time is up."""
        if deadline.timestamp() <= time.time():
            raise late(self.name)  # Nobody waits for it any more.
        began = time.monotonic()
        outcome = "error"
        name = request.DESCRIPTOR.name.removesuffix("Request")
        try:
            trace = (("traceparent", current_trace_parent()),)
            answer = await method(request, timeout=_wait(deadline), metadata=trace)
            outcome = "ok"
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                outcome = "late"
                raise late(self.name) from None
            raise from_rpc_error(error, self.name) from error
        finally:
            self._metrics.part_seconds.labels(self.name, name, outcome).observe(time.monotonic() - began)
        return answer

    async def is_serving(self) -> bool:
        """What the part says of its own health."""
        with suppress(grpc.aio.AioRpcError):
            check = self._check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS)
            answer = await check
            if (delay := await loop_delay(check)) is not None:
                self._metrics.loop_delay.labels(self.name).set(delay)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False


class Lookup(Generic[I, R]):
    """A look-up of local tables whose concurrent callers share batches: what arrives during a call goes
    in the next (core/coalesce.py).

    Each item keeps its own credential, deadline and error. This is the place where calls are coalesced;
    what asks several sources (filling a form, fetching consented data) is not a `Lookup`, so that one
    caller's late source holds nobody else.
    """

    def __init__(
        self, part: Part, send: Callable[[Credentials, Sequence[I], datetime], Awaitable[Sequence[R]]]
    ) -> None:
        self._part = part
        self._send_batch = send
        self._coalescer: Coalescer[tuple[context_pb2.Credential, I], R] = Coalescer(self._send)

    async def ask(self, credential: context_pb2.Credential, item: I) -> R:
        """The item's result. Raises the error in it, or LateError when the item's deadline passes."""
        try:
            async with asyncio.timeout(_wait(_deadline(item))):
                return await self._coalescer.submit((credential, item))
        except TimeoutError:
            raise late(self._part.name) from None

    async def _send(self, asked: Sequence[tuple[context_pb2.Credential, I]]) -> Sequence[R | BaseException]:
        positions: dict[tuple[str, str], int] = {}
        credentials: list[context_pb2.Credential] = []
        for credential, item in asked:
            key = (credential.token, credential.certificate_thumbprint)
            if key not in positions:
                positions[key] = len(credentials)
                credentials.append(credential)
            item.context.credential_index = positions[key]
        items = [item for _, item in asked]
        # Whoever can wait longest decides how long the call may take; the others wait by themselves.
        results = await self._send_batch(credentials, items, max(_deadline(item) for item in items))
        return [failure_of(result, self._part.name) or result for result in results]


class Clients:
    """Every part that the gateway talks to."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], metrics: Metrics) -> None:
        self.parts = {name: Part(name, channel, metrics) for name, channel in channels.items()}
        self.issuer = issuer_pb2_grpc.IssuerServiceStub(channels["issuer"])
        self.ledger = ledger_pb2_grpc.LedgerServiceStub(channels["ledger"])
        self.autofill = autofill_pb2_grpc.AutofillServiceStub(channels["autofill"])
        self.eseal = eseal_pb2_grpc.EsealServiceStub(channels["eseal"])
        self.templates = template_pb2_grpc.TemplateServiceStub(channels["eseal"])
        self.remote = remote_pb2_grpc.RemoteSigningServiceStub(channels["eseal"])
        self.bulk = bulk_pb2_grpc.BulkSealServiceStub(channels["eseal"])
        self.agricredit = agricredit_pb2_grpc.AgriCreditServiceStub(channels["agricredit"])
        self._licence = licence_pb2_grpc.LicenceServiceStub(channels["licence"])
        licence = self.parts["licence"]
        self.search_licences = Lookup(licence, self._search_licences)
        self.get_licences = Lookup(licence, self._get_licences)
        self.verify_licences = Lookup(licence, self._verify_licences)

    async def call(
        self, part: str, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, deadline: datetime
    ) -> A:
        """The answer of a part's unary call, or its error."""
        return await self.parts[part].call(method, request, deadline)

    async def fill(
        self, credential: context_pb2.Credential, item: autofill_pb2.AutofillItem
    ) -> autofill_pb2.AutofillResult:
        """Fills one form."""
        request = autofill_pb2.BatchAutofillRequest(credentials=[credential], items=[item])
        response = await self.call("autofill", self.autofill.BatchAutofill, request, _deadline(item))
        return only(response.results, "autofill")

    async def verify_fields(
        self, credential: context_pb2.Credential, item: autofill_pb2.VerifyFieldsItem
    ) -> autofill_pb2.VerifyFieldsResult:
        """Checks one form's typed values."""
        request = autofill_pb2.BatchVerifyFieldsRequest(credentials=[credential], items=[item])
        response = await self.call("autofill", self.autofill.BatchVerifyFields, request, _deadline(item))
        return only(response.results, "autofill")

    async def fetch_land_rights(
        self, credential: context_pb2.Credential, item: agricredit_pb2.FetchLandRightsItem
    ) -> agricredit_pb2.FetchLandRightsResult:
        """One farmer's land rights."""
        request = agricredit_pb2.BatchFetchLandRightsRequest(credentials=[credential], items=[item])
        method = self.agricredit.BatchFetchLandRights
        response = await self.call("agricredit", method, request, _deadline(item))
        return only(response.results, "agricredit")

    async def fetch_subsidies(
        self, credential: context_pb2.Credential, item: agricredit_pb2.FetchSubsidiesItem
    ) -> agricredit_pb2.FetchSubsidiesResult:
        """One farmer's subsidies."""
        request = agricredit_pb2.BatchFetchSubsidiesRequest(credentials=[credential], items=[item])
        method = self.agricredit.BatchFetchSubsidies
        response = await self.call("agricredit", method, request, _deadline(item))
        return only(response.results, "agricredit")

    async def close(self) -> None:
        """Closes every channel."""
        for part in self.parts.values():
            await part.channel.close()

    async def _search_licences(
        self, credentials: Credentials, items: Sequence[licence_pb2.SearchLicencesItem], until: datetime
    ) -> Sequence[licence_pb2.SearchLicencesResult]:
        request = licence_pb2.BatchSearchLicencesRequest(credentials=credentials, items=items)
        return (await self.call("licence", self._licence.BatchSearchLicences, request, until)).results

    async def _get_licences(
        self, credentials: Credentials, items: Sequence[licence_pb2.GetLicenceItem], until: datetime
    ) -> Sequence[licence_pb2.GetLicenceResult]:
        request = licence_pb2.BatchGetLicencesRequest(credentials=credentials, items=items)
        return (await self.call("licence", self._licence.BatchGetLicences, request, until)).results

    async def _verify_licences(
        self, credentials: Credentials, items: Sequence[licence_pb2.VerifyLicenceItem], until: datetime
    ) -> Sequence[licence_pb2.VerifyLicenceResult]:
        request = licence_pb2.BatchVerifyLicencesRequest(credentials=credentials, items=items)
        return (await self.call("licence", self._licence.BatchVerifyLicences, request, until)).results


def needed_parts() -> tuple[str, ...]:
    """The parts without which the gateway may not take traffic: all of them, also those behind others."""
    return PARTS


def only(results: Sequence[R], part: str) -> R:
    """The result of a batch of one, or its error raised."""
    (result,) = results
    failure = failure_of(result, part)
    if failure is not None:
        raise failure
    return result


def failure_of(result: Result, part: str) -> Exception | None:
    """The error in a result, if it is one."""
    return from_status(result.error, part) if result.error.code else None


def late(part: str) -> LateError:
    """The error that names who did not answer in time."""
    return LateError(f"{part} did not answer before the deadline", part=part)


def _deadline(item: Item) -> datetime:
    return instant_of(item.context.deadline)


def _wait(deadline: datetime) -> float:
    """Seconds to wait for an answer that is wanted at the deadline."""
    return max(0.0, deadline.timestamp() - time.time()) + GRACE_SECONDS
