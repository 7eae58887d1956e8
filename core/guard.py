"""The one interceptor: refuses strangers, enforces the contract's rules, turns errors into statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from core import access, log, trace
from core.batch import is_batch
from core.errors import Kind, ServiceError, fault_error
from core.release import require_receipts
from core.status import for_trailers, reason_in, to_status
from core.validation import validate

Context = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its type stubs only

_logger = log.get_logger()

_MALFORMED = object()
"""In the place of a request whose bytes are no message of the contract."""


def peer_name(context: Context) -> str:
    """The DNS name in the peer's certificate; empty where it has none."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return next((name.decode("ascii", "replace") for name in names), "")


class Guard(grpc.aio.ServerInterceptor):
    """Refuses strangers, enforces the contract's rules, turns errors into statuses, and lets no answer that
    leaves the system pass without its receipt."""

    def __init__(
        self,
        permitted: Callable[[str, str], bool] = access.permitted,
        releases: Callable[[str], bool] = access.releases,
    ) -> None:
        self._permitted = permitted
        self._releases = releases
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the method's handler; an aio interceptor sees the call only there."""
        method = str(handler_call_details.method)
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # Methods that we do not have are made up by callers: nothing to remember.
            guard = self._guard_unary if handler.unary_unary is not None else self._guard_stream
            guarded = self._guarded[method] = guard(handler, method)
        return guarded

    def _guard_unary(self, handler: Handler, method: str) -> Handler:
        inner = cast(Callable[[Any, Context], Awaitable[Any]], handler.unary_unary)
        leaves = self._releases(method)

        async def guarded(request: Any, context: Context) -> Any:
            peer = await self._admit(method, context)
            trace_parent = _trace_parent(context)
            # Health checks and the parts' own upkeep have no trace: of them only failures are worth a line.
            # Of a batch each item writes its own.
            loud = bool(trace_parent)
            began = time.monotonic()
            with trace.span(method, trace_parent), log.bound(method=method, peer=peer):
                try:
                    if request is _MALFORMED:
                        raise fault_error("request", "wire", "must be a message of the contract")
                    validate(request)
                    answer = await inner(request, context)
                    if leaves:
                        require_receipts(answer)
                    if loud and not is_batch(request):
                        log.answered("ok", began)
                    return answer
                except grpc.aio.AbortError:
                    raise
                except asyncio.CancelledError:
                    log.answered("CANCELLED", began)
                    raise
                except (ServiceError, TimeoutError) as error:
                    failure: BaseException = error
                    if isinstance(error, ServiceError) and error.kind is Kind.INTERNAL:
                        _logger.error("call_failed", method=method, reason=error.reason)
                except Exception as error:
                    _logger.exception("call_failed", method=method)
                    failure = error
                status = to_status(failure)
                log.answered(reason_in(status), began)
                return await _abort(context, status)

        return grpc.unary_unary_rpc_method_handler(
            cast(Any, guarded), _reading(handler.request_deserializer), handler.response_serializer
        )

    def _guard_stream(self, handler: Handler, method: str) -> Handler:
        """Of our own streams each message is checked, and each answer; health's and reflection's need the
        check of the name alone."""
        inner = cast(
            Callable[[Any, Context], AsyncIterator[Any]], handler.unary_stream or handler.stream_stream
        )
        ours = method.startswith("/onestop.")

        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            peer = await self._admit(method, context)
            if request is _MALFORMED:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "must be a message of the contract")
            if ours:
                async for response in self._watched(inner, request, context, method, peer):
                    yield response
                return
            responses = inner(request, context)
            if asyncio.iscoroutine(responses):
                await responses
                return
            async for response in _each(responses):
                yield response

        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.unary_stream is not None
            else grpc.stream_stream_rpc_method_handler
        )
        return make(cast(Any, guarded), _reading(handler.request_deserializer), handler.response_serializer)

    async def _watched(
        self,
        inner: Callable[[Any, Context], AsyncIterator[Any]],
        request: Any,
        context: Context,
        method: str,
        peer: str,
    ) -> AsyncIterator[Any]:
        """The answers of a stream of ours. Each item in it writes its own line in the log, as in a batch."""
        leaves, began = self._releases(method), time.monotonic()
        with trace.span(method, _trace_parent(context)), log.bound(method=method, peer=peer):
            try:
                async for response in inner(_checked(request), context):
                    if leaves:
                        require_receipts(response)
                    yield response
                return
            except (grpc.aio.AbortError, GeneratorExit):
                raise
            except asyncio.CancelledError:
                log.answered("CANCELLED", began)
                raise
            except (ServiceError, TimeoutError) as error:
                failure: BaseException = error
            except Exception as error:
                _logger.exception("call_failed", method=method)
                failure = error
            status = to_status(failure)
            log.answered(reason_in(status), began)
            await _abort(context, status)

    async def _admit(self, method: str, context: Context) -> str:
        """The peer's name, if it may call the method; ends the call otherwise."""
        peer = peer_name(context)
        if not self._permitted(method, peer):
            _logger.warning("peer_refused", method=method, peer=peer)
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this peer may not call this method")
        return peer


def _trace_parent(context: Context) -> str:
    """The call's `traceparent`; empty where it has none."""
    metadata = context.invocation_metadata() or ()
    return next((str(value) for name, value in metadata if name == "traceparent"), "")


def _reading(deserialize: Any) -> Callable[[bytes], Any]:
    """Reads a request, and leaves what cannot be read to the handler: it knows the peer and the error's form.

    Raised here, it would leave as UNKNOWN, with a traceback in the log for whoever has a certificate.
    """

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _MALFORMED

    return read


async def _checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream that keep the contract's rules. Raises InvalidError on the first that does
    not; faults inside `items` are theirs alone."""
    async for request in requests:
        if request is _MALFORMED:
            raise fault_error("request", "wire", "must be a message of the contract")
        validate(request)
        yield request


async def _each(responses: Any) -> AsyncIterator[Any]:
    """The responses of a streaming handler, asynchronous or not."""
    if hasattr(responses, "__aiter__"):
        async for response in responses:
            yield response
    else:
        for response in responses:
            yield response


async def _abort(context: Context, status: Status) -> None:
    """Ends the call with the rich status of an error."""
    status = for_trailers(status)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    await context.abort(
        code, status.message, trailing_metadata=(("grpc-status-details-bin", status.SerializeToString()),)
    )
